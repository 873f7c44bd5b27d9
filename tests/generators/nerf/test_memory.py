"""Chunks of a volume that follow the memory: what a point saves, counted by hand, and chunks of a device."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from modeseek.generators.nerf import Dense, Fourier, HashGrid, NeRF, memory

GIB = 2**30


class Squares(nn.Module):
    """Saves one product of three float64 numbers a point, beside the points and a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def forward(self, points: Tensor) -> tuple[Tensor]:
        product = points * self.weight  # saves the points: 24 bytes
        return (product.square(),)  # saves the product: 24 bytes


def test_what_a_point_saves_is_counted_without_parameters() -> None:
    volume = Squares()
    assert memory.saved_bytes_per_point(volume, volume.weight) == 48


def test_networks_save_more_than_grids() -> None:
    rng = torch.Generator().manual_seed(0)
    dense, fourier, hashed = (
        memory.saved_bytes_per_point(volume, next(volume.parameters()))
        for volume in (Dense((8,)), Fourier(rng), HashGrid(rng))
    )
    assert dense < 100 < fourier < hashed


@pytest.mark.parametrize(
    ("bytes_free", "cost", "points"),
    [(GIB, 1024.0, 2**20), (GIB - 1, 1024.0, 2**19), (3 * GIB, 1024.0, 2**21), (0, 1024.0, 2**14)],
)
def test_chunks_are_powers_of_two(bytes_free: int, cost: float, points: int) -> None:
    assert memory.chunk_within(float(bytes_free), cost) == points


@pytest.mark.usefixtures("unchecked")  # a stand-in for a parameter on CUDA
def test_the_chunk_is_a_quarter_of_what_is_free_and_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * GIB, 80 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 3 * GIB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2 * GIB)
    monkeypatch.setattr(memory, "saved_bytes_per_point", lambda function, like: 512.0)
    like = SimpleNamespace(device=torch.device("cuda", 0))
    assert memory.points_that_fit(Squares(), like) == 2**20, "a quarter of 4 GiB at 1 KiB a point"
    assert memory.points_that_fit(Squares(), torch.zeros(1)) is None, "on a CPU all at once"


def test_a_nerf_chooses_its_chunk_once_per_size(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("modeseek.generators.nerf.nerf.points_that_fit", lambda *_: asked.append(1) or 64)
    whole, parts = (NeRF(Dense((5,)), size=6, samples=8, chunk=chunk) for chunk in (10**9, None))
    parts.load_state_dict(whole.state_dict())
    view = whole.view_from(whole.orbit.ring(2))
    images = [nerf(view).image for nerf in (whole, parts, parts)]
    assert torch.allclose(images[0], images[1], atol=1e-6) and torch.equal(images[1], images[2])
    assert len(asked) == 1
    parts.size = 7
    parts(parts.view_from(parts.orbit.ring(1)))
    assert len(asked) == 2
