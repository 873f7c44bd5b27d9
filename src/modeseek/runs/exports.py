"""Exports of a finished run: images, videos, points and weights."""

from __future__ import annotations

import io

import numpy as np
import safetensors.torch
from torch import nn

from modeseek.generators.rendering3d import Generator3D
from modeseek.io.atomic import write_atomic
from modeseek.io.images import encode_gif, encode_png
from modeseek.io.video import encode_mp4
from modeseek.rundir.run_dir import Run
from modeseek.runs.build import RunObjects
from modeseek.runs.exports3d import export_3d
from modeseek.runs.recorder import Recorder


def export_run(run: Run, objects: RunObjects, recorder: Recorder) -> None:
    """Writes `exports/` (generator.safetensors; points.npy or images) and `media/` (before, after, GIF, MP4)."""
    exports, media = run.path / "exports", run.path / "media"
    if isinstance(objects.generator, nn.Module):
        weights = {name: tensor.contiguous() for name, tensor in objects.generator.state_dict().items()}
        write_atomic(exports / "generator.safetensors", safetensors.torch.save(weights))
    final = objects.render_preview()
    out = io.BytesIO()
    np.save(out, final.detach().cpu().numpy(), allow_pickle=False)
    write_atomic(exports / ("images.npy" if final.ndim == 4 else "points.npy"), out.getvalue())
    if final.ndim == 4 and final.shape[1] in (1, 3):
        for index, image in enumerate(final):
            write_atomic(exports / f"image-{index:03d}.png", encode_png(image))
    if isinstance(objects.generator, Generator3D):
        for line in export_3d(run, objects.generator, objects.config.mp4):
            recorder.log(line)
    previews = sorted((run.path / "previews").glob("step-*.png"))
    if not previews:
        return
    write_atomic(media / "before.png", previews[0].read_bytes())
    write_atomic(media / "after.png", previews[-1].read_bytes())
    if len(previews) > 1:
        frames = [path.read_bytes() for path in previews]
        write_atomic(media / "optimisation.gif", encode_gif(frames))
        if objects.config.mp4:
            write_atomic(media / "optimisation.mp4", encode_mp4(frames))
    recorder.log(f"exports and {len(previews)} previews written")
