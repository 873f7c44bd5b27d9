"""Detection of runs that ended before they converged, as far as their metrics show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from modeseek.config.config import Config
from modeseek.reports.curves import finite_number
from modeseek.reports.method_notes import convergence

_MIN_STEPS = 40  # below it a trend cannot be distinguished from noise
_SAME = 1.05  # bandwidths closer than this factor are the same
_FALLING = 0.9  # the last tenth of the run lies below the tenth before it by at least this factor


def still_moving(config: Config, rows: Sequence[Mapping[str, Any]]) -> str:
    """A sentence if the run ended before it converged; empty if it converged, or if that is unknown.

    Only mean shift has a test of convergence: `|shift| / (h sqrt(d))` below its tolerance at the last bandwidth. Thus
    a run is still moving if

    - the bandwidth has not reached its end, or
    - at a constant bandwidth the relative shift is above the tolerance and still falls: its median over the last tenth
      of the steps is below 0.9 of that over the tenth before.

    While the bandwidth changes up to the last step, as along the noise levels of images and volumes, the relative shift
    follows the bandwidth and is no evidence; other methods have no such measure.

    Args:
        config: settings of the run.
        rows: metrics of each step.
    """
    measure = convergence(config.method)
    if measure is None or len(rows) < _MIN_STEPS:
        return ""
    tol, end = measure
    shifts = [finite_number(row.get("relative_shift")) for row in rows]
    bandwidths = [finite_number(row.get("bandwidth")) for row in rows]
    n = len(rows) // 10
    late, before = _finite(shifts[-n:]), _finite(shifts[-2 * n : -n])
    widths = [h for h in _finite(bandwidths[-2 * n :]) if h > 0]
    if not late or not before or not widths:
        return ""
    if widths[-1] > _SAME * end > 0:
        return f"Still moving: the bandwidth ended at {widths[-1]:.3g} and has not reached {end:.3g}"
    constant = max(widths) < _SAME * min(widths)
    if constant and late[-1] > tol and median(late) < _FALLING * median(before):
        return f"Still moving: the relative shift, {late[-1]:.2g}, is above tol = {tol:g} and still falling"
    return ""


def _finite(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]
