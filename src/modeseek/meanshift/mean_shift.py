"""Mean shift: climbing the density smoothed by a Gaussian kernel, on samples or on any prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.meanshift.anderson import AndersonAcceleration
from modeseek.meanshift.kd_tree import KDTreeMeanShift
from modeseek.priors.base import DensityPrior, Prior, select_conditions
from modeseek.priors.empirical import Empirical
from modeseek.pytree import Cond


def shift(
    prior: Prior, z: Float[Tensor, "b *d"], bandwidth: float | Tensor, cond: Cond = None
) -> Float[Tensor, "b *d"]:
    """The mean-shift vector `D(z; h) - z = h^2 grad log p_h(z) = -h eps`. One prior call a row.

    `p_h = p * N(0, h^2 I)`; for a finite data set this is the classical mean-shift step with a Gaussian kernel
    (Fukunaga and Hostetler 1975; Comaniciu and Meer 2002).

    Args:
        prior: any prior, or a guided one.
        z: points, clean.
        bandwidth: h, positive, one number or one per row, in units of z.
        cond: condition of the prior.

    Raises:
        ValueError: a bandwidth that is not positive and finite.
    """
    return _step(prior, z, validate_bandwidth(bandwidth, z), cond)[0]


@dataclass(frozen=True)
class MeanShift:
    """Where mean shift ended.

    Attributes:
        z: end points, (b, *d).
        steps: prior calls each start took, (b,).
        converged: whether the relative shift fell below the tolerance, (b,).
        relative_shift: `|shift| / (h sqrt(d))` at z, (b,).
        log_prob: `log p_h(z)` where the prior has a density, else None.
    """

    z: Float[Tensor, "b *d"]
    steps: Int[Tensor, "b"]
    converged: Bool[Tensor, "b"]
    relative_shift: Float[Tensor, "b"]
    log_prob: Float[Tensor, "b"] | None


def mean_shift(
    prior_or_samples: Prior | Tensor,
    z: Float[Tensor, "b *d"],
    bandwidth: float | Tensor,
    tol: float = 1e-6,
    max_steps: int = 1000,
    accelerate: bool = True,
    cond: Cond = None,
    truncate: bool = True,
) -> MeanShift:
    """Iterates `z <- D(z; h)` until `|shift| <= tol h sqrt(d)`; starts that have converged cost nothing more.

    Accelerated, each start extrapolates its last steps (Anderson 1965; Walker and Ni 2011). An extrapolated point is
    kept only if it is safe: log p_h rose by at least `|shift|^2 / (2 h^2)`, which is what a plain step guarantees
    (it is an EM step: Carreira-Perpinan, arXiv 1503.00687), or, where the prior has no density, the relative shift
    did not grow. A refused point is followed by a step along the shift, plain at first and longer as long as that is
    safe.

    Args:
        prior_or_samples: a prior, or raw samples (n, *d).
        z: starts.
        bandwidth: h, positive, one number or one per start.
        tol: on the relative shift.
        max_steps: prior calls a start may take.
        accelerate: Anderson, or the plain iteration.
        cond: condition of the prior, per start.
        truncate: on samples of up to 4 dimensions, skip samples more than 6 h away (weight below 2e-8) by a spatial
            index; else every sample is visited.

    Raises:
        ValueError: bad bandwidth, tol, max_steps, or samples whose shape does not fit z.
    """
    if not tol > 0 or max_steps < 1:
        raise ValueError(f"mean_shift needs tol > 0 and max_steps >= 1: got {tol} and {max_steps}; raise them")
    h = validate_bandwidth(bandwidth, z)
    field = _shift_function(prior_or_samples, z, h, cond, truncate)
    unit = h * z[0].numel() ** 0.5
    z = z.clone()
    vector, log_p = field(z, torch.arange(len(z), device=z.device))
    relative = vector.flatten(1).norm(dim=1) / unit
    steps = torch.ones(len(z), dtype=torch.long, device=z.device)
    memory = AndersonAcceleration(z.flatten(1)) if accelerate else None
    cautious = torch.zeros_like(steps, dtype=torch.bool)
    stride = torch.ones_like(relative)
    for _ in range(max_steps - 1):
        rows = (relative > tol).nonzero()[:, 0]
        if len(rows) == 0:
            break
        here, there = z[rows], z[rows] + vector[rows]
        bold = torch.zeros_like(rows, dtype=torch.bool)
        if memory is not None:
            ahead, bold = memory.propose(rows, here.flatten(1), vector[rows].flatten(1))
            careful = cautious[rows]
            stretched = here + expand_like(stride[rows], here) * vector[rows]
            there = torch.where(expand_like(careful, there), stretched, there)
            there = torch.where(expand_like(bold & ~careful, there), ahead.reshape(there.shape), there)
            bold = torch.where(careful, stride[rows] > 1, bold)
        new_vector, new_log_p = field(there, rows)
        new_relative = new_vector.flatten(1).norm(dim=1) / unit[rows]
        if log_p is None or new_log_p is None:
            safe = new_relative <= relative[rows]
        else:
            slack = 16 * torch.finfo(log_p.dtype).eps * (1 + log_p[rows].abs())
            gain = 0.5 * z[0].numel() * relative[rows] ** 2
            safe = new_log_p >= log_p[rows] + gain - slack
        taken = safe | ~bold
        kept = rows[taken]
        steps[rows] += 1
        z[kept], vector[kept], relative[kept] = there[taken], new_vector[taken], new_relative[taken]
        if log_p is not None and new_log_p is not None:
            log_p[kept] = new_log_p[taken]
        if memory is not None:
            # a refused extrapolation is followed by a stretched step; stretched steps grow while they are safe
            strode = cautious[rows]
            grown = torch.where(taken, 2 * stride[rows], (stride[rows] / 4).clamp(min=1.0))
            stride[rows] = torch.where(strode, grown, stride[rows])
        cautious[rows] = ~taken
        if memory is not None:
            memory.reset(rows[~taken])
    return MeanShift(z, steps, relative <= tol, relative, log_p)


def validate_bandwidth(bandwidth: float | Tensor, z: Tensor) -> Float[Tensor, "b"]:
    """One bandwidth per row, or ValueError where it is not positive and finite."""
    h = torch.as_tensor(bandwidth, dtype=z.dtype, device=z.device)
    if h.ndim > 1 or not (h > 0).all() or not h.isfinite().all():
        raise ValueError(f"a bandwidth is positive and finite, one number or one per row: got {bandwidth}; fix it")
    if h.ndim == 1 and len(h) not in (1, len(z)):
        raise ValueError(f"bandwidths must be one or one per row ({len(z)}): got {len(h)}; match them")
    return h.expand(len(z))


ShiftFunction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor | None]]


def _shift_function(source: Prior | Tensor, z: Tensor, h: Tensor, cond: Cond, truncate: bool) -> ShiftFunction:
    """Shift and log p_h (None where unknown) at points of the given starts."""
    if isinstance(source, Tensor):
        if source.shape[1:] != z.shape[1:]:
            raise ValueError(
                f"samples {tuple(source.shape)} and starts {tuple(z.shape)} must agree but for the first axis"
            )
        if truncate and source.ndim == 2 and source.shape[1] <= 4:
            index = KDTreeMeanShift(source)
            return lambda x, rows: index.shift(x, h[rows])
        source = Empirical(source)
    prior = source

    def field(x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        return _step(prior, x, h[rows], select_conditions(cond, rows))

    return field


def _step(prior: Prior, z: Tensor, h: Tensor, cond: Cond) -> tuple[Tensor, Tensor | None]:
    if isinstance(prior, DensityPrior):
        prediction, log_p = prior.evaluate(z, torch.ones_like(h), h, cond)
    else:
        prediction, log_p = prior.at(z, torch.ones_like(h), h, cond), None
    return -expand_like(h, z) * prediction.eps, log_p
