"""Sources of frames for the viewer: a 3D generator at its checkpoints, or the previews of a 2D run."""

from __future__ import annotations

import threading
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from modeseek.generators.ensemble import single_shape
from modeseek.generators.generator3d import Generator3D
from modeseek.io.errors import one_line
from modeseek.rundir.checkpoint import read_checkpoint
from modeseek.rundir.run_dir import Run
from modeseek.viewer.render_frame import RenderStyle, render_frame
from modeseek.viewer.viser_camera import Pose
from modeseek.viewer.without_prior import load_generator, restore_generator

_BACKGROUND = 255  # around a preview of another aspect ratio than the window


@runtime_checkable
class FrameSource(Protocol):
    """Source of frames at several steps of a run, one of which is loaded at a time.

    Attributes:
        noun: name of what a step is loaded from.
    """

    noun: ClassVar[str]

    def steps(self) -> list[int]:
        """Available steps, ascending."""
        ...

    def load(self, step: int) -> None:
        """Loads a step; raises a one-line ValueError if it cannot be read."""
        ...

    def frame(self, pose: Pose, size: int, style: RenderStyle) -> np.ndarray | None:
        """Pixels of the window, (h, w, 3) bytes; None before the first load."""
        ...


class CheckpointFrames:
    """Renderings of a 3D generator at the steps with checkpoints.

    Args:
        run: run with a 3D generator; only read.
        device: device that renders.
    """

    noun: ClassVar[str] = "checkpoint"

    def __init__(self, run: Run, device: str = "cpu") -> None:
        self._run, self._config, self._device = run, run.config, device
        self._generator: Generator3D | None = None
        self._lock = threading.Lock()

    def steps(self) -> list[int]:
        """Steps of the checkpoints, damaged ones included, ascending."""
        return [int(path.name.removeprefix("step-")) for path in self._run.checkpoints]

    def load(self, step: int) -> None:
        """Verifies a checkpoint and loads the generator's parameters from it; an error leaves the current ones.

        Raises:
            ValueError: the checkpoint is damaged, missing or of another generator.
            OSError: the mesh named by the configuration cannot be read.
        """
        checkpoint = read_checkpoint(self._run.path / "checkpoints" / f"step-{step:08d}")
        with self._lock:
            if self._generator is None:
                self._generator = single_shape(load_generator(self._config, checkpoint, self._device), "the viewer")
            else:
                restore_generator(self._generator, checkpoint, self._device)

    def frame(self, pose: Pose, size: int, style: RenderStyle) -> np.ndarray | None:
        """Rendering of the loaded step from a camera pose, (h, w, 3) bytes."""
        with self._lock:
            return None if self._generator is None else render_frame(self._generator, pose, size, style)


class PreviewFrames:
    """Preview images of a 2D run, at the steps at which they were written.

    Args:
        run: run with previews; only read.
    """

    noun: ClassVar[str] = "preview"

    def __init__(self, run: Run) -> None:
        self._folder = run.path / "previews"
        self._pixels: np.ndarray | None = None

    def steps(self) -> list[int]:
        """Steps of the previews, ascending."""
        return sorted(int(path.stem.removeprefix("step-")) for path in self._folder.glob("step-*.png"))

    def load(self, step: int) -> None:
        """Reads the preview of a step.

        Raises:
            ValueError: the preview is damaged or missing.
        """
        from PIL import Image

        path = self._folder / f"step-{step:08d}.png"
        try:
            with Image.open(path) as file:
                self._pixels = np.asarray(file.convert("RGB"))
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"preview {path.name} is damaged: {one_line(error, 200)}") from error

    def frame(self, pose: Pose, size: int, style: RenderStyle) -> np.ndarray | None:
        """The whole preview, centred on white in the aspect ratio of the window, (h, w, 3) bytes."""
        pixels = self._pixels
        if pixels is None:
            return None
        h, w = pixels.shape[:2]
        height, width = max(h, round(w / pose.clamped_aspect)), max(w, round(h * pose.clamped_aspect))
        out = np.full((height, width, 3), _BACKGROUND, dtype=np.uint8)
        top, left = (height - h) // 2, (width - w) // 2
        out[top : top + h, left : left + w] = pixels
        return out
