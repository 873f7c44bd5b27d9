"""phi: a second denoiser that follows what is being optimised, as VSD and its kin need one."""

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
    """What phi is asked about, a row per item.

    Attributes:
        z: the particles themselves, (b, *d); only an exact phi may look at them.
        z_t: the particles seen through noise, (b, *d).
        alpha: signal scale, (b,).
        sigma: noise scale, (b,).
        cond: of the prior, leading axis b or 1; None for none.
        camera: from where each particle was inputs, k numbers, or None.
        shown: whether phi may know a row's camera; None is all of them.
    """

    z: Float[Tensor, "b *d"]
    z_t: Float[Tensor, "b *d"]
    alpha: Float[Tensor, "b"]
    sigma: Float[Tensor, "b"]
    cond: Cond = None
    camera: Float[Tensor, "b k"] | None = None
    camera_mask: Bool[Tensor, "b"] | None = None

    def take(self, rows: Int[Tensor, "r"], camera_mask: Bool[Tensor, "r"] | None = None) -> AuxiliaryInput:
        """Some rows, repeated or reordered; `shown` replaces whether their cameras are known."""
        if camera_mask is None and self.camera_mask is not None:
            camera_mask = self.camera_mask[rows]
        camera = None if self.camera is None else self.camera[rows]
        cond = select(expand(self.cond, len(self.z)), rows)
        return AuxiliaryInput(
            self.z[rows], self.z_t[rows], self.alpha[rows], self.sigma[rows], cond, camera, camera_mask
        )

    def masked_camera(self, k: int) -> tuple[Tensor, Tensor] | None:
        """The cameras and 1 where each is shown, else 0, (b, k) and (b, 1); hidden ones are 0. None where k is 0.

        Raises:
            ValueError: phi was made for another number of numbers.
        """
        given = 0 if self.camera is None else self.camera.shape[1]
        if given not in (0, k):
            raise ValueError(f"phi was made for cameras of {k} numbers: got {given}; pass cameras={given} to it")
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
    """What phi's answer is drawn to: `share` times the squared distance, in phi's own kind of prediction.

    Attributes:
        share: weight of this target; negative ones push away.
        z: the signal, (b, *d).
        eps: the noise, (b, *d).
    """

    share: float
    z: Float[Tensor, "b *d"]
    eps: Float[Tensor, "b *d"]


@runtime_checkable
class Auxiliary(Protocol):
    """What predicts and learns beside the prior: frozen hyperparameters; all that changes lives in its state.

    A state holds modules, optimizers, tensors and numbers inside frozen dataclasses, so that a checkpoint keeps it
    whole. Its modules learn in place: of two states of one run, the older one's have moved on too.
    """

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> Any:
        """The state before the first step; no prior call, no random number but its own seed's."""
        ...

    def predict(self, state: Any, inputs: AuxiliaryInput) -> Prediction:
        """What phi says of the noised particles; no graph leads back to it."""
        ...

    def update(
        self, state: Any, inputs: AuxiliaryInput, targets: tuple[AuxiliaryTarget, ...]
    ) -> tuple[Any, Float[Tensor, "b"]]:
        """One training step; the next state and each row's loss before it."""
        ...
