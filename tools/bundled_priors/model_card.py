"""Model cards of the bundled priors, from templates in `cards/`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modeseek.io.errors import one_line
from modeseek.priors.pipeline.bundled_table import BUNDLED_PRIORS
from tools.bundled_priors.history import HistoryEntry
from tools.bundled_priors.recipe import RECIPES, PriorName

_MEASURES = {
    "held_out": ("error of v", "{:.4f}"),
    "psnr": ("PSNR", "{:.1f} dB"),
    "understood": ("captions fully right", "{:.1%}"),
}


def read_exam(run: Path) -> dict[str, Any]:
    """Results of a run of `modeseek exam`.

    Raises:
        ValueError: the folder holds none.
    """
    path = run / "exports" / "results.json"
    try:
        results = json.loads(path.read_bytes())
        if not {"settings", "methods"} <= results.keys():
            raise ValueError("it has no settings or no figures")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"--exam must be a finished run of modeseek exam, got {run}: {one_line(error, 120)}; check the path"
        ) from error
    return results


def model_card(
    prior: PriorName,
    history: Sequence[HistoryEntry],
    sizes: Mapping[str, int],
    n_bytes: int,
    exam: Mapping[str, Any] | None,
    curves: bool,
) -> str:
    """Text of a pipeline's `README.md`.

    Args:
        prior: name of the prior.
        history: history of the training.
        sizes: number of parameters of unet, vae and text_encoder.
        n_bytes: size of the weights, bytes.
        exam: results of its exam, or None.
        curves: whether `curves.png` is beside it.

    Raises:
        ValueError: the results lack a figure of the card.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError

    loader = FileSystemLoader(Path(__file__).parent / "cards")
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    filters: dict[str, Any] = {"percent": _percent, "count": _count, "duration": _duration, "metric": _metric}
    environment.filters.update(filters)
    recipe = RECIPES[prior]
    values: dict[str, Any] = {"history": history, "sizes": sizes, "megabytes": round(n_bytes / 1e6), "curves": curves}
    values |= {"prior": BUNDLED_PRIORS[prior], "recipe": recipe, "model": recipe.model, "exam": exam}
    try:
        return environment.get_template(f"{prior}.md.j2").render(values).strip() + "\n"
    except (UndefinedError, TypeError) as error:
        raise ValueError(
            f"--exam must hold the figures of a card of {prior}: {one_line(error, 120)}; try a run of its exam"
        ) from error


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _count(n: int) -> str:
    return f"{n / 1e6:.2f} million" if n >= 1e6 else f"{n:,}"


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes / 60:.1f} h" if minutes >= 90 else f"{minutes:.0f} min" if minutes >= 1 else f"{seconds:.0f} s"


def _metric(value: float | None, measure: str) -> str:
    if value is None:
        return ""
    name, form = _MEASURES.get(measure, (measure, "{:.4g}"))
    return f"{form.format(value)} ({name})"
