"""`modeseek render`: films and stills of a 3D run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

import tyro

from modeseek.cli.options import Device, option
from modeseek.config.lookup import look_up
from modeseek.device import AUTO
from modeseek.io.progress_bars import run_with_progress
from modeseek.io.video import film_formats
from modeseek.rundir.run_dir import Run
from modeseek.runs.render_run import Camera, RenderFormat, RenderSettings, iter_render, render_format


@dataclass(frozen=True)
class RenderCommand:
    """Render a 3D run: a film of a full turn, or a still of one side, at any size.

    Takes the newest intact checkpoint, or the weights of a finished run, also of a run in progress; the prior is not
    loaded. A frame of 512 pixels takes about half a second on one CPU core.

    Examples:
      modeseek render

      modeseek render mug --size 512 --frames 120 --elevation 20 --out mug.mp4

      modeseek render mug --camera front --size 1024 --out front.png
    """

    run_folder: tyro.conf.Positional[
        Annotated[str | None, option("RUN", "Run folder, or its name in runs/. Default: the newest run in runs/.")]
    ] = None
    size: Annotated[int | None, option("SIDE", "Side of a frame, pixels. Default: 512; 256 for gif.")] = None
    frames: Annotated[int | None, option("N", "Number of frames of a turn. Default: 120; 36 for gif.")] = None
    camera: Annotated[
        str | None,
        option(
            "|".join(get_args(Camera)),
            "Camera: orbit, a full turn, or the side that a still shows. Default: orbit; front for png.",
        ),
    ] = None
    elevation: Annotated[float, option("DEGREES", "Elevation of the camera, degrees. Default: 15.")] = 15.0
    fov: Annotated[
        float | None, option("DEGREES", "Full field of view, degrees. Default: the middle of the training cameras'.")
    ] = None
    fps: Annotated[int | None, option("N", "Frames per second. Default: a turn in four seconds.")] = None
    format: Annotated[
        str | None,
        option(
            "mp4|gif|png",
            "Format. Default: by the suffix of --out; else png for a side, mp4 for a turn, gif where PyAV is missing.",
        ),
    ] = None
    device: Device = AUTO
    out: Annotated[
        Path | None, option("FILE", "File to write, replaced if it exists. Default: in media/ of the run.")
    ] = None

    def run(self, argv: Sequence[str]) -> None:
        """Writes the file and prints its path."""
        run = Run.find(self.run_folder)
        form = self._format()
        cameras: dict[str, Camera] = {camera: camera for camera in get_args(Camera)}
        default = "front" if form == "png" else "orbit"
        camera = look_up("camera", default if self.camera is None else self.camera, cameras)
        size = (256 if form == "gif" else 512) if self.size is None else self.size
        frames = (36 if form == "gif" else 120) if self.frames is None else self.frames
        settings = RenderSettings(camera, size, frames, self.elevation, self.fov, self.fps)
        name = f"{'turntable' if camera == 'orbit' else camera}-{size}.{form}"
        path = run.path / "media" / name if self.out is None else self.out
        run_with_progress(iter_render(run, path, settings, self.device))
        print(path)

    def _format(self) -> RenderFormat:
        """Format of the option, else of the suffix of --out, else of the camera."""
        given = None if self.out is None else render_format(self.out)
        if self.format is not None:
            forms: dict[str, RenderFormat] = {form: form for form in get_args(RenderFormat)}
            form = look_up("format", self.format, forms)
            if given not in (None, form):
                raise ValueError(f"--out must end in .{form}, the --format, got {self.out}; remove one of them")
            return form
        if given is not None:
            return given
        return "png" if self.camera not in (None, "orbit") else film_formats("auto")[0]
