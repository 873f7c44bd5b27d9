"""Files of a run at any resolution: meshes of every format, drawings as SVG, images of any size, arrays."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.ensemble import single_shape
from modeseek.generators.export_mesh import MESH_FORMATS, MeshFormat, check_textured, encode_mesh, encode_textured
from modeseek.generators.generator3d import Generator3D
from modeseek.generators.mesh.decimate import decimate
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.texture import bake_texture
from modeseek.io.atomic import write_atomic
from modeseek.io.images import encode_png, resize
from modeseek.rundir.run_dir import Run
from modeseek.runs.image_files import ImageSettings
from modeseek.runs.svg_files import short_title
from modeseek.runs.trained import Trained, load_trained

ExportFormat = Literal[MeshFormat, "svg", "png", "npy"]
FORMATS: tuple[ExportFormat, ...] = (*MESH_FORMATS, "svg", "png", "npy")
RESOLUTION, TEXTURED_RESOLUTION = 256, 128  # density samples along each axis of a mesh
VIEW_SIZE = 512  # side of the views of a 3D shape, pixels
_RESOLUTIONS, _SIZES = range(8, 513), range(1, 8193)


def as_3d(trained: Trained, wish: str) -> Generator3D:
    """The 3D generator of a run.

    Raises:
        ValueError: it is of images, points or several particles; the message names the wish, such as "a mesh".
    """
    if trained.shape is None:
        name = type(trained.generator).__name__
        raise ValueError(
            f"{wish} needs a run of a 3D shape, got {trained.run.path.name}, which optimised a {name}; "
            f"for its images: modeseek export {trained.run.path} --format png --size 512"
        )
    return single_shape(trained.shape, wish)


def export_mesh(
    run: Run,
    path: Path,
    resolution: int | None = None,
    level: float | None = None,
    texture: int | None = None,
    faces: int | None = None,
    device: str | torch.device | None = None,
) -> tuple[list[Path], str]:
    """Extracts the mesh of a 3D run and writes it in the format of the suffix: .glb, .obj, .ply or .stl.

    An OBJ with a texture has its .mtl and .png beside it.

    Args:
        run: the run; its newest intact checkpoint counts.
        path: file to write, replaced if it exists.
        resolution: number of density samples along each axis, 8 to 512; None is 256, or 128 under a texture, which has
            the detail and takes longer to unwrap the more faces there are.
        level: density at the surface, per world unit, > 0; None finds it.
        texture: side of a texture, pixels; None stores vertex colours.
        faces: number of faces to decimate to, >= 4; None keeps all.
        device: device that evaluates the shape; None is the fastest of this machine.

    Returns:
        The files, and a one-line summary of the mesh.

    Raises:
        ValueError: not a 3D run, no surface, an unknown suffix, or an argument out of its range.
        OSError: a file cannot be read or written.
    """
    form = mesh_format(path)
    resolution = choose_resolution(resolution, texture)
    _check_range("resolution", resolution, _RESOLUTIONS)
    if texture is not None:
        check_textured(form)
    check_target(path)
    generator = as_3d(load_trained(run, device), "a mesh")
    if texture is not None:
        textured, summary = generator.textured_mesh(texture, faces, resolution, level)
        return _write_all(path.parent, encode_textured(textured, form, path.stem)), summary
    mesh, summary = generator.extract_mesh(resolution, level)
    if faces is not None and len(mesh.faces) > faces:
        decimation = decimate(mesh, faces)
        mesh, summary = decimation.mesh, f"{summary}; {decimation.summary}"
    return save_mesh(mesh, path), summary


def save_mesh(
    mesh: Mesh,
    path: str | os.PathLike[str],
    texture: int | None = None,
    generator: Generator3D | None = None,
    resolution: int = RESOLUTION,
) -> list[Path]:
    """Writes a mesh in the format of the suffix: .glb, .obj, .ply or .stl; returns its files.

    Args:
        mesh: mesh to write.
        path: file to write, replaced if it exists.
        texture: side of a texture, pixels; None stores vertex colours.
        generator: 3D generator of whose density field the texture shows the colours; None interpolates vertex colours.
        resolution: resolution at which the mesh was extracted from it.

    Raises:
        ValueError: an unknown suffix, a format that holds no texture, or a missing package.
        OSError: a file cannot be written.
    """
    path = Path(path)
    form = mesh_format(path)
    check_target(path)
    if texture is None:
        return _write_all(path.parent, encode_mesh(mesh, form, path.stem))
    check_textured(form)
    colours = None if generator is None else generator.surface_colours(mesh, resolution)
    return _write_all(path.parent, encode_textured(bake_texture(mesh, texture, colours), form, path.stem))


def export_images(
    run: Run, path: Path, size: int | None = None, device: str | torch.device | None = None
) -> list[Path]:
    """Writes the images of a run, of a 3D run its six views, as PNGs or as one array.

    Args:
        run: the run; its newest intact checkpoint counts.
        path: folder of the PNGs, which are named by prompt and seed; a .png file, numbered if there are several images;
            or a .npy file, which gets the array (n, c, h, w) in [0, 1].
        size: longest side, pixels; None is that of the run, or 512 for a 3D shape. Coordinate networks and 3D shapes
            are rendered at this size; other images are resized by Lanczos' filter.
        device: device that renders; None is the fastest of this machine.

    Raises:
        ValueError: a run of points, an unknown suffix, or a size out of range.
        OSError: a file cannot be read or written.
    """
    if path.suffix not in ("", ".png", ".npy"):
        raise ValueError(f"images must be written to a folder, a .png or a .npy file, got {path.name!r}")
    if size is not None:
        _check_range("size", size, _SIZES)
    check_target(path)
    trained = load_trained(run, device)
    images, how = _render_images(trained, size)
    if path.suffix == ".npy":
        out = io.BytesIO()
        np.save(out, images.numpy(), allow_pickle=False)
        return _write_all(path.parent, {path.name: out.getvalue()})
    settings = ImageSettings.of(trained.config, run.environment["prior"], len(images))
    labels = trained.generator.item_labels
    names = [f"{name}{'' if size is None else f'@{size}'}" for name in settings.names(labels)]
    if path.suffix == ".png":
        names = [path.stem] if len(images) == 1 else [f"{path.stem}-{k + 1}" for k in range(len(images))]
    shape = (images.shape[2], images.shape[3])
    files = {f"{name}.png": encode_png(image, settings.chunks(k, shape, how)) for k, (name, image) in
             enumerate(zip(names, images, strict=True))}  # fmt: skip
    return _write_all(path.parent if path.suffix else path, files)


def export_svgs(
    run: Run, path: Path, max_bytes: int | None = None, device: str | torch.device | None = None
) -> list[Path]:
    """Writes the drawings of a run as SVG files.

    Args:
        run: the run; its newest intact checkpoint counts.
        path: folder of the files, which are named by prompt and seed; or a .svg file, numbered if there are several
            drawings.
        max_bytes: largest size of a file, bytes; None is that of the run.
        device: device that measures which paths are visible; None is the fastest of this machine.

    Raises:
        ValueError: a run of anything else, another suffix, or too small a size.
        OSError: a file cannot be read or written.
    """
    if path.suffix not in ("", ".svg"):
        raise ValueError(f"drawings must be written to a folder or a .svg file, got {path.name!r}")
    limit = run.config.generator.max_svg_bytes
    if limit is None:
        raise ValueError(
            f"an SVG file needs a run of drawings, got {run.path.name}, which optimised a {run.config.generator_name}; "
            f"for its images: modeseek export {run.path} --format png"
        )
    limit = limit if max_bytes is None else max_bytes
    check_target(path)
    trained = load_trained(run, device)
    settings = ImageSettings.of(trained.config, run.environment["prior"], trained.generator.n_items)
    names = [f"{name}{'' if max_bytes is None else f'-{max_bytes}-bytes'}" for name in settings.names()]
    if path.suffix:
        names = [path.stem] if len(names) == 1 else [f"{path.stem}-{k + 1}" for k in range(len(names))]
    titles = [short_title(prompt, limit) for prompt in settings.prompts]
    files = trained.generator.svgs(titles, limit)
    assert files is not None
    texts = {f"{name}.svg": file.text.encode() for name, file in zip(names, files, strict=True)}
    return _write_all(path.parent if path.suffix else path, texts)


def choose_resolution(resolution: int | None, texture: int | None) -> int:
    """The resolution of a mesh as given, or its default."""
    default = RESOLUTION if texture is None else TEXTURED_RESOLUTION
    return default if resolution is None else resolution


def mesh_format(path: Path) -> MeshFormat:
    """Format of a mesh file by its suffix; ValueError for another."""
    suffix = path.suffix.lower().removeprefix(".")
    for form in MESH_FORMATS:
        if form == suffix:
            return form
    raise ValueError(f"a mesh file must end in .{', .'.join(get_args(MeshFormat))}, got {path.name!r}")


def check_target(path: Path) -> None:
    """Raises an error, before any work, if a file cannot be written there: no folder, or a folder of that name."""
    if not path.parent.is_dir():
        raise ValueError(f"the folder of {path} must exist, got {path.parent}, which does not; try mkdir -p")
    if path.suffix and path.is_dir():
        raise ValueError(f"the output must be a file, got {path}, which is a folder; add a file name")


def _render_images(trained: Trained, size: int | None) -> tuple[Float[Tensor, "n c h w"], str]:
    """Images in [0, 1] with that longest side, and how they were enlarged; empty for their own size."""
    images, generator = trained.images().float(), trained.generator
    size = VIEW_SIZE if size is None and generator.is_3d else size
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"{trained.run.path.name} must hold images, got items of shape {tuple(images.shape[1:])}")
    height, width = images.shape[2:]
    if size is None or size == max(height, width):
        return images, ""
    shape = (max(1, round(size * height / max(height, width))), max(1, round(size * width / max(height, width))))
    rendered = generator.render_at(shape) if trained.decode is None else None
    if rendered is None:
        return torch.stack([resize(image, shape) for image in images]), f"{size} pixels, Lanczos"
    return torch.stack([image.cpu().float() for image in rendered]), f"{size} pixels, rendered"


def _check_range(name: str, value: int, limits: range) -> None:
    if value not in limits:
        raise ValueError(f"{name} must be {limits.start} to {limits.stop - 1}, got {value}")


def _write_all(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        write_atomic(folder / name, data)
    return [folder / name for name in files]
