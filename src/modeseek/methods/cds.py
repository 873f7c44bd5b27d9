"""Contrastive denoising score."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.editing import EditState, Source, init_edit, predict_pair, resolve_source
from modeseek.methods.noising import add_noise
from modeseek.methods.patch_nce import patch_nce
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.batched import evaluate_batched, require_conditions
from modeseek.priors.features import FeatureMap, FeaturePrior
from modeseek.priors.guidance import extrapolate, require_unguided
from modeseek.priors.wrapper import unwrap
from modeseek.pytree import Cond
from modeseek.rng import Rng, randn

Features = Callable[[Prior, Tensor, Tensor, Tensor, Cond], list[FeatureMap]]
"""Features of noised points: (prior, z_t, alpha, sigma, cond) -> maps (b, c, h, w), differentiable in z_t."""


@dataclass(frozen=True)
class CDS:
    """CDS (Nam et al. 2024, arXiv 2311.18608): `grad = w (eps_s - eps_s source) + cut (H W / 2000) d NCE / dz`.

    DDS with a contrastive loss that keeps the structure of the source: the self-attention features of the network at
    the noised target and the noised source, with the same noise, are compared patch by patch (`patch_nce`, patches of
    side 1 and 2, up to 256 of each layer), summed over layers. It is differentiated through the network to z. The
    authors descend `2000 / (H W) <z, eps_s - eps_s source> + 3 NCE` by SGD of rate 0.1; here the first term has the
    scale of DDS.

    Costs 4 prior calls per row, of an unguided prior, one of them with its backward pass; 2 at scale 1. Features come
    from the conditional branches of the same calls under a pipeline; from `features` otherwise, at the calls that it
    makes. The source prompt is `Conditions.source`.

    Attributes:
        source: z of the edited source; None is the initial z of the run (every step must then render the same items).
        times: distribution of t in [0, 1], one draw per row.
        weight: loss weight w(alpha, sigma) of DDS's term.
        scale: classifier-free guidance scale of both branches; 1 is no guidance.
        cut: weight of the contrastive loss, >= 0; 0 is DDS and needs no features.
        features: features of noised points for priors without; None is those of the network.
    """

    references: ClassVar[tuple[str, ...]] = ("cds", "dds", "cut")
    guides: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("source",)
    source: Source | None = None
    times: Times = Uniform(0.05, 0.95)
    weight: Weight = unit_weight
    scale: float = 7.5
    cut: float = 3.0
    features: Features | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.cut < float("inf"):
            raise ValueError(f"CDS cut must be >= 0 and finite, got {self.cut}; try 3, or 0, which is DDS")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> EditState:
        self._check(prior)
        return init_edit(self.source, z)

    def _check(self, prior: Prior) -> None:
        require_unguided(prior, "CDS")
        if self.cut > 0 and self.features is None and not isinstance(unwrap(prior), FeaturePrior):
            raise ValueError(
                f"CDS needs features of a network, got {type(unwrap(prior)).__name__}; try a pipeline, or features=..."
            )

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: EditState,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, EditState]:
        """Returns the direction at z and the unchanged state; logs the contrastive loss of each row.

        Raises:
            TypeError: the prior is already guided.
            ValueError: no source condition, no guidance baseline, no features, or a source that does not broadcast.
        """
        self._check(prior)
        z = z.detach()
        source = resolve_source(self.source, state, z, context)
        t = self.times(progress, len(z), rng).to(z, non_blocking=True)
        eps = randn(tuple(z.shape), rng, z)
        if self.cut == 0:
            target, origin = predict_pair(prior, z, source, t, eps, conditions, self.scale, "CDS")
            nce, pull = torch.zeros_like(t), torch.zeros_like(z)
        else:
            target, origin, nce, pull = self._contrast(prior, z, source, t, eps, conditions, rng)
        area = z[0].numel() if z.ndim < 3 else z.shape[-2] * z.shape[-1]
        grad = expand_like(self.weight(target.alpha, target.sigma), z) * (target.eps - origin.eps)
        grad = grad + self.cut * area / 2000 * pull
        return Direction(grad, t=t, eps=eps, prediction=target, logs={"t": t, "nce": nce}), state

    def _contrast(
        self,
        prior: Prior,
        z: Tensor,
        source: Tensor,
        t: Tensor,
        eps: Tensor,
        conditions: Conditions | None,
        rng: Rng,
    ) -> tuple[Prediction, Prediction, Tensor, Tensor]:
        """Returns both guided predictions, the contrastive loss of each row and its gradient in z."""
        conditions = require_conditions(conditions, "CDS", "positive", "source")
        level, inner = prior.schedule(t), unwrap(prior)

        def record() -> AbstractContextManager[list[FeatureMap]]:
            if self.features is None and isinstance(inner, FeaturePrior):
                return inner.record_features()
            return nullcontext([])

        noised, fixed = add_noise(z, eps, *level), add_noise(source, eps, *level)
        with torch.no_grad(), record() as of_source:
            origin = prior.at(fixed, *level, conditions.source)
            if self.features is not None:
                of_source = self.features(prior, fixed, *level, conditions.source)
        with torch.enable_grad(), record() as of_target:
            leaf = noised.detach().requires_grad_()
            target = prior.at(leaf, *level, conditions.positive)
            if self.features is not None:
                of_target = self.features(prior, leaf, *level, conditions.positive)
            losses = [
                patch_nce(f, g, rng, patch)
                for f, g in zip(of_target, of_source, strict=True)
                for patch in (1, 2)
                if min(f.shape[-2:]) >= patch
            ]
            nce = torch.stack([loss.to(z) for loss in losses]).sum(0)
            (slope,) = torch.autograd.grad(nce.sum(), leaf)
        pull = expand_like(level[0], z) * slope.to(z)
        target = Prediction(noised, *level, target.z.detach(), target.eps.detach(), target.clamped)
        if self.scale != 1:
            points = [(x, *level, conditions.baseline) for x in (noised, fixed)]
            bases, s = evaluate_batched(prior, points), torch.full_like(level[0], self.scale)
            target, origin = extrapolate(bases[0], target, s), extrapolate(bases[1], origin, s)
        return target, origin, nce.detach(), pull
