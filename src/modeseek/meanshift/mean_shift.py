"""Mean shift: gradient ascent on a density smoothed by a Gaussian kernel, for samples or any prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.meanshift.anderson import AndersonAcceleration
from modeseek.meanshift.kd_tree import KDTreeMeanShift
from modeseek.priors.base import Prior, select_conditions
from modeseek.priors.empirical import Empirical
from modeseek.priors.wrapper import find_density, select_rows
from modeseek.pytree import Cond


def shift(
    prior: Prior, z: Float[Tensor, "b *d"], bandwidth: float | Tensor, cond: Cond = None
) -> Float[Tensor, "b *d"]:
    """Returns the mean-shift vector `D(z; h) - z = h^2 grad log p_h(z) = -h eps`. One prior call per row.

    `p_h = p * N(0, h^2 I)`; for a finite data set this is the classical mean-shift step with a Gaussian kernel
    (Fukunaga and Hostetler 1975; Comaniciu and Meer 2002).

    Args:
        prior: any prior, guided ones included.
        z: clean points, (b, *d).
        bandwidth: bandwidth h > 0 in units of z, one number or one per row.
        cond: condition of the prior.

    Raises:
        ValueError: a bandwidth that is not positive and finite.
    """
    return _step(prior, z, validate_bandwidth(bandwidth, z), cond)[0]


@dataclass(frozen=True)
class MeanShift:
    """Result of mean shift, one row per start.

    Attributes:
        z: end points, (b, *d).
        steps: number of prior calls of each start, (b,).
        converged: mask of the starts whose relative shift fell below the tolerance, (b,).
        relative_shift: relative shift `|shift| / (h sqrt(d))` at z, (b,).
        log_prob: smoothed log density `log p_h(z)`, (b,); None for priors without a density.
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
    """Iterates `z <- D(z; h)` until `|shift| <= tol h sqrt(d)`; converged starts cost no further prior calls.

    With acceleration each start extrapolates its last steps (Anderson 1965; Walker and Ni 2011). An extrapolated point
    is accepted only if log p_h increased by at least `|shift|^2 / (2 h^2)`, the guarantee of a plain step (an EM step:
    Carreira-Perpinan, arXiv 1503.00687), or, for priors without a density, if the relative shift did not increase.
    After a rejected point come steps along the shift, plain at first, then longer while they are accepted.

    Args:
        prior_or_samples: prior, or raw samples (n, *d).
        z: starting points, (b, *d).
        bandwidth: bandwidth h > 0 in units of z, one number or one per start.
        tol: tolerance on the relative shift, > 0.
        max_steps: largest number of prior calls per start, >= 1.
        accelerate: whether to use Anderson acceleration; otherwise plain mean shift.
        cond: condition of the prior, per start.
        truncate: whether a k-d tree skips samples more than 6 h away (weight below 2e-8), for samples of up to 4
            dimensions; otherwise every sample is visited.

    Raises:
        ValueError: an invalid bandwidth, tol or max_steps, or samples whose shape does not match z.
    """
    if not tol > 0 or max_steps < 1:
        raise ValueError(f"mean_shift needs tol > 0 and max_steps >= 1, got {tol} and {max_steps}")
    h = validate_bandwidth(bandwidth, z)
    shift_at = _shift_function(prior_or_samples, z, h, cond, truncate)
    unit = h * z[0].numel() ** 0.5
    z = z.clone()
    vector, log_p = shift_at(z, torch.arange(len(z), device=z.device))
    relative = vector.flatten(1).norm(dim=1) / unit
    steps = torch.ones(len(z), dtype=torch.long, device=z.device)
    anderson = AndersonAcceleration(z.flatten(1)) if accelerate else None
    stretching = torch.zeros_like(steps, dtype=torch.bool)
    stride = torch.ones_like(relative)
    for _ in range(max_steps - 1):
        rows = (relative > tol).nonzero()[:, 0]
        if len(rows) == 0:
            break
        current, proposal = z[rows], z[rows] + vector[rows]
        tentative = torch.zeros_like(rows, dtype=torch.bool)
        if anderson is not None:
            extrapolated, tentative = anderson.propose(rows, current.flatten(1), vector[rows].flatten(1))
            stretch = stretching[rows]
            stretched = current + expand_like(stride[rows], current) * vector[rows]
            proposal = torch.where(expand_like(stretch, proposal), stretched, proposal)
            extrapolate = expand_like(tentative & ~stretch, proposal)
            proposal = torch.where(extrapolate, extrapolated.reshape(proposal.shape), proposal)
            tentative = torch.where(stretch, stride[rows] > 1, tentative)
        new_vector, new_log_p = shift_at(proposal, rows)
        new_relative = new_vector.flatten(1).norm(dim=1) / unit[rows]
        if log_p is None or new_log_p is None:
            safe = new_relative <= relative[rows]
        else:
            slack = 16 * torch.finfo(log_p.dtype).eps * (1 + log_p[rows].abs())
            gain = 0.5 * z[0].numel() * relative[rows] ** 2
            safe = new_log_p >= log_p[rows] + gain - slack
        accepted = safe | ~tentative
        moved = rows[accepted]
        steps[rows] += 1
        z[moved], vector[moved], relative[moved] = proposal[accepted], new_vector[accepted], new_relative[accepted]
        if log_p is not None and new_log_p is not None:
            log_p[moved] = new_log_p[accepted]
        if anderson is not None:
            # a rejected extrapolation is followed by a stretched step; stretched steps grow while they are accepted
            new_stride = torch.where(accepted, 2 * stride[rows], (stride[rows] / 4).clamp(min=1.0))
            stride[rows] = torch.where(stretching[rows], new_stride, stride[rows])
        stretching[rows] = ~accepted
        if anderson is not None:
            anderson.reset(rows[~accepted])
    return MeanShift(z, steps, relative <= tol, relative, log_p)


def validate_bandwidth(bandwidth: float | Tensor, z: Tensor) -> Float[Tensor, "b"]:
    """Returns one bandwidth per row; raises ValueError unless all are positive and finite."""
    h = torch.as_tensor(bandwidth, dtype=z.dtype, device=z.device)
    if h.ndim > 1 or not (h > 0).all() or not h.isfinite().all():
        raise ValueError(f"bandwidth must be positive and finite, one number or one per row, got {bandwidth}")
    if h.ndim == 1 and len(h) not in (1, len(z)):
        raise ValueError(f"bandwidth must be one number or one per row ({len(z)}), got {len(h)} numbers")
    return h.expand(len(z))


ShiftFunction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor | None]]


def _shift_function(source: Prior | Tensor, z: Tensor, h: Tensor, cond: Cond, truncate: bool) -> ShiftFunction:
    """Returns a function of points and the row indices of their starts that gives shift and log p_h (or None)."""
    if isinstance(source, Tensor):
        if source.shape[1:] != z.shape[1:]:
            raise ValueError(
                f"samples and starts must agree but for the first axis, got {tuple(source.shape)} and {tuple(z.shape)}"
            )
        if truncate and source.ndim == 2 and source.shape[1] <= 4:
            tree = KDTreeMeanShift(source)
            return lambda x, rows: tree.shift(x, h[rows])
        source = Empirical(source)
    prior = source

    def shift_at(x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        return _step(select_rows(prior, rows), x, h[rows], select_conditions(cond, rows))

    return shift_at


def _step(prior: Prior, z: Tensor, h: Tensor, cond: Cond) -> tuple[Tensor, Tensor | None]:
    evaluate = find_density(prior)
    if evaluate is not None:
        prediction, log_p = evaluate(z, torch.ones_like(h), h, cond)
    else:
        prediction, log_p = prior.at(z, torch.ones_like(h), h, cond), None
    return -expand_like(h, z) * prediction.eps, log_p
