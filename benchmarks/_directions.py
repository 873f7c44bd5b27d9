"""Estimators of the mean-shift direction, evaluated at the same points with the same noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

import modeseek as ms
from modeseek.methods.msd import MSDState
from modeseek.metrics.samples import direction_error

SAMPLERS: dict[str, Callable[..., Tensor]] = {"ddim": ms.ddim, "heun": ms.heun, "dpmpp_2m": ms.dpmpp_2m}
_RADII, _ANGLES = 4, 4
GROUP = _RADII * _ANGLES  # noise draws that are balanced among themselves


@dataclass(frozen=True)
class EstimatorResult:
    """Errors of one estimator at one cost.

    Attributes:
        problem: name of the toy distribution.
        bandwidth: kernel width h, units of z.
        estimator: name of the estimator.
        steps: sampler or inversion steps.
        calls: prior calls per row.
        nmse: mean squared error over mean |exact|^2.
        bias: squared bias over mean |exact|^2.
        bias_se: standard error of `bias`.
        variance: variance over mean |exact|^2.
    """

    problem: str
    bandwidth: float
    estimator: str
    steps: int
    calls: float
    nmse: float
    bias: float
    bias_se: float
    variance: float

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class DirectionSetting:
    """Points, their noise and the exact direction at one bandwidth.

    Attributes:
        problem: name of the toy distribution.
        h: bandwidth, units of z.
        z: points, (b, 2).
        noise: r draws for each of b points, the same for every estimator, (r, b, 2); see `balanced_noise`.
        exact: exact mean-shift direction, (b, 2).
    """

    problem: str
    h: float
    z: Tensor
    noise: Tensor
    exact: Tensor

    @property
    def rows(self) -> Tensor:
        """Points repeated like the noise, (r * b, 2)."""
        return self.z.expand_as(self.noise).flatten(0, 1)


def make_setting(
    problem: str, truth: ms.GaussianMixture, h: float, points: int, repeats: int, rng: torch.Generator
) -> DirectionSetting:
    """Returns points drawn from p_h, with the exact prior's shift at them."""
    z = truth.sample(points, rng)
    z = z + h * torch.randn(z.shape, generator=rng, dtype=z.dtype)
    return DirectionSetting(problem, h, z, balanced_noise(repeats, points, rng), ms.shift(truth, z, h))


def balanced_noise(repeats: int, points: int, rng: torch.Generator) -> Tensor:
    """Returns standard normal numbers (repeats, points, 2) in groups of 16 whose mean has low variance.

    Within a group the radius is stratified (4 strata of equal mass) and each radius appears at 4 angles, 90 degrees
    apart from a random first one. Each single draw is standard normal, and groups are independent.
    """
    shape = (repeats // GROUP, _RADII, 1, points)
    u = (torch.arange(_RADII)[:, None, None] + torch.rand(shape, generator=rng, dtype=torch.float64)) / _RADII
    first = torch.rand(shape, generator=rng, dtype=torch.float64) * (2 * torch.pi)
    angle = first + torch.arange(_ANGLES)[:, None] * (2 * torch.pi / _ANGLES)
    radius = torch.sqrt(-2 * torch.log1p(-u))
    return torch.stack([radius * angle.cos(), radius * angle.sin()], -1).flatten(0, 2)


def msd_directions(
    prior: ms.Prior, at: DirectionSetting, steps: int, estimator: str, sampler: str = "heun"
) -> tuple[Tensor, float]:
    """Returns repeated directions (r, b, d) of one MSD estimator, and its prior calls per row."""
    counting = ms.Counting(prior)
    method = ms.MSD(ms.Fixed(at.h), estimator=estimator, steps=steps, sampler=SAMPLERS[sampler])
    state = MSDState(noise=None if estimator == "denoiser" else at.noise.flatten(0, 1))
    rows = at.z if estimator == "denoiser" else at.rows
    direction, _ = method.step(rows, counting, state, progress=0.0, rng=torch.Generator())
    return -direction.grad.reshape(-1, *at.z.shape), counting.calls / len(rows)


def sds_directions(prior: ms.Prior, at: DirectionSetting, rng: torch.Generator) -> tuple[Tensor, float]:
    """Returns repeated SDS directions at the noise level h, weighted by sigma / alpha, and their calls per row."""
    method = ms.SDS(times=_fixed_time(prior, at.h), weight=ms.weights.sigma_over_alpha)
    counting = ms.Counting(prior)
    direction, _ = method.step(at.rows, counting, None, progress=0.0, rng=rng)
    return -direction.grad.reshape(at.noise.shape), counting.calls / len(at.rows)


def sdi_directions(
    prior: ms.Prior, at: DirectionSetting, inversion_steps: int, rng: torch.Generator
) -> tuple[Tensor, float]:
    """Returns SDI's (deterministic) direction at the noise level h, (1, b, d), and its calls per row."""
    method = ms.SDI(times=_fixed_time(prior, at.h), inversion_steps=inversion_steps)
    counting = ms.Counting(prior)
    direction, _ = method.step(at.z, counting, None, progress=0.0, rng=rng)
    return -direction.grad[None], counting.calls / len(at.z)


def measure(
    at: DirectionSetting, estimator: str, steps: int, calls: float, estimates: Tensor, reference: Tensor | None = None
) -> EstimatorResult:
    """Returns NMSE, squared bias (with its standard error) and variance.

    The bias is that of the means of balanced groups, which are independent; its standard error is by jackknife over
    groups. `reference` holds draws with the same noise whose mean is exact; the bias is then measured on the
    difference, whose variance is far smaller.
    """
    error = direction_error(estimates, at.exact)
    if len(estimates) == 1:
        return EstimatorResult(at.problem, at.h, estimator, steps, calls, error.nmse, error.bias, 0.0, 0.0)
    paired = estimates if reference is None else estimates - reference + at.exact
    means = paired.unflatten(0, (-1, GROUP)).mean(1)
    bias = direction_error(means, at.exact).bias
    n = len(means)
    jackknife = [direction_error(means[torch.arange(n) != i], at.exact).bias for i in range(n)]
    se = ((n - 1) * torch.tensor(jackknife, dtype=torch.float64).var(correction=0)).sqrt().item()
    return EstimatorResult(at.problem, at.h, estimator, steps, calls, error.nmse, bias, se, error.variance)


def best_scaled(estimates: Tensor, exact: Tensor) -> tuple[Tensor, float]:
    """Returns the estimates times the scalar that minimises their error, and that scalar."""
    factor = ((estimates.mean(0) * exact).sum() / estimates.square().mean(0).sum()).item()
    return factor * estimates, factor


def _fixed_time(prior: ms.Prior, h: float) -> ms.noise_levels.Annealed:
    """Returns constant times at which the prior's schedule has noise level h."""
    level = torch.tensor(-2.0, dtype=torch.float64) * torch.tensor(h, dtype=torch.float64).log()
    t = prior.schedule.t_of(level).item()
    return ms.noise_levels.Annealed(t, t)


def plot(
    rows: Sequence[EstimatorResult], bandwidths: Sequence[float], what: str, title: str, path: str, floor: float
) -> None:
    """Plots `what` (nmse or bias) against prior calls, one row of panels per problem, one panel per bandwidth.

    Values below `floor` are drawn at the lower edge.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    problems = list(dict.fromkeys(row.problem for row in rows))
    styles = {
        "denoiser": ("one call (denoiser)", "black", "*", "-"),
        "sds": ("SDS, mean of k draws", "tab:orange", "", "-"),
        "sdi": ("SDI", "tab:brown", "v", ":"),
        "sdi scaled": ("SDI, best scalar", "tab:brown", "^", "-"),
        "kernel-score": ("kernel-score", "tab:red", "s", "-"),
        "product ddim": ("product, DDIM", "tab:blue", "o", "-"),
        "product heun": ("product, Heun", "tab:green", "o", "-"),
        "product dpmpp_2m": ("product, DPM++ 2M", "tab:purple", "o", "-"),
    }
    figure, axes = plt.subplots(
        len(problems),
        len(bandwidths),
        figsize=(3.1 * len(bandwidths), 3.0 * len(problems) + 1.0),
        sharex=True,
        squeeze=False,
    )
    for line, problem in zip(axes, problems, strict=True):
        for ax, h in zip(line, bandwidths, strict=True):
            panel_rows = [row for row in rows if row.problem == problem and row.bandwidth == h]
            for name, (label, colour, marker, dash) in styles.items():
                series = [row for row in panel_rows if row.estimator == name]
                if not series:
                    continue
                if name == "sds":
                    draws = [2**k for k in range(9)]
                    values = [
                        max(series[0].bias, 0.0) + (series[0].variance / k if what == "nmse" else 0.0) for k in draws
                    ]
                    ax.plot(draws, values, color=colour, ls=dash, label=label)
                    continue
                resolved = [row for row in series if what == "nmse" or row.bias_se == 0 or row.bias > 2 * row.bias_se]
                unresolved = [row for row in series if row not in resolved]
                calls = [row.calls for row in resolved]
                values = [max(getattr(row, what), floor) for row in resolved]
                size = 11 if name == "denoiser" else 4
                ax.plot(
                    calls, values, color=colour, marker=marker, ms=size, ls=dash, label=label, clip_on=False, zorder=3
                )
                if unresolved:
                    ax.plot(
                        [row.calls for row in unresolved], [max(2 * row.bias_se, floor) for row in unresolved],
                        color=colour, marker="$\\downarrow$", ms=6, ls="",
                    )  # fmt: skip
            ax.set(xscale="log", yscale="log", title=f"{problem}, h = {h:g}", xlim=(0.8, 320))
            ax.set_ylim(bottom=floor)
            ax.grid(alpha=0.25)
            if what == "nmse":
                ax.axhline(1, color="grey", lw=0.8, ls="--")
        line[0].set_ylabel("NMSE" if what == "nmse" else "squared bias / mean |shift|²")
    for ax in axes[-1]:
        ax.set_xlabel("prior calls")
    handles: dict[str, Any] = {}
    for ax in axes.flat:
        handles |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    note = "" if what == "nmse" else "; arrows: not resolved, at two standard errors"
    figure.suptitle(f"{title} (below {floor:g}: drawn at the lower edge{note})")
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncol=min(8, len(handles)), frameon=False)
    figure.subplots_adjust(left=0.045, right=0.99, top=0.89, bottom=0.14, wspace=0.27, hspace=0.22)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def table(rows: Sequence[EstimatorResult]) -> str:
    """Returns a plain-text table, one line per result."""
    head = "problem       h estimator         steps  calls       NMSE     bias^2        +-   variance"
    lines = [
        f"{r.problem:8} {r.bandwidth:6g} {r.estimator:17} {r.steps:5d} {r.calls:6.0f} {r.nmse:10.3g} {r.bias:10.3g} "
        f"{r.bias_se:9.1g} {r.variance:10.3g}"
        for r in rows
    ]
    return "\n".join([head, *lines])
