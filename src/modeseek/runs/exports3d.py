"""Exports of a finished 3D shape: turntable video, depth and normal strips, and a mesh (GLB, PLY)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from modeseek.generators.export import depth_normal_strips, encode_gif, encode_glb, encode_ply, encode_pngs
from modeseek.generators.mesh.extract import extract
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.surface import Surface
from modeseek.generators.nerf import NeRF
from modeseek.generators.rendering3d import Generator3D
from modeseek.io.atomic import write_atomic
from modeseek.io.video import encode_mp4
from modeseek.reports.mesh_viewer import render_still
from modeseek.rundir.run_dir import Run

_TURNTABLE_FRAMES, _TURNTABLE_SIZE = 36, 128  # number of frames; least side of a frame, pixels
_TURNTABLE_SECONDS = 4.0
_STRIP_SIZE = 192  # least side of a strip image, pixels
_STRIP_VIEWS = 6
_MESH_RESOLUTION = 96  # density samples along each axis


def export_3d(run: Run, generator: Generator3D, video: bool) -> Iterator[str]:
    """Writes `media/turntable.gif` (and MP4), `media/sides.png`, `exports/mesh.glb` and `.ply`; yields log lines.

    A volume without a surface gets no mesh, and the log line says why.
    """
    media, exports = run.path / "media", run.path / "exports"
    frames = render_turntable(generator, _TURNTABLE_FRAMES, max(_TURNTABLE_SIZE, generator.size))
    write_atomic(media / "turntable.gif", encode_gif(frames, _TURNTABLE_SECONDS))
    if video:
        write_atomic(
            media / "turntable.mp4", encode_mp4(encode_pngs(frames), round(_TURNTABLE_FRAMES / _TURNTABLE_SECONDS))
        )
    size = max(_STRIP_SIZE, generator.size)
    with torch.no_grad():
        strips = depth_normal_strips(
            generator(generator.view_from(generator.orbit.ring(_STRIP_VIEWS), size, normals=True))
        )
    sheet = torch.cat([torch.cat(strip.split(size, -1), 1) for strip in strips], -1)  # one column per view
    write_atomic(media / "sides.png", encode_pngs(sheet[None])[0])
    yield "turntable and depth and normal strips written"
    try:
        mesh, summary = extract_mesh(generator)
    except ValueError as error:
        yield f"no mesh was written: {error}"
        return
    write_atomic(exports / "mesh.glb", encode_glb(mesh))
    write_atomic(exports / "mesh.ply", encode_ply(mesh))
    write_atomic(exports / "mesh.png", render_still(mesh))
    yield f"mesh written: {summary}"


def render_turntable(generator: Generator3D, n: int, size: int) -> Tensor:
    """Images (n, 3, size, size) from a full circle of cameras, rendered one at a time."""
    ring = generator.orbit.ring(n)
    with torch.no_grad():
        return torch.cat([generator(generator.view_from(ring.select(k), size)).image.cpu() for k in range(n)])


def extract_mesh(generator: Generator3D) -> tuple[Mesh, str]:
    """Mesh of a 3D shape, and a one-line summary of it.

    Raises:
        ValueError: the shape has no surface, or scikit-image is missing.
    """
    if isinstance(generator, Surface):
        return generator.mesh, f"{len(generator.mesh.faces):,} faces, colours refined"
    if not isinstance(generator, NeRF):
        raise ValueError(f"a mesh can be extracted from a NeRF or a Surface, got {type(generator).__name__}")
    like = next(generator.volume.parameters()).new_empty(0)
    with torch.no_grad():
        extracted = extract(generator.field, generator.radius, _MESH_RESOLUTION, like=like)
    return extracted.mesh, extracted.summary
