"""Exports of a finished run: weights and files of its generator, its images, contact sheet, and films."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.io.atomic import write_atomic
from modeseek.io.images import decode_image
from modeseek.io.video import encode_film, film_formats
from modeseek.rundir.run_dir import Run
from modeseek.runs.build import RunObjects
from modeseek.runs.edit_files import is_edit, write_edits
from modeseek.runs.image_files import ImageSettings, contact_sheet, enlargement, write_images
from modeseek.runs.photograph_files import write_photographs
from modeseek.runs.recorder import Recorder
from modeseek.runs.restoration_files import write_restorations
from modeseek.runs.svg_files import write_svgs

_FPS = 8  # of the film of the optimisation
_HOLD = 1.5  # seconds for which its last frame stays
_LEAST_SIDE = 462  # of that film, pixels: smaller previews are enlarged by a whole factor
_SHEET_SIDE = 256  # of each view of a 3D shape on the contact sheet, about, pixels
WEIGHTS = Path("exports") / "generator.safetensors"


def export_run(run: Run, objects: RunObjects, recorder: Recorder) -> None:
    """Writes `exports/` (weights, images, the generator's files), `results.png`, `media/` (before, after, films)."""
    generator, media = objects.generator, run.path / "media"
    films = film_formats(objects.config.film)
    weights = {name: tensor.contiguous() for name, tensor in generator.state_dict().items()}
    write_atomic(run.path / WEIGHTS, safetensors.torch.save(weights))
    for artifact in generator.exports(objects.to_pixels, films):
        if artifact.data is not None:
            (run.path / artifact.path).parent.mkdir(parents=True, exist_ok=True)
            write_atomic(run.path / artifact.path, artifact.data)
        if artifact.note:
            recorder.log(artifact.note)
    _export_images(run, objects, recorder)
    if objects.photographs is not None:
        write_photographs(run, objects.photographs)
    previews = sorted((run.path / "previews").glob("step-*.png"))
    if not previews:
        return
    write_atomic(media / "before.png", previews[0].read_bytes())
    write_atomic(media / "after.png", previews[-1].read_bytes())
    if len(previews) > 1 and films:
        frames = _read_frames(previews)
        for film in films:
            write_atomic(media / f"optimisation.{film}", encode_film(frames, film, _FPS, _HOLD))
    recorder.log(f"exports and {len(previews)} previews written")


def _export_images(run: Run, objects: RunObjects, recorder: Recorder) -> None:
    """Writes the images, their SVG files and `results.png`; of what is no image, `results.png` is the preview."""
    images, generator = objects.render_preview().detach().float().cpu(), objects.generator
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        write_atomic(run.path / "results.png", objects.preview_painter().draw(images))
        return
    settings = ImageSettings.of(objects.config, run.environment["prior"], len(images))
    render = generator.render_at if objects.pixels else None
    write_images(run, images, settings, render, generator.item_labels, objects.enlarged)
    for line in write_svgs(run, generator, images, settings, objects.config.generator.max_svg_bytes):
        recorder.log(line)
    height, width = images.shape[2:]
    factor = enlargement(height, width, _SHEET_SIDE) if objects.draws_previews else 1
    large = generator.render_at((factor * height, factor * width)) if factor > 1 else None
    views = images if large is None else torch.stack([image.cpu() for image in large])
    captions = settings.prompts if settings.prompted and not objects.is_3d else ()
    if objects.measurement is not None:
        write_restorations(run, objects, images)
    elif is_edit(objects):
        write_edits(run, objects, images)
    else:
        write_atomic(run.path / "results.png", contact_sheet(views, captions))


def write_film(run: Run, path: Path) -> Path:
    """Writes the film of the optimisation of a run, in the format of the suffix, and returns its path.

    Raises:
        ValueError: another suffix than .mp4 and .gif, or a run without previews.
        OSError: a file cannot be read or written.
    """
    form = path.suffix.removeprefix(".")
    if form not in ("mp4", "gif"):
        raise ValueError(f"a film must be written to a .mp4 or .gif file, got {path.name!r}; try film.mp4")
    previews = sorted((run.path / "previews").glob("step-*.png"))
    if not previews:
        raise ValueError(f"{run.path.name} has no previews to make a film of; run it with previews: 24")
    write_atomic(path, encode_film(_read_frames(previews), form, _FPS, _HOLD))
    return path


def _read_frames(paths: Sequence[Path]) -> Float[Tensor, "n 3 h w"]:
    """Previews on white at the size of the largest: those of a 3D run change size between its resolution stages."""
    images = [decode_image(path.read_bytes(), path).half() for path in paths]  # exact for 8 bits; up to 1000 images
    height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
    frames = images[0].new_ones(len(images), 3, height, width)
    for frame, image in zip(frames, images, strict=True):
        frame[:, : image.shape[1], : image.shape[2]] = image
    factor = math.ceil(_LEAST_SIDE / max(height, width))
    return frames.repeat_interleave(factor, 2).repeat_interleave(factor, 3) if factor > 1 else frames
