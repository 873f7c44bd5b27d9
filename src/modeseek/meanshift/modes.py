"""All modes of a smoothed density: many starts, merged."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.meanshift.mean_shift import MeanShift, mean_shift
from modeseek.priors.base import DensityPrior, Prior
from modeseek.pytree import Cond
from modeseek.rng import Rng, rand
from modeseek.sampling.samplers import heun


@dataclass(frozen=True)
class Modes:
    """Distinct modes, heaviest basin first.

    Attributes:
        z: (m, *d).
        weight: share of the starts that ended in each, (m,), summing to 1.
        label: which mode each start ended in, -1 where it did not converge, (n,).
        log_prob: `log p_h` at each mode where known, else None.
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
    """Starts drawn from the prior itself climb p_h; end points closer than `merge * bandwidth` are one mode.

    The share of starts that ends in a mode estimates its basin's mass. Starts come from the prior's own samples where
    it has them, else from 32 Heun steps; on raw samples they are samples, all of them if n_starts reaches that far.

    Args:
        prior_or_samples: a prior, or raw samples (n, *d).
        bandwidth: h, positive.
        n_starts: how many starts.
        rng: for the starts.
        cond: condition of the prior, with a leading axis of 1.
        starts: use these instead.
        tol: relative shift at which a start has arrived.
        merge: merging radius in bandwidths.
        max_steps: prior calls a start may take.

    Raises:
        ValueError: bad bandwidth or n_starts, or no start that converged.
    """
    if n_starts < 1:
        raise ValueError(f"find_modes needs at least one start: got n_starts={n_starts}; raise it")
    z = _starts(prior_or_samples, n_starts, rng, cond) if starts is None else starts
    ended = mean_shift(prior_or_samples, z, bandwidth, tol=tol, max_steps=max_steps, cond=cond)
    if not ended.converged.any():
        raise ValueError(f"no start of {len(z)} reached a mode in {max_steps} steps: raise max_steps, tol or bandwidth")
    return merge_modes(ended, merge * float(bandwidth))


def merge_modes(result: MeanShift, radius: float) -> Modes:
    """Groups converged end points: each, best density first, joins the first mode within `radius` or founds one."""
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
    rename = torch.empty_like(by_weight)
    rename[by_weight] = torch.arange(len(founders), device=label.device)
    label = torch.where(label >= 0, rename[label.clamp(min=0)], label)
    chosen = torch.tensor(founders, device=label.device)[by_weight]
    log_p = None if result.log_prob is None else result.log_prob[chosen]
    return Modes(result.z[chosen], count[by_weight].to(result.z) / count.sum(), label, log_p)


def _starts(source: Prior | Tensor, n: int, rng: Rng, cond: Cond) -> Tensor:
    if isinstance(source, Tensor):
        if n >= len(source):
            return source
        return source[rand((len(source),), rng, source.flatten(1)[:, 0]).argsort()[:n]]
    if isinstance(source, DensityPrior):
        return source.sample(n, rng, cond)
    return heun(source, source.start(n, rng), source.grid(32), cond)
