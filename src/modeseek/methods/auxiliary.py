"""Auxiliary denoiser phi, trained online on the current renders (VSD, ESD, ASD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import Prediction
from modeseek.priors.base import Prior
from modeseek.pytree import Cond, expand, select


@dataclass(frozen=True)
class AuxiliaryInput:
    """Input of the auxiliary denoiser phi, one row per item.

    Attributes:
        z: clean particles, (b, *d); read by exact auxiliaries only.
        z_t: noised particles, (b, *d).
        alpha: signal scale, (b,).
        sigma: noise scale, (b,).
        cond: condition of the prior, leading axis b or 1; None is unconditional.
        camera: camera of each row as k numbers, (b, k), or None.
        camera_mask: True for rows whose camera phi is conditioned on, (b,); None is all rows.
    """

    z: Float[Tensor, "b *d"]
    z_t: Float[Tensor, "b *d"]
    alpha: Float[Tensor, "b"]
    sigma: Float[Tensor, "b"]
    cond: Cond = None
    camera: Float[Tensor, "b k"] | None = None
    camera_mask: Bool[Tensor, "b"] | None = None

    def take(self, rows: Int[Tensor, "r"], camera_mask: Bool[Tensor, "r"] | None = None) -> AuxiliaryInput:
        """Selects rows (repeated or reordered); `camera_mask` replaces their mask."""
        if camera_mask is None and self.camera_mask is not None:
            camera_mask = self.camera_mask[rows]
        camera = None if self.camera is None else self.camera[rows]
        cond = select(expand(self.cond, len(self.z)), rows)
        return AuxiliaryInput(
            self.z[rows], self.z_t[rows], self.alpha[rows], self.sigma[rows], cond, camera, camera_mask
        )

    def masked_camera(self, k: int) -> tuple[Tensor, Tensor] | None:
        """Cameras with masked rows set to 0, (b, k), and the mask as 0 or 1, (b, 1); None if k is 0.

        Raises:
            ValueError: the cameras have neither 0 nor k numbers.
        """
        n_numbers = 0 if self.camera is None else self.camera.shape[1]
        if n_numbers not in (0, k):
            raise ValueError(
                f"camera must have {k} numbers per row, as phi was built for, got {n_numbers}; try cameras={n_numbers}"
            )
        if k == 0:
            return None
        if self.camera is None:
            return self.z.new_zeros(len(self.z), k), self.z.new_zeros(len(self.z), 1)
        camera_mask = torch.ones_like(self.camera[:, :1])
        if self.camera_mask is not None:
            camera_mask = self.camera_mask[:, None].to(self.camera)
        return self.camera * camera_mask, camera_mask


@dataclass(frozen=True)
class AuxiliaryTarget:
    """Regression target of phi: loss `share * |prediction - target|^2` in phi's own parametrisation.

    Attributes:
        share: loss weight of this target, a number or one per row (b,); a negative one repels.
        z: target of the signal prediction, (b, *d).
        eps: target of the noise prediction, (b, *d).
    """

    share: float | Float[Tensor, "b"]
    z: Float[Tensor, "b *d"]
    eps: Float[Tensor, "b *d"]


@runtime_checkable
class Auxiliary(Protocol):
    """Auxiliary denoiser beside the prior: frozen hyperparameters; all that changes lives in its state.

    A state holds modules, optimizers, tensors and numbers inside frozen dataclasses, so that a checkpoint stores it
    completely. Its modules are trained in place, so an older state of the same run shares the newest weights.
    """

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> Any:
        """Returns the state before the first step; makes no prior call and draws only from its own seed."""
        ...

    def predict(self, state: Any, inputs: AuxiliaryInput) -> Prediction:
        """Returns phi's prediction for the noised particles, detached."""
        ...

    def update(
        self, state: Any, inputs: AuxiliaryInput, targets: tuple[AuxiliaryTarget, ...]
    ) -> tuple[Any, Float[Tensor, "b"]]:
        """Runs one training step; returns the next state and each row's loss before it, (b,)."""
        ...
