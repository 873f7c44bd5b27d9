"""Notes on methods for reports: sources to cite, and metrics to watch during a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modeseek.config.config import Config
from modeseek.methods.msd import MSD
from modeseek.methods.sdi import SDI

SOURCES_OF = {
    "msd": ("msd", "meanshift", "annealed-meanshift"),
    "sds": ("sds",),
    "sjc": ("sjc",),
    "hifa": ("hifa",),
    "csd": ("csd",),
    "nfsd": ("nfsd",),
    "sds-bridge": ("sds-bridge",),
    "async-sd": ("async-sd",),
    "debiased": ("debiased",),
    "sdi": ("sdi", "ddim"),
    "ism": ("ism", "ddim"),
    "stein": ("stein",),
    "vsd": ("vsd",),
    "esd": ("esd", "vsd"),
    "asd": ("asd", "vsd"),
    "dsd": ("dsd", "ddim"),
    "rsd": ("rsd",),
    "cfd": ("cfd", "fsd"),
    "fsd": ("fsd",),
    "mvdream": ("mvdream",),
    "dds": ("dds",),
    "pds": ("pds",),
    "rfds": ("rfds",),
    "rfds-rev": ("rfds",),
    "ucm": ("ucm",),
}
_GENERAL = (
    "There is no loss that falls here: a score-distillation method gives a gradient, not a loss. The value of its "
    "surrogate is meaningless, and new noise is drawn at every step. Watch the previews, and the trend of the "
    "direction norm."
)


def watch_note(config: Config | None) -> str:
    """Explanation why no loss falls and what to watch instead; a general one without a readable configuration."""
    if config is None:
        return _GENERAL
    note = _NOTES.get(config.method_name)
    return _GENERAL if note is None else note(config.method)


def citation_keys(config: Config) -> list[str]:
    """Keys of `citations.bibtex.SOURCES` for the method, and for guidance if predictions are guided."""
    own_scale = getattr(config.method, "scale", 1.0) if config.label is not None else 1.0
    guided = config.scale != 1 or own_scale != 1
    return [*SOURCES_OF[config.method_name], *(["guidance"] if guided else [])]


def tolerance_level(config: Config | None) -> tuple[float, str] | None:
    """Relative shift below which a row has converged, and its label; None if the method has no tolerance."""
    if config is None or not isinstance(config.method, MSD) or not config.method.tol > 0:
        return None
    return config.method.tol, f"tol = {config.method.tol:g}"


def _watch_msd(method: MSD) -> str:
    drawn = method.estimator != "denoiser" and method.noise != "common"
    noisy = callable(method.jitter) or method.jitter > 0 or drawn
    noise = "new noise is drawn at every step, " if noisy else ""
    measure = "|shift| / (h √d)".replace(" ", "\N{NO-BREAK SPACE}")
    return (
        "There is no loss that falls here: MSD gives a direction, the mean shift, not a loss. The value of a surrogate "
        f"is meaningless, {noise}and the target itself moves while the bandwidth h narrows. Watch the relative shift "
        f"{measure} instead: a run has converged once it stays below tol = {method.tol:g} at the last bandwidth, "
        f"{method.bandwidth.end:g}. If the generator cannot follow the shift, it levels off above that."
    )


def _watch_sds(method: Any) -> str:
    return (
        "There is no loss that falls here: SDS gives a gradient, not a loss. Its surrogate, ‖ε̂ − ε‖², depends on the "
        "noise and the noise level drawn anew at every step far more than on progress. Watch the previews instead, and "
        "the trend of the direction norm: the noise keeps it from reaching zero, so a run has converged once the trend "
        "is flat and the previews no longer change."
    )


def _watch_sdi(method: SDI) -> str:
    noise = ", and new noise is drawn at every step" if method.inversion_eta > 0 else ""
    return (
        "There is no loss that falls here: SDI gives a direction, towards what the prior predicts at noise level t, "
        f"not a loss. Its length depends on t, which the schedule changes, more than on progress{noise}. Watch the "
        "previews instead, and the trend of the direction norm beside that of t."
    )


_NOTES: dict[str, Callable[[Any], str]] = {"msd": _watch_msd, "sds": _watch_sds, "sdi": _watch_sdi}
