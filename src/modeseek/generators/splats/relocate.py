"""Relocation of transparent splats onto opaque ones, at fixed capacity and without a change of the image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from modeseek.generators.relocation import Relocation, reset_moments
from modeseek.generators.splats.projection import rotation_matrices
from modeseek.rng import Rng, rand, randn

_MOST_COPIES = 51  # at one place, as in the authors' code


@runtime_checkable
class SplatParameters(Protocol):
    """Parameters of splats, as `Splats` holds them."""

    means: nn.Parameter
    quats: nn.Parameter
    log_scales: nn.Parameter
    logits: nn.Parameter
    colors: nn.Parameter


@dataclass(frozen=True)
class RelocateSplats:
    """Policy of relocation (3DGS-MCMC, Kheradmand et al. 2024, arXiv 2404.09591).

    A splat is dead if its opacity has fallen below `opacity`, or if it has grown larger than `scale`: otherwise a few
    grow to the size of the image, a haze that a background of the same colour hides from the prior. A dead splat moves
    to a living one, drawn with a probability proportional to its opacity. With N splats at one place each has the
    opacity `o' = 1 - (1 - o)^(1/N)` and scales corrected such that the composited splats show what the one did. Moments
    of the optimizer of all N are reset.

    Attributes:
        every: number of steps between relocations, >= 1.
        opacity: opacity below which a splat is dead, in [0, 1).
        scale: largest standard deviation above which a splat is dead, world units, > 0.
        until: progress of the run from which no splat is relocated or moved any more, in [0, 1].
        noise: standard deviation of the noise on the centres after every step, in learning rates of the centres and
            standard deviations of the splat, >= 0; only nearly transparent splats move. 0 is none.
    """

    every: int = 5
    opacity: float = 0.02
    scale: float = 0.15
    until: float = 0.8
    noise: float = 0.0

    def __post_init__(self) -> None:
        valid = self.every >= 1 and 0 <= self.opacity < 1 and 0 <= self.until <= 1 and 0 <= self.noise < math.inf
        valid = valid and self.scale > 0
        if not valid:
            raise ValueError(
                "relocation needs every >= 1, opacity in [0, 1), scale > 0, until in [0, 1] and noise >= 0, got "
                f"{self}; try RelocateSplats()"
            )

    @torch.no_grad()
    def apply(
        self, splats: SplatParameters, optimizer: torch.optim.Optimizer, step: int, rng: Rng
    ) -> Relocation | None:
        """Relocates dead splats where it is due, and adds the noise; None if none was relocated."""
        if self.noise > 0:
            self._move(splats, _learning_rate(optimizer, splats.means), rng)
        if (step + 1) % self.every:
            return None
        opacity = splats.logits.sigmoid()
        ended = (opacity < self.opacity) | (splats.log_scales.amax(1) > math.log(self.scale))
        dead, alive = ended.nonzero()[:, 0], torch.where(ended, 0.0, opacity)
        if not len(dead) or not (alive > 0).any():
            return None
        total = alive.double().cumsum(0)
        draws = rand((len(dead),), rng, splats.means).double()
        host = torch.searchsorted(total, draws * total[-1], right=True).clamp(max=len(total) - 1)
        copies = torch.bincount(host, minlength=len(total)) + 1
        hosts = (copies > 1).nonzero()[:, 0]
        shared, factor = split_opacity(opacity[hosts], copies[hosts])
        splats.logits[hosts] = shared.clamp(max=1 - torch.finfo(shared.dtype).eps).logit()
        splats.log_scales[hosts] += factor.log()[:, None]
        parameters = (splats.means, splats.quats, splats.log_scales, splats.logits, splats.colors)
        for parameter in parameters:
            parameter[dead] = parameter[host]
            reset_moments(optimizer, parameter, (torch.cat([dead, hosts]),))
        return Relocation((0,) * len(dead), tuple(dead.tolist()))

    def _move(self, splats: SplatParameters, rate: float, rng: Rng) -> None:
        """Adds noise with the shape of each splat to the centres, less the more opaque it is."""
        freedom = torch.sigmoid(-100 * (splats.logits.sigmoid() - self.opacity))
        spread = rotation_matrices(splats.quats) * splats.log_scales.exp()[:, None]
        noise = (spread @ randn(tuple(splats.means.shape), rng, splats.means)[..., None]).squeeze(-1)
        splats.means.add_(self.noise * rate * freedom[:, None] * noise)


def split_opacity(
    opacity: Float[Tensor, "m"], copies: Int[Tensor, "m"]
) -> tuple[Float[Tensor, "m"], Float[Tensor, "m"]]:
    """Returns the opacity of each of N equal splats that show what one did, and the factor of their scales.

    `o' = 1 - (1 - o)^(1/N)` composites to o at the centre. The factor keeps the integral over a line through the
    centre: `o / sum_{i=1..N} sum_{k=0..i-1} C(i-1, k) (-1)^k o'^(k+1) / sqrt(k + 1)`, in float64; N is at most 51.
    """
    count = copies.clamp(max=_MOST_COPIES)
    shared = 1 - (1 - opacity.double()) ** (1 / count.double())
    terms = torch.zeros_like(shared)
    for i in range(1, int(count.max()) + 1 if len(count) else 1):
        powers = sum(math.comb(i - 1, k) * (-1) ** k / math.sqrt(k + 1) * shared ** (k + 1) for k in range(i))
        terms = terms + torch.where(count >= i, powers, 0.0)
    return shared.to(opacity), (opacity.double() / terms).to(opacity)


def _learning_rate(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> float:
    """Present learning rate of a parameter; 0 if the optimizer does not have it."""
    rates = (group["lr"] for group in optimizer.param_groups if any(p is parameter for p in group["params"]))
    return float(next(rates, 0.0))
