"""Entropic score distillation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction
from modeseek.methods.auxiliary import AuxiliaryInput
from modeseek.methods.vsd import VSD, VSDState
from modeseek.priors.base import Prior


@dataclass(frozen=True)
class ESD(VSD):
    """ESD (Wang et al. 2024, arXiv 2401.00909): VSD with phi blended over camera-free and camera-conditional branches.

    `eps_phi = entropy eps_phi(z_t; y) + (1 - entropy) eps_phi(z_t; y, c)`, c the camera.

    The camera-free branch is the score of all views together: subtracting it rewards views that differ, while VSD's
    alone lets every view fall into the same mode (the Janus problem). entropy 0 is VSD, 1 is VSD whose phi is never
    conditioned on a camera. threestudio's `guidance_scale_lora` is 1 - entropy.

    Both branches are one batched evaluation of phi; prior calls are as in VSD.

    Attributes:
        entropy: share of the camera-free branch, the paper's lambda, in [0, 1].
    """

    references: ClassVar[tuple[str, ...]] = ("esd", "vsd")
    entropy: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.entropy <= 1:
            raise ValueError(f"ESD entropy must be in [0, 1], got {self.entropy}; try 0, which is VSD")

    @property
    def needs_cameras(self) -> bool:
        """True unless entropy is 0, which is VSD."""
        return self.entropy > 0

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> VSDState:
        if self.entropy > 0 and self.camera is None:
            raise ValueError(
                f"ESD with entropy > 0 needs a camera, got entropy={self.entropy} and camera=None; try camera=pose "
                "with a 3D generator, or entropy=0"
            )
        return super().init(z, prior)

    def _predict_auxiliary(self, phi: Any, inputs: AuxiliaryInput) -> Prediction:
        if self.entropy == 0:
            return super()._predict_auxiliary(phi, inputs)
        n = len(inputs.z)
        rows = torch.arange(n, device=inputs.z.device)
        hidden = torch.zeros_like(rows, dtype=torch.bool)
        if self.entropy == 1:
            return super()._predict_auxiliary(phi, inputs.take(rows, hidden))
        both = super()._predict_auxiliary(phi, inputs.take(rows.repeat(2), torch.cat([~hidden, hidden])))
        z, eps = (self._blend(part, n) for part in (both.z, both.eps))
        return Prediction.from_z_and_eps(
            inputs.z_t, inputs.alpha, inputs.sigma, z, eps, both.clamped[:n] | both.clamped[n:]
        )

    def _blend(self, part: Tensor, n: int) -> Tensor:
        return (1 - self.entropy) * part[:n] + self.entropy * part[n:]
