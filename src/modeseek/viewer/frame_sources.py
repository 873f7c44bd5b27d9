"""What there is to be seen of a run: the thing that it makes, or the pictures that it keeps."""

from __future__ import annotations

import threading
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from modeseek.generators.rendering3d import Generator3D
from modeseek.rundir.checkpoint import read_checkpoint
from modeseek.rundir.run_dir import Run
from modeseek.viewer.render_frame import RenderStyle, render_frame
from modeseek.viewer.viser_camera import Pose
from modeseek.viewer.without_prior import load_generator, restore_generator

_PAPER = 255  # around a picture that is narrower or lower than the window


@runtime_checkable
class FrameSource(Protocol):
    """Something with moments, of which one is shown at a time."""

    def steps(self) -> list[int]:
        """The moments that there are now, oldest first."""
        ...

    def load(self, step: int) -> None:
        """Goes over to that moment; ValueError, in one line, where it cannot be read."""
        ...

    def frame(self, pose: Pose, size: int, look: RenderStyle) -> np.ndarray | None:
        """What the window shows, (h, w, 3) bytes; None before the first moment."""
        ...


class CheckpointFrames:
    """A thing, at the steps whose checkpoints are kept.

    Args:
        run: it is only read.
        device: that renders.
    """

    def __init__(self, run: Run, device: str = "cpu") -> None:
        self._run, self._config, self._device = run, run.config, device
        self._thing: Generator3D | None = None
        self._lock = threading.Lock()

    def steps(self) -> list[int]:
        """Of the checkpoints, whole or not."""
        return [int(path.name.removeprefix("step-")) for path in self._run.checkpoints]

    def load(self, step: int) -> None:
        """Verifies the checkpoint and takes the generator's numbers from it; what was shown stays if that fails.

        Raises:
            ValueError: it is damaged, gone or does not fit.
            OSError: a mesh that cannot be read.
        """
        held = read_checkpoint(self._run.path / "checkpoints" / f"step-{step:08d}")
        with self._lock:
            if isinstance(self._thing, torch.nn.Module):
                restore_generator(self._thing, held, self._device)
            else:
                self._thing = load_generator(self._config, held, self._device)

    def frame(self, pose: Pose, size: int, look: RenderStyle) -> np.ndarray | None:
        """Rendered from there."""
        with self._lock:
            return None if self._thing is None else render_frame(self._thing, pose, size, look)


class PreviewFrames:
    """The pictures that a run keeps of flat things, at the steps at which it drew them.

    Args:
        run: it is only read.
    """

    def __init__(self, run: Run) -> None:
        self._folder = run.path / "previews"
        self._pixels: np.ndarray | None = None

    def steps(self) -> list[int]:
        """Of the pictures."""
        return sorted(int(path.stem.removeprefix("step-")) for path in self._folder.glob("step-*.png"))

    def load(self, step: int) -> None:
        """Reads one.

        Raises:
            ValueError: it is damaged or gone.
        """
        from PIL import Image

        path = self._folder / f"step-{step:08d}.png"
        try:
            with Image.open(path) as file:
                self._pixels = np.asarray(file.convert("RGB"))
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"picture {path.name} is damaged: {' '.join(str(error).split())[:200]}") from error

    def frame(self, pose: Pose, size: int, look: RenderStyle) -> np.ndarray | None:
        """The picture in the middle of the window, whole, with paper around it."""
        pixels = self._pixels
        if pixels is None:
            return None
        h, w = pixels.shape[:2]
        height, width = max(h, round(w / pose.stretch)), max(w, round(h * pose.stretch))
        out = np.full((height, width, 3), _PAPER, dtype=np.uint8)
        top, left = (height - h) // 2, (width - w) // 2
        out[top : top + h, left : left + w] = pixels
        return out
