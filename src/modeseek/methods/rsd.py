"""Repulsive score distillation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import sample_noised
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng


@runtime_checkable
class Kernel(Protocol):
    """How strongly particles feel each other: squared distances of features (n, n) -> log k, differentiable."""

    def __call__(self, squared: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
        """log k of every pair; the diagonal is not used."""
        ...


@dataclass(frozen=True)
class RBF:
    """`log k = -|h_i - h_j|^2 / width`.

    Attributes:
        width: in squared units of the features; None is the median heuristic, `median^2 / log(n - 1)` over the
            distances of all pairs (Liu and Wang 2016, arXiv 1608.04471), taken as a constant. Where n - 1 < 2 its
            logarithm would be 0 and the width infinite: log 2 stands there. Where more than half of the pairs
            coincide the median is 0: the mean takes its place.
    """

    width: float | None = None

    def __post_init__(self) -> None:
        if self.width is not None and not 0 < self.width < math.inf:
            raise ValueError(f"RBF width is positive: got {self.width}; None is the median heuristic")

    def __call__(self, squared: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
        width = self.median_width(squared.detach()) if self.width is None else squared.new_tensor(self.width)
        return -squared / width

    def median_width(self, squared: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
        """The median heuristic; 1 where all particles coincide, and no width matters."""
        n = len(squared)
        pairs = squared[torch.triu_indices(n, n, 1, device=squared.device).unbind()].sqrt()
        middle = pairs.quantile(0.5)
        middle = torch.where(middle > 0, middle, pairs.mean())
        width = middle**2 / math.log(max(n - 1, 2))
        return torch.where(width > 0, width, 1.0)


@dataclass(frozen=True)
class RSD:
    """RSD (Zilberstein et al. 2024, arXiv 2406.16683): SDS, and particles that push each other apart.

    `grad_i = w (eps(z_t,i) - n_i) + w repulsion sigma grad_{z_i} log sum_{j != i} k(h(z_i), h(z_j))`: descending it
    lowers the kernels. The rows of z are the particles; rows that are views of one particle (`context.particle`) leave
    each other alone. One particle feels nothing: n = 1 is SDS, and so is repulsion = 0. The original scales the
    repulsion by sigma^2 where the paper has sigma, feeds noised latents to its features, and has an infinite width at
    n = 2.

    One call of the given prior a row, and the features' own cost; guidance: pass a `Guided` prior.

    Attributes:
        times: which noise levels to visit, per row.
        repulsion: gamma (the authors' configuration: 200, features off).
        kernel: of features.
        features: h, from z (n, *d) to (n, m), differentiable; None is z itself, flattened.
        weight: w(alpha, sigma).
    """

    times: Times = Uniform(0.02, 0.98)
    repulsion: float = 1.0
    kernel: Kernel = RBF()
    features: Callable[[Tensor], Tensor] | None = None
    weight: Weight = sigma_squared

    def __post_init__(self) -> None:
        if not 0 <= self.repulsion < math.inf:
            raise ValueError(f"RSD repulsion is at least 0: got {self.repulsion}; 0 is SDS")

    @property
    def block(self) -> int | None:
        """All particles feel each other."""
        return None if self.repulsion > 0 else 1

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        return None

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: None,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, None]:
        """The direction; no state."""
        z = z.detach()
        at = sample_noised(z, prior, self.times, progress, rng)
        prediction = prior.at(at.z_t, at.alpha, at.sigma, conditions)
        grad = prediction.eps - at.eps
        if self.repulsion > 0 and len(z) > 1:
            force = self.repulsion_gradient(z, None if context is None else context.particle)
            grad = grad + expand_like(self.repulsion * at.sigma, z) * force
        grad = expand_like(self.weight(at.alpha, at.sigma), z) * grad
        return Direction(grad, t=at.t, eps=at.eps, prediction=prediction, logs={"t": at.t}), None

    def repulsion_gradient(self, z: Float[Tensor, "b *d"], particle: Tensor | None = None) -> Float[Tensor, "b *d"]:
        """`grad_{z_i} log sum_{j != i} k(h(z_i), h(z_j))`, the others held still; 0 for a particle without others."""
        n = len(z)
        number = torch.arange(n, device=z.device) if particle is None else particle
        same = number[:, None] == number[None, :]
        crowded = ~same.all(1)
        if not crowded.any():
            return torch.zeros_like(z)
        with torch.enable_grad():
            own = z.detach().requires_grad_()
            h = own.flatten(1) if self.features is None else self.features(own)
            if h.ndim != 2 or len(h) != n:
                raise ValueError(f"RSD features are ({n}, m): got {tuple(h.shape)}; flatten them")
            squared = (h[:, None] - h.detach()[None]).square().sum(-1)
            logs = self.kernel(squared).masked_fill(same, -torch.inf)[crowded]
            return torch.autograd.grad(logs.logsumexp(1).sum(), own)[0]
