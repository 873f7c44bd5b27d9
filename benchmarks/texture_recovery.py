"""Recovery of a known texture from its own renders, by each representation of a texture: error in the atlas, seams.

A cone on a cube of 3,000 faces, whose true colours are sines of the position; six views of 96 pixels a step from all
around, Adam on squared errors with a rate that falls to a twentieth. Errors are taken at texels of the surface in an
atlas of 1024 pixels; differences across seams by bilinear look-ups of the same points on both sides, of an 8-bit image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from _common import goal, parse_args, save
from torch import Tensor

from modeseek.datasets.scenes.scene_density import SURFACE_LEVEL, scene_density
from modeseek.datasets.scenes.static_scene import StaticScene
from modeseek.generators import AtlasTexture, FieldTexture, HashGrid, Orbit, PaintedMesh, RandomFourier, SurfaceTexture
from modeseek.generators.mesh.atlas import Atlas, texels, unwrap
from modeseek.generators.mesh.decimate import decimate
from modeseek.generators.mesh.extract import extract
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.seams import Seams, bilinear
from modeseek.generators.mesh.surface_points import SurfacePoints
from modeseek.generators.mesh.texture import bake_texture
from modeseek.rng import Streams

FACES, SIZE, VIEWS, STEPS, ATLAS, TEXELS = 3000, 96, 6, 200, 1024, 256
RATES = {"field": 0.01, "hash": 0.01, "atlas": 0.15}  # those of `modeseek paint`
ORBIT = Orbit(elevation=(-60.0, 60.0))


class Known(SurfaceTexture):
    """The true texture."""

    def forward(self, points: SurfacePoints) -> Tensor:
        x, y, z = (6 * points.positions).unbind(-1)
        return torch.stack([0.5 + 0.4 * phase.sin() for phase in (x + z, y, z - y)], -1)


@dataclass(frozen=True)
class Subject:
    """Mesh to paint and the atlas in which textures are compared."""

    mesh: Mesh
    atlas: Atlas
    size: int


def make_subject(size: int) -> Subject:
    """Returns the mesh and its atlas of a size."""
    density = scene_density(StaticScene.from_caption("a red cone on a blue cube"))
    mesh = decimate(extract(density, 96, SURFACE_LEVEL, 0.0).mesh, FACES).mesh
    return Subject(mesh, unwrap(mesh, size), size)


def texture_of(kind: str, mesh: Mesh, rng: Streams) -> SurfaceTexture:
    """Returns a new texture, as `modeseek paint --texture KIND` makes it."""
    if kind == "atlas":
        return AtlasTexture(unwrap(mesh, TEXELS), TEXELS, rng)
    return FieldTexture(RandomFourier(rng) if kind == "field" else HashGrid(rng))


def fit(mesh: Mesh, texture: SurfaceTexture, rate: float, steps: int, seed: int) -> PaintedMesh:
    """Returns the mesh whose texture was fitted to renders of the true one."""
    target, painted = (PaintedMesh(mesh, each, size=SIZE, orbit=ORBIT) for each in (Known(), texture))
    optimizer = torch.optim.Adam(painted.parameters(), lr=rate)
    items = tuple(range(VIEWS))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * 0.05 ** (step / steps)
        view = painted.view(VIEWS, Streams(seed, step, items))
        with torch.no_grad():
            wanted = target(view).image
        optimizer.zero_grad()
        (painted(view).image - wanted).square().sum().backward()
        optimizer.step()
    return painted


def errors(subject: Subject, painted: PaintedMesh) -> dict[str, float]:
    """Returns PSNR over texels of the surface in dB, and the mean difference across seams, of 255."""
    mesh, atlas, size = subject.mesh, subject.atlas, subject.size
    found = bake_texture(mesh, size, painted.surface_colours(mesh), atlas).image
    wanted = bake_texture(mesh, size, Known(), atlas).image
    of_surface = texels(mesh, atlas, size)
    inside = of_surface.index[of_surface.points.weights.amin(1) >= 0]
    error = (found - wanted).flatten(1)[:, inside].square().mean().item()
    image = ((255 * found).round() / 255).flatten(1).T
    seams = Seams.of(atlas, size)
    sides = []
    for uv in (seams.first, seams.second):
        index, weights = bilinear(uv, size)
        sides.append((image[index] * weights[..., None]).sum(1))
    return {"psnr": -10 * math.log10(error), "seam": 255 * (sides[0] - sides[1]).abs().mean().item()}


def main() -> None:
    """Measures, prints and saves the results."""
    args = parse_args("Do textures recover a known one from its renders, and do their seams agree?", threads=1)
    subject = make_subject(256 if args.quick else ATLAS)
    steps = 10 if args.quick else STEPS
    results, targets = {}, {}
    for kind, rate in RATES.items():
        texture = texture_of(kind, subject.mesh, Streams(args.seed, use="start"))
        results[kind] = row = errors(subject, fit(subject.mesh, texture, rate, steps, args.seed))
        print(f"{kind:6} {row['psnr']:5.1f} dB in the atlas, {row['seam']:.2f} of 255 across seams", flush=True)
        targets[f"{kind}: atlas"] = goal(">= 30 dB", row["psnr"], row["psnr"] >= 30)
        targets[f"{kind}: seams"] = goal("<= 2 of 255 on average", row["seam"], row["seam"] <= 2)
    save(args, results, targets)


if __name__ == "__main__":
    main()
