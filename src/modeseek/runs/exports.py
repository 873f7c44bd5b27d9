"""What a finished run leaves for other programs: pictures, films, points and weights."""

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


def export_run(run: Run, job: RunObjects, recorder: Recorder) -> None:
    """Writes `exports/` (generator.safetensors; points.npy or images) and `media/` (before, after, GIF, MP4)."""
    exports, media = run.path / "exports", run.path / "media"
    if isinstance(job.generator, nn.Module):
        weights = {name: tensor.contiguous() for name, tensor in job.generator.state_dict().items()}
        write_atomic(exports / "generator.safetensors", safetensors.torch.save(weights))
    shown = job.render_preview()
    out = io.BytesIO()
    np.save(out, shown.detach().cpu().numpy(), allow_pickle=False)
    write_atomic(exports / ("images.npy" if shown.ndim == 4 else "points.npy"), out.getvalue())
    if shown.ndim == 4 and shown.shape[1] in (1, 3):
        for index, one in enumerate(shown):
            write_atomic(exports / f"image-{index:03d}.png", encode_png(one))
    if isinstance(job.generator, Generator3D):
        for line in export_3d(run, job.generator, job.config.mp4):
            recorder.log(line)
    pictures = sorted((run.path / "previews").glob("step-*.png"))
    if not pictures:
        return
    write_atomic(media / "before.png", pictures[0].read_bytes())
    write_atomic(media / "after.png", pictures[-1].read_bytes())
    if len(pictures) > 1:
        shots = [picture.read_bytes() for picture in pictures]
        write_atomic(media / "optimisation.gif", encode_gif(shots))
        if job.config.mp4:
            write_atomic(media / "optimisation.mp4", encode_mp4(shots))
    recorder.log(f"exports and {len(pictures)} pictures written")
