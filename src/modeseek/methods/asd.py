"""Adversarial score distillation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from modeseek.methods.auxiliary import AuxiliaryInput, AuxiliaryTarget
from modeseek.methods.vsd import VSD
from modeseek.priors.base import Prior


@dataclass(frozen=True)
class ASD(VSD):
    """ASD (Wei et al. 2023, arXiv 2312.00739): VSD with phi trained on `|phi - n|^2 + gamma |phi - eps(z_t; y)|^2`.

    phi is a discriminator between particles and prior. Its optimum for gamma > -1 is
    `(E[n | z_t] + gamma eps(z_t; y)) / (1 + gamma)`: gamma < 0 moves phi beyond the particles' score, away from the
    prior's, so directions grow by `1 / (1 + gamma)`. At gamma = -1, the original's default, the squares cancel: the
    loss is linear in phi and has no minimum, and only the learning rate and the low rank of phi bound it; below -1 the
    loss is unbounded from below. Both raise an error unless `unbounded`. gamma = 0 is VSD.

    Costs as VSD, plus 1 prior call per row and training step if gamma is not 0.

    Attributes:
        gamma: weight of the prior's own prediction in phi's loss (the authors' configurations: -0.75 and -1).
        unbounded: True allows gamma <= -1.
    """

    references: ClassVar[tuple[str, ...]] = ("asd", "vsd")
    gamma: float = -0.75
    unbounded: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.gamma > -1 or self.unbounded) or not abs(self.gamma) < float("inf"):
            raise ValueError(
                f"ASD gamma must be > -1 for phi's loss to have a minimum, got {self.gamma}; try unbounded=True"
            )

    def _targets(self, inputs: AuxiliaryInput, prior: Prior, eps: Tensor) -> tuple[AuxiliaryTarget, ...]:
        targets = super()._targets(inputs, prior, eps)
        if self.gamma == 0:
            return targets
        p = prior.at(inputs.z_t, inputs.alpha, inputs.sigma, inputs.cond)
        return (*targets, AuxiliaryTarget(self.gamma, p.z.detach(), p.eps.detach()))
