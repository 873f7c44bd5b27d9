"""SVG files of the drawings of a run, measured: paths, bytes, invisible paths, and the error of a second renderer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.util import find_spec
from xml.sax.saxutils import escape

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import BaseGenerator
from modeseek.io.atomic import write_atomic
from modeseek.rundir.drawing_records import DrawingRecord, write_records
from modeseek.rundir.run_dir import Run
from modeseek.runs.image_files import ImageSettings


def write_svgs(
    run: Run,
    generator: BaseGenerator,
    images: Float[Tensor, "n c h w"],
    settings: ImageSettings,
    max_bytes: int | None,
) -> Iterator[str]:
    """Writes `exports/NAME.svg` of every drawing, named as its image is, and their record.

    Args:
        run: run folder.
        generator: optimised generator; one without paths writes nothing.
        images: its images in [0, 1], which the files are compared with.
        settings: how they were made.
        max_bytes: largest size of a file, bytes; None does not limit it.

    Yields:
        A line for the log for each file.
    """
    files = generator.svgs([short_title(prompt, max_bytes) for prompt in settings.prompts], max_bytes)
    if files is None:
        return
    from modeseek.metrics.vector import render_error

    measured = find_spec("resvg_py") is not None
    records: list[DrawingRecord] = []
    for name, prompt, image, file in zip(settings.names(), settings.prompts, images, files, strict=True):
        path = run.path / "exports" / f"{name}.svg"
        write_atomic(path, file.text)
        error = render_error(file.text, image) if measured else None
        counts = (file.paths, file.bytes, file.dropped, file.merged, file.removed)
        records.append(DrawingRecord(path.name, prompt, *counts, error))
        yield describe(records[-1])
    write_records(run.path, records)


def short_title(prompt: str, max_bytes: int | None) -> str:
    """Returns a prompt, or its beginning where it would take more than a tenth of the bytes of a file."""
    room = math.inf if max_bytes is None else max_bytes // 10
    while len(escape(prompt).encode()) > room:
        prompt = prompt[:-1]
    return prompt


def describe(record: DrawingRecord) -> str:
    """Returns the numbers of a drawing as one line."""
    parts = [f"{record.paths} paths", f"{record.bytes:,} bytes", f"{record.dropped} invisible paths dropped"]
    parts += [f"{record.merged} merged"] if record.merged else []
    parts += [f"{record.removed} visible paths removed for its size"] if record.removed else []
    error = "not measured; pip install 'modeseek[vector]'" if record.error is None else f"{record.error:.1e}"
    return f"{record.file}: {', '.join(parts)}, re-render error {error}"
