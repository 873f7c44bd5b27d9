"""Contact sheet of a sweep: one row per setting, one column per method, seeds side by side."""

from __future__ import annotations

from collections.abc import Sequence

from modeseek.io.images import decode_image
from modeseek.reports.contact_sheet import ContactSheet, Tile, tile_side
from modeseek.reports.preview_images import PreviewImage, last_preview
from modeseek.sweeps.results import SweepResult

_WIDTH, _MIN_SIDE, _MAX_SIDE = 1800, 72, 240  # pixels: all images of a row; one image
_MAX_SEEDS = 4  # shown side by side
_MAX_ROWS = 60


def draw_sheet(results: Sequence[SweepResult]) -> tuple[bytes | None, list[str]]:
    """Renders the last preview of every job as a PNG; None without any preview; and one line per damaged preview.

    A job that is not finished shows its state. At most four seeds and sixty rows are shown.
    """
    rows = list(dict.fromkeys(result.job_dir.spec.labels for result in results))[:_MAX_ROWS]
    methods = list(dict.fromkeys(result.job_dir.spec.method for result in results))
    seeds = list(dict.fromkeys(result.job_dir.spec.config.seed for result in results))[:_MAX_SEEDS]
    side = tile_side(len(methods) * len(seeds), _WIDTH, _MIN_SIDE, _MAX_SIDE)
    previews, damage = {}, []
    for result in results:
        spec = result.job_dir.spec
        preview, lines = last_preview(result.job_dir.path / "previews")
        damage += [f"{result.job_dir.path.name}: {line}" for line in lines]
        if spec.labels in rows and spec.config.seed in seeds:
            previews[spec.labels, spec.method, spec.config.seed] = (preview, result.state)
    if all(preview is None for preview, _ in previews.values()):
        return None, damage
    cells = (([_tile(*previews[labels, method, seed]) for seed in seeds] for method in methods) for labels in rows)
    row_labels = [" · ".join(labels) for labels in rows]
    return ContactSheet(cells, headings=methods, labels=row_labels, side=side, across=len(seeds)).png(), damage


def _tile(preview: PreviewImage | None, state: str) -> Tile:
    """Tile of a job, decoded where it is drawn: the images of a large sweep do not fit in memory."""
    return Tile(None if preview is None else decode_image(preview.data), "" if state == "finished" else state)
