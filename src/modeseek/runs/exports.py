"""Exports of a finished run: the weights and artifacts of its generator, and videos of its previews."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
from jaxtyping import Float
from torch import Tensor

from modeseek.io.atomic import write_atomic
from modeseek.io.images import decode_image, encode_gif
from modeseek.io.video import encode_mp4
from modeseek.rundir.run_dir import Run
from modeseek.runs.build import RunObjects
from modeseek.runs.recorder import Recorder

_FRAME_SECONDS = 0.12  # of the GIF of the optimisation; the last frame stays twelve times as long


def export_run(run: Run, objects: RunObjects, recorder: Recorder) -> None:
    """Writes `exports/generator.safetensors`, what the generator exports, and `media/` (before, after, GIF, MP4)."""
    generator, video, media = objects.generator, objects.config.mp4, run.path / "media"
    weights = {name: tensor.contiguous() for name, tensor in generator.state_dict().items()}
    write_atomic(run.path / "exports" / "generator.safetensors", safetensors.torch.save(weights))
    for artifact in generator.exports(objects.to_pixels, video):
        if artifact.data is not None:
            write_atomic(run.path / artifact.path, artifact.data)
        if artifact.note:
            recorder.log(artifact.note)
    previews = sorted((run.path / "previews").glob("step-*.png"))
    if not previews:
        return
    write_atomic(media / "before.png", previews[0].read_bytes())
    write_atomic(media / "after.png", previews[-1].read_bytes())
    if len(previews) > 1:
        frames = _read_frames(previews)
        seconds = _FRAME_SECONDS * len(frames)
        write_atomic(media / "optimisation.gif", encode_gif(frames, seconds, hold=11 * _FRAME_SECONDS))
        if video:
            write_atomic(media / "optimisation.mp4", encode_mp4(frames))
    recorder.log(f"exports and {len(previews)} previews written")


def _read_frames(paths: Sequence[Path]) -> Float[Tensor, "n 3 h w"]:
    """Previews on white at the size of the largest: those of a 3D run change size between its resolution stages."""
    images = [decode_image(path.read_bytes(), path).half() for path in paths]  # exact for 8 bits; up to 1000 images
    height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
    frames = images[0].new_ones(len(images), 3, height, width)
    for frame, image in zip(frames, images, strict=True):
        frame[:, : image.shape[1], : image.shape[2]] = image
    return frames
