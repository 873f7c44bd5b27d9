"""Repulsive score distillation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput


@runtime_checkable
class Kernel(Protocol):
    """Repulsion kernel between particles: squared feature distances (n, n) to log k (n, n), differentiable."""

    def __call__(self, squared: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
        """Returns log k of every pair; the diagonal is not used."""
        ...


@dataclass(frozen=True)
class RBF:
    """`log k = -|h_i - h_j|^2 / width`.

    Attributes:
        width: kernel width in squared units of the features, > 0; None is the median heuristic,
            `median^2 / log(n - 1)` over the distances of all pairs (Liu and Wang 2016, arXiv 1608.04471), detached.
            For n - 1 < 2 log 2 replaces the logarithm, which would be 0. If more than half of the pairs coincide the
            median is 0 and the mean replaces it.
    """

    width: float | None = None

    def __post_init__(self) -> None:
        if self.width is not None and not 0 < self.width < math.inf:
            raise ValueError(f"RBF width must be positive and finite, got {self.width}; try None, the median heuristic")

    def __call__(self, squared: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
        width = self.median_width(squared.detach()) if self.width is None else squared.new_tensor(self.width)
        return -squared / width

    def median_width(self, squared: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
        """Returns the width of the median heuristic; 1 if all particles coincide (the width then has no effect)."""
        n = len(squared)
        pairs = squared[torch.triu_indices(n, n, 1, device=squared.device).unbind()].sqrt()
        median = pairs.quantile(0.5)
        median = torch.where(median > 0, median, pairs.mean())
        width = median**2 / math.log(max(n - 1, 2))
        return torch.where(width > 0, width, 1.0)


@dataclass(frozen=True)
class RSD(NoisingMethod):
    """RSD (Zilberstein et al. 2024, arXiv 2406.16683): SDS with repulsion between particles.

    `grad_i = w (eps(z_t,i) - n_i) + w repulsion sigma grad_{z_i} log sum_{j != i} k(h(z_i), h(z_j))`: descending it
    lowers the kernels. The rows of z are the particles; rows that are views of one particle (`context.particle`) do
    not repel each other. n = 1 is SDS, and so is repulsion = 0. The original scales the repulsion by sigma^2 where the
    paper has sigma, computes features of noised latents, and has an infinite width at n = 2.

    Costs 1 prior call per row, plus the evaluation of the features; guidance: pass a `Guided` prior.

    Attributes:
        times: distribution of t in [0, 1], one draw per row.
        repulsion: repulsion strength, the paper's gamma, >= 0 (the authors' configuration: 200, features off).
        kernel: kernel of feature distances.
        features: feature map h from z (n, *d) to (n, m), differentiable; None is z itself, flattened.
        weight: loss weight w(alpha, sigma).
    """

    references: ClassVar[tuple[str, ...]] = ("rsd",)
    guides: ClassVar[bool] = False
    times: Times = Uniform(0.02, 0.98)
    repulsion: float = 1.0
    kernel: Kernel = RBF()
    features: Callable[[Tensor], Tensor] | None = None
    weight: Weight = sigma_squared

    def __post_init__(self) -> None:
        if not 0 <= self.repulsion < math.inf:
            raise ValueError(f"RSD repulsion must be >= 0 and finite, got {self.repulsion}; try 0, which is SDS")

    @property
    def block(self) -> int | None:
        """Whole batch, as all particles repel each other; 1 without repulsion."""
        return None if self.repulsion > 0 else 1

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        prediction = noised.predict(inputs.prior, inputs.conditions)
        residual = prediction.eps - noised.eps
        if self.repulsion > 0 and len(noised.z) > 1:
            force = self.repulsion_gradient(noised.z, None if inputs.context is None else inputs.context.particle)
            residual = residual + expand_like(self.repulsion * noised.sigma, residual) * force
        return noised.direction(self.weight, residual, prediction)

    def repulsion_gradient(self, z: Float[Tensor, "b *d"], particle: Tensor | None = None) -> Float[Tensor, "b *d"]:
        """Returns `grad_{z_i} log sum_{j != i} k(h(z_i), h(z_j))`, z_j constant; 0 for a particle without others."""
        n = len(z)
        index = torch.arange(n, device=z.device) if particle is None else particle
        same = index[:, None] == index[None, :]
        has_others = ~same.all(1)
        if not has_others.any():
            return torch.zeros_like(z)
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            h = leaf.flatten(1) if self.features is None else self.features(leaf)
            if h.ndim != 2 or len(h) != n:
                raise ValueError(f"RSD features must have shape ({n}, m), got {tuple(h.shape)}; try flattening them")
            squared = (h[:, None] - h.detach()[None]).square().sum(-1)
            log_kernel = self.kernel(squared).masked_fill(same, -torch.inf)[has_others]
            return torch.autograd.grad(log_kernel.logsumexp(1).sum(), leaf)[0]
