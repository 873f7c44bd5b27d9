"""Notes on methods for reports: sources to cite, and metrics to watch during a run."""

from __future__ import annotations

import inspect
from functools import singledispatch

from modeseek.config.config import Config
from modeseek.meanshift.bandwidth import as_bandwidth
from modeseek.methods.base import Method
from modeseek.methods.msd import MSD
from modeseek.methods.sdi import SDI
from modeseek.methods.sds import SDS

_GENERAL = (
    "There is no loss that falls here: a score-distillation method gives a gradient, not a loss. The value of its "
    "surrogate is meaningless, and new noise is drawn at every step. Watch the previews, and the trend of the "
    "direction norm."
)


def watch_note(config: Config | None) -> str:
    """Explanation why no loss falls and what to watch instead; a general one without a readable configuration."""
    return _GENERAL if config is None else _watch(config.method)


def method_note(method: type) -> str:
    """First sentence of a method's docstring, without its name and source: the formula of its direction."""
    note = (inspect.getdoc(method) or "").split("\n")[0].partition("): ")[2]
    return note[:1].upper() + note[1:]


def citation_keys(config: Config) -> list[str]:
    """BibTeX keys of the method's papers, and of guidance if predictions are guided."""
    return [*config.method.references, *(["guidance"] if config.guidance != 1 else [])]


def tolerance_level(config: Config | None) -> tuple[float, str] | None:
    """Relative shift below which a row has converged, and its label; None if the method has no tolerance."""
    if config is None or not isinstance(config.method, MSD) or not config.method.tol > 0:
        return None
    return config.method.tol, f"tol = {config.method.tol:g}"


@singledispatch
def convergence(method: Method) -> tuple[float, float] | None:
    """Relative shift below which a row has converged, and the last bandwidth (0: that of a path); None without both."""
    return None


@convergence.register
def _(method: MSD) -> tuple[float, float] | None:
    return (method.tol, as_bandwidth(method.bandwidth).end) if method.tol > 0 else None


@singledispatch
def _watch(method: Method) -> str:
    return _GENERAL


@_watch.register
def _(method: MSD) -> str:
    drawn = {method.estimator, method.finish} - {"denoiser", None} and method.noise != "common"
    noisy = callable(method.jitter) or method.jitter > 0 or drawn
    noise = "new noise is drawn at every step, " if noisy else ""
    end = as_bandwidth(method.bandwidth).end
    last = f", {end:g}" if end > 0 else " of its path"
    measure = "|shift| / (h √d)".replace(" ", "\N{NO-BREAK SPACE}")
    return (
        "There is no loss that falls here: MSD gives a direction, the mean shift, not a loss. The value of a surrogate "
        f"is meaningless, {noise}and the target itself moves while the bandwidth h narrows. Watch the relative shift "
        f"{measure} instead: a run has converged once it stays below tol = {method.tol:g} at the last "
        f"bandwidth{last}. If the generator cannot follow the shift, it levels off above that."
    )


@_watch.register
def _(method: SDS) -> str:
    return (
        "There is no loss that falls here: SDS gives a gradient, not a loss. Its surrogate, ‖ε̂ − ε‖², depends on the "
        "noise and the noise level drawn anew at every step far more than on progress. Watch the previews instead, and "
        "the trend of the direction norm: the noise keeps it from reaching zero, so a run has converged once the trend "
        "is flat and the previews no longer change."
    )


@_watch.register
def _(method: SDI) -> str:
    noise = ", and new noise is drawn at every step" if method.inversion_eta > 0 else ""
    return (
        f"There is no loss that falls here: {type(method).__name__} gives a direction, towards what the prior predicts "
        "from noise level t, not a loss. Its length depends on t, which the schedule changes, more than on "
        f"progress{noise}. Watch the previews instead, and the trend of the direction norm beside that of t."
    )
