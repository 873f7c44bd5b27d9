"""Random splats and views of them, in float64."""

from __future__ import annotations

import dataclasses

import torch
from splat_oracle import Camera, Cloud

import modeseek as ms
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.splats import Splats
from modeseek.generators.splats.starts import StartingSplats

F64 = torch.float64
CAMERAS = (Camera(20.0, 10.0, 3.0, 40.0), Camera(-130.0, 50.0, 2.2, 55.0), Camera(95.0, -20.0, 0.45, 60.0))
SIZE = 14


@dataclasses.dataclass(frozen=True)
class Given:
    """Given splats as a start."""

    values: StartingSplats

    def splats(self, n, rng, like):
        return self.values


def cloud(n: int, seed: int) -> StartingSplats:
    g = torch.Generator().manual_seed(seed)
    return StartingSplats(
        0.45 * torch.randn(n, 3, generator=g, dtype=F64),
        2.0 * torch.randn(n, 4, generator=g, dtype=F64),
        torch.exp(-1.7 + 0.5 * torch.randn(n, 3, generator=g, dtype=F64)),
        torch.rand(n, generator=g, dtype=F64) * 0.98 + 0.01,
        torch.rand(n, 3, generator=g, dtype=F64) * 0.9 + 0.05,
    )


def made(n: int = 30, seed: int = 0, **options) -> Splats:
    return Splats(n, Given(cloud(n, seed)), rng=ms.Streams(0), size=SIZE, like=torch.empty(0, dtype=F64), **options)


def view(cameras=CAMERAS, normals: bool = False, size: int = SIZE) -> CameraView:
    columns = zip(*(dataclasses.astuple(camera) for camera in cameras), strict=True)
    return CameraView(
        tuple(range(len(cameras))), Cameras(*(torch.tensor(c, dtype=F64) for c in columns)), size, normals
    )


def plain(splats: Splats) -> Cloud:
    return Cloud(*(getattr(splats.splats, f.name).numpy() for f in dataclasses.fields(StartingSplats)))
