"""What a finished thing leaves: a turntable, strips of depth and normals, and a mesh that other programs open."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from modeseek.generators.export import encode_gif, encode_glb, encode_ply, encode_pngs, depth_normal_strips
from modeseek.generators.mesh.extract import extract
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.surface import Surface
from modeseek.generators.nerf import NeRF
from modeseek.generators.rendering3d import Generator3D
from modeseek.io.atomic import write_atomic
from modeseek.io.video import encode_mp4
from modeseek.reports.mesh_viewer import render_still
from modeseek.rundir.run_dir import Run

_TURN, _FILM = 36, 128  # frames of the turntable, their side in pixels at least
_SECONDS = 4.0
_LARGE = 192  # side of the strips, pixels at least
_SIDES = 6  # strips
_SAMPLES = 96  # of the density along each side, for the mesh


def export_3d(run: Run, thing: Generator3D, video: bool) -> Iterator[str]:
    """Writes `media/turntable.gif` (and MP4), `media/sides.png`, `exports/mesh.glb` and `.ply`; yields what came of it.

    A volume without a surface leaves no mesh, and the line says why.
    """
    media, exports = run.path / "media", run.path / "exports"
    frames = render_turntable(thing, _TURN, max(_FILM, thing.size))
    write_atomic(media / "turntable.gif", encode_gif(frames, _SECONDS))
    if video:
        write_atomic(media / "turntable.mp4", encode_mp4(encode_pngs(frames), round(_TURN / _SECONDS)))
    size = max(_LARGE, thing.size)
    with torch.no_grad():
        shown = depth_normal_strips(thing(thing.view_from(thing.orbit.ring(_SIDES), size, normals=True)))
    sheet = torch.cat([torch.cat(side.split(size, -1), 1) for side in shown], -1)  # a column a side
    write_atomic(media / "sides.png", encode_pngs(sheet[None])[0])
    yield "turntable and sides written"
    try:
        mesh, told = extract_mesh(thing)
    except ValueError as error:
        yield f"no mesh was written: {error}"
        return
    write_atomic(exports / "mesh.glb", encode_glb(mesh))
    write_atomic(exports / "mesh.ply", encode_ply(mesh))
    write_atomic(exports / "mesh.png", render_still(mesh))
    yield f"mesh written: {told}"


def render_turntable(thing: Generator3D, n: int, size: int) -> Tensor:
    """(n, 3, size, size) pictures from all around, one rendered at a time."""
    ring = thing.orbit.ring(n)
    with torch.no_grad():
        return torch.cat([thing(thing.view_from(ring.select(k), size)).image.cpu() for k in range(n)])


def extract_mesh(thing: Generator3D) -> tuple[Mesh, str]:
    """The surface of a thing, and a line about it.

    Raises:
        ValueError: it has none, or scikit-image is missing.
    """
    if isinstance(thing, Surface):
        return thing.mesh, f"{len(thing.mesh.faces):,} faces, colours refined"
    if not isinstance(thing, NeRF):
        raise ValueError(f"a mesh is made of a volume: got {type(thing).__name__}")
    like = next(thing.volume.parameters()).new_empty(0)
    with torch.no_grad():
        found = extract(thing.field, thing.radius, _SAMPLES, like=like)
    return found.mesh, found.summary
