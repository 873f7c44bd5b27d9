"""Results of runs that were started in Python, as images of Pillow, films and meshes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.config.config import Config
from modeseek.config.given_prior import GivenPrior
from modeseek.config.serialization import suggest_name
from modeseek.generators.base import BaseGenerator
from modeseek.generators.ensemble import Ensemble, single_shape
from modeseek.generators.generator3d import Generator3D
from modeseek.generators.mesh.mesh import Mesh
from modeseek.io.atomic import write_atomic
from modeseek.io.images import to_pixels
from modeseek.io.progress_bars import is_interactive, run_with_progress
from modeseek.rundir.drawing_records import read_records
from modeseek.rundir.run_dir import Run
from modeseek.runs.api import create_run
from modeseek.runs.export_run import save_mesh
from modeseek.runs.exports import write_film
from modeseek.runs.render_run import RenderSettings, render_run
from modeseek.runs.train import train

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


@dataclass(frozen=True)
class ImageResult:
    """Result of `ms.image`: the run and its final images.

    Attributes:
        run: the run, with its folder, configuration, metrics and report.
        pixels: final images, (n, 3, h, w) in [0, 1] up to overshoot, on the CPU.
        generator: the optimised generator.
    """

    run: Run
    pixels: Float[Tensor, "n c h w"] = field(repr=False)
    generator: BaseGenerator = field(repr=False)

    @property
    def images(self) -> list[PillowImage]:
        """Final images, as images of Pillow."""
        from PIL import Image

        modes: Sequence[Any] = [array[:, :, 0] if array.shape[2] == 1 else array for array in to_pixels(self.pixels)]
        return [Image.fromarray(array) for array in modes]

    @property
    def image(self) -> PillowImage:
        """First of the final images, as an image of Pillow."""
        return self.images[0]

    def video(self, path: str | os.PathLike[str]) -> Path:
        """Writes the film of the optimisation, .mp4 or .gif, from the previews of the run; returns the path.

        Raises:
            ValueError: another suffix, or a run without previews.
            OSError: the file cannot be written.
        """
        return write_film(self.run, Path(path))


@dataclass(frozen=True)
class SvgResult(ImageResult):
    """Result of `ms.svg`: the run and its drawings; its images are rendered with a longest side of about 512 pixels."""

    @property
    def svgs(self) -> list[str]:
        """Content of the SVG files of all drawings."""
        folder = self.run.path / "exports"
        return [(folder / record.file).read_text("utf-8") for record in read_records(self.run.path)]

    @property
    def svg(self) -> str:
        """Content of the SVG file of the first drawing."""
        return self.svgs[0]

    def save(self, path: str | os.PathLike[str], index: int = 0) -> Path:
        """Writes a drawing as an SVG file, the first by default, and returns the path.

        Raises:
            ValueError: another suffix than .svg, or there is no drawing of that index.
            OSError: the file cannot be written.
        """
        svgs, target = self.svgs, Path(path)
        if target.suffix.lower() != ".svg":
            raise ValueError(f"a drawing must be written to a .svg file, got {target.name!r}; for pixels: .image.save")
        if not 0 <= index < len(svgs):
            raise ValueError(f"index must be 0 to {len(svgs) - 1}, got {index}")
        write_atomic(target, svgs[index])
        return target


@dataclass(frozen=True)
class ShapeResult(ImageResult):
    """Result of `ms.shape`: the run and the optimised 3D shape; its images are six views around it."""

    generator: Generator3D | Ensemble = field(repr=False)

    def mesh(self, resolution: int = 128, level: float | None = None, particle: int = 0) -> ShapeMesh:
        """Extracts the mesh of the visible surface.

        Args:
            resolution: number of density samples along each axis, 8 to 512.
            level: density at the surface, per world unit, > 0; None finds it.
            particle: number of the shape, where a run optimised several.

        Raises:
            ValueError: there is no surface, or an argument is out of its range.
        """
        shapes = self.generator.particles
        if not 0 <= particle < len(shapes):
            raise ValueError(f"particle must be 0 to {len(shapes) - 1}, got {particle}; try 0")
        shape = single_shape(shapes[particle], "a mesh")
        mesh, summary = shape.extract_mesh(resolution, level)
        return ShapeMesh(mesh, summary, shape, resolution)

    def turntable(self, path: str | os.PathLike[str], size: int = 512, frames: int = 120) -> Path:
        """Writes a film of a full turn, .mp4 or .gif, and returns its path; 30 to 60 s on two CPU cores.

        Args:
            path: file to write.
            size: side of a frame, pixels.
            frames: number of frames.

        Raises:
            ValueError: another suffix, or a size or number of frames out of range.
            OSError: the file cannot be written.
        """
        return render_run(self.run, Path(path), RenderSettings(size=size, frames=frames), self.run.config.device)


@dataclass(frozen=True)
class ShapeMesh:
    """Mesh of a 3D shape.

    Attributes:
        mesh: vertices, faces and vertex colours.
        summary: its size and what was left out, one line.
        generator: 3D generator that it was extracted from.
        resolution: number of density samples along each axis.
    """

    mesh: Mesh = field(repr=False)
    summary: str
    generator: Generator3D = field(repr=False)
    resolution: int

    def save(self, path: str | os.PathLike[str], texture: int | None = None) -> Path:
        """Writes the mesh in the format of the suffix, .glb, .obj, .ply or .stl, and returns the path.

        Args:
            path: file to write.
            texture: side of a texture of .glb and .obj, pixels; None stores vertex colours.

        Raises:
            ValueError: another suffix, or a format that holds no texture.
            OSError: the file cannot be written.
        """
        save_mesh(self.mesh, Path(path), texture, self.generator, self.resolution)
        return Path(path)


def run_to_end(
    config: Config, prior: GivenPrior, command: str, out: str | os.PathLike[str] | None, progress: bool | None = None
) -> tuple[Run, Tensor, BaseGenerator]:
    """Trains a configuration to its last step; returns the run, its final renderings and its generator.

    Args:
        config: configuration of the run.
        prior: its prior, loaded or not.
        command: name of the function that was called, which the run folder keeps.
        out: run folder to create; None makes one in `runs/`.
        progress: whether to show progress bars on standard error; None: in a terminal and in a notebook.

    Raises:
        ValueError: parts of the configuration do not fit together.
        OSError: a file cannot be read or written.
        RunInterrupted: a stop was requested; resumable.
        RunFailed: a direction is not finite, or a rendering collapsed.
    """
    run, objects = create_run(config, [command], out, prior.loaded)
    job = train(run, objects, config.steps)
    if is_interactive() if progress is None else progress:
        run_with_progress(job)
    else:
        deque(job, 0)
    with torch.no_grad():
        pixels = objects.render_preview().detach().float().cpu()
    return run, pixels, objects.generator


def check_options(name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Raises TypeError if a function of a configuration has no parameter of an option's name; suggests the nearest."""
    known = signature(function).parameters
    for option in options:
        if option not in known:
            raise TypeError(f"{name} has no option {option!r}; {suggest_name(option, known)}")
