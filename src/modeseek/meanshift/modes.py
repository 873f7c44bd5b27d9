"""Mode finding: mean shift from many starts, with merged end points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.meanshift.mean_shift import MeanShift, mean_shift
from modeseek.priors.base import DensityPrior, Prior
from modeseek.priors.wrapper import find_denoiser
from modeseek.pytree import Cond
from modeseek.rng import Rng, rand
from modeseek.sampling.samplers import heun


@dataclass(frozen=True)
class Modes:
    """Distinct modes of a smoothed density, in descending order of basin mass.

    Attributes:
        z: modes, (m, *d).
        weight: basin mass: fraction of the converged starts in each mode, (m,), summing to 1.
        label: mode index of each start, (n,); -1 if it did not converge.
        log_prob: smoothed log density `log p_h` at each mode, (m,); None for priors without a density.
    """

    z: Float[Tensor, "m *d"]
    weight: Float[Tensor, "m"]
    label: Int[Tensor, "n"]
    log_prob: Float[Tensor, "m"] | None


def find_modes(
    prior_or_samples: Prior | Tensor,
    bandwidth: float,
    n_starts: int = 256,
    *,
    rng: Rng,
    cond: Cond = None,
    starts: Tensor | None = None,
    tol: float = 1e-6,
    merge: float = 0.1,
    max_steps: int = 2000,
) -> Modes:
    """Runs mean shift on p_h from samples of the prior; end points within `merge * bandwidth` are one mode.

    The fraction of starts that ends in a mode estimates its basin mass. Starts are exact samples of the prior if it has
    a sampler, otherwise 32 Heun steps; for raw samples they are a random subset, or all samples if n_starts is larger.

    Args:
        prior_or_samples: prior, or raw samples (n, *d).
        bandwidth: bandwidth h > 0 in units of z.
        n_starts: number of starts, >= 1.
        rng: random stream of the starts.
        cond: condition of the prior, with a leading axis of 1.
        starts: starting points instead of samples, (n, *d).
        tol: tolerance on the relative shift, > 0.
        merge: merging radius in bandwidths.
        max_steps: largest number of prior calls per start, >= 1.

    Raises:
        ValueError: an invalid bandwidth or n_starts, or no start that converged.
    """
    if n_starts < 1:
        raise ValueError(f"find_modes needs at least one start, got n_starts={n_starts}")
    z = _starts(prior_or_samples, n_starts, rng, cond) if starts is None else starts
    result = mean_shift(prior_or_samples, z, bandwidth, tol=tol, max_steps=max_steps, cond=cond)
    if not result.converged.any():
        raise ValueError(f"no start of {len(z)} reached a mode in {max_steps} steps; raise max_steps, tol or bandwidth")
    return merge_modes(result, merge * float(bandwidth))


def merge_modes(result: MeanShift, radius: float) -> Modes:
    """Merges converged end points greedily: by descending density, each joins a mode within `radius` or founds one."""
    rank = -result.relative_shift if result.log_prob is None else result.log_prob
    order = rank.masked_fill(~result.converged, -torch.inf).argsort(descending=True)
    order = order[: int(result.converged.sum())]
    label = torch.full_like(result.steps, -1)
    flat = result.z.flatten(1)
    founders: list[int] = []
    while len(order):
        founder = int(order[0])
        close = (flat[order] - flat[founder]).norm(dim=1) <= radius
        label[order[close]] = len(founders)
        founders.append(founder)
        order = order[~close]
    count = torch.bincount(label[label >= 0], minlength=len(founders))
    by_weight = count.argsort(descending=True, stable=True)
    new_label = torch.empty_like(by_weight)
    new_label[by_weight] = torch.arange(len(founders), device=label.device)
    label = torch.where(label >= 0, new_label[label.clamp(min=0)], label)
    mode_rows = torch.tensor(founders, device=label.device)[by_weight]
    log_p = None if result.log_prob is None else result.log_prob[mode_rows]
    return Modes(result.z[mode_rows], count[by_weight].to(result.z) / count.sum(), label, log_p)


def _starts(source: Prior | Tensor, n: int, rng: Rng, cond: Cond) -> Tensor:
    if isinstance(source, Tensor):
        if n >= len(source):
            return source
        return source[rand((len(source),), rng, source.flatten(1)[:, 0]).argsort()[:n]]
    prior = find_denoiser(source)
    if isinstance(prior, DensityPrior):
        return prior.sample(n, rng, cond)
    return heun(prior, prior.start(n, rng), prior.grid(32), cond)
