"""Films and stills of a 3D run from any camera."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import Cameras
from modeseek.generators.generator3d import Generator3D
from modeseek.generators.turntable import turn_fps
from modeseek.io.atomic import write_atomic
from modeseek.io.images import encode_png
from modeseek.io.progress import Progress
from modeseek.io.video import check_video_support, encode_film
from modeseek.rundir.run_dir import Run
from modeseek.runs.export_run import as_3d, check_target
from modeseek.runs.image_files import ImageSettings
from modeseek.runs.trained import load_trained

Camera = Literal["orbit", "front", "right", "back", "left", "top"]
RenderFormat = Literal["mp4", "gif", "png"]
_DIRECTIONS: dict[str, tuple[float, float | None]] = {  # azimuth and elevation, degrees; None is that of the settings
    "front": (0.0, None),
    "right": (90.0, None),
    "back": (180.0, None),
    "left": (-90.0, None),
    "top": (0.0, 90.0),
}
_MOST_FRAMES, _SIZES = 10_000, range(16, 4097)


@dataclass(frozen=True)
class RenderSettings:
    """Cameras and resolution of a film or a still.

    Attributes:
        camera: orbit (a full turn), or the side of the object that a still shows.
        size: side of a frame, pixels, 16 to 4096.
        frames: number of frames of a turn, 1 to 10,000; stills have one.
        elevation: elevation of the cameras, degrees, -90 to 90.
        fov: full field of view, degrees, 1 to 170; None is the middle of the training cameras'. The distance follows,
            so that the object keeps its size.
        fps: frames per second, 1 to 120; None lasts four seconds a turn.
    """

    camera: Camera = "orbit"
    size: int = 512
    frames: int = 120
    elevation: float = 15.0
    fov: float | None = None
    fps: int | None = None

    def __post_init__(self) -> None:
        if self.camera not in get_args(Camera):
            raise ValueError(f"camera must be one of {', '.join(get_args(Camera))}, got {self.camera!r}")
        if self.size not in _SIZES:
            raise ValueError(f"size must be {_SIZES.start} to {_SIZES.stop - 1} pixels, got {self.size}; try 512")
        if not 1 <= self.frames <= _MOST_FRAMES:
            raise ValueError(f"frames must be 1 to {_MOST_FRAMES:,}, got {self.frames}; try 120")
        if not -90 <= self.elevation <= 90:
            raise ValueError(f"elevation must be -90 to 90 degrees, got {self.elevation}; try 15")
        if self.fov is not None and not 1 <= self.fov <= 170:
            raise ValueError(f"fov must be 1 to 170 degrees, got {self.fov}; try 40")
        if self.fps is not None and not 1 <= self.fps <= 120:
            raise ValueError(f"fps must be 1 to 120, got {self.fps}; try 30")

    @property
    def rate(self) -> int:
        """Frames per second."""
        return turn_fps(self.frames) if self.fps is None else self.fps

    def cameras(self, generator: Generator3D) -> Cameras:
        """Cameras of the frames, around a generator."""
        if self.camera == "orbit":
            return generator.orbit.ring(self.frames, self.elevation, fov=self.fov)
        azimuth, elevation = _DIRECTIONS[self.camera]
        elevation = self.elevation if elevation is None else elevation
        return generator.orbit.ring(1, elevation, azimuth, self.fov)


def render_run(
    run: Run, path: Path, settings: RenderSettings | None = None, device: str | torch.device | None = None
) -> Path:
    """Renders a 3D run to the file of a path: a turn as .mp4 or .gif, a still as .png.

    Args:
        run: the run; its newest intact checkpoint counts, and its prior is not loaded.
        path: file to write, replaced if it exists.
        settings: cameras and resolution; None is a turn of 120 frames of 512 pixels for .mp4, and the front for .png.
        device: device that renders; None is the fastest of this machine.

    Raises:
        ValueError: not a 3D run, an unknown suffix, a film of one side, or PyAV is missing for an .mp4.
        OSError: a file cannot be read or written.
    """
    for _ in iter_render(run, path, settings, device):
        pass
    return path


def iter_render(
    run: Run, path: Path, settings: RenderSettings | None = None, device: str | torch.device | None = None
) -> Generator[Progress, None, None]:
    """Generator form of `render_run` that yields progress after each frame; the file appears at the end.

    Raises:
        ValueError: same conditions as `render_run`.
        OSError: same conditions as `render_run`.
    """
    form = render_format(path)
    if settings is None:
        settings = RenderSettings("front" if form == "png" else "orbit")
    if (form == "png") == (settings.camera == "orbit"):
        raise ValueError(
            f"camera orbit makes a film and the others a still, got camera {settings.camera} for {path.name}; "
            f"{'pick a side such as front' if form == 'png' else 'name a .png file'}"
        )
    if form == "mp4":
        check_video_support()
    check_target(path)
    trained = load_trained(run, device)
    generator = as_3d(trained, "a render")
    cameras = settings.cameras(generator)
    images: list[Float[Tensor, "3 s s"]] = []
    for image in generator.render_frames(cameras, settings.size):
        images.append((image.clamp(0, 1) * 255).round().byte())  # a quarter of the memory
        yield Progress("rendering", len(images), len(cameras))
    frames = (image.float() / 255 for image in images)
    if form != "png":
        write_atomic(path, encode_film(frames, form, settings.rate))
        return
    facts, shape = ImageSettings.of(trained.config, run.environment["prior"], 1), (settings.size, settings.size)
    chunks = facts.chunks(0, shape, "rendered")
    write_atomic(path, encode_png(next(frames), chunks))


def render_format(path: Path) -> RenderFormat:
    """Format of a film or still by its suffix; ValueError for another."""
    for form in get_args(RenderFormat):
        if path.suffix.lower() == f".{form}":
            return form
    raise ValueError(f"a render must be written to a .mp4, .gif or .png file, got {path.name!r}")
