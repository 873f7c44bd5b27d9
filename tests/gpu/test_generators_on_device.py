"""Every generator on the device: images and gradients of the CPU, equal renderings to the bit where promised."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modeseek as ms
from modeseek.generators import Dense, Fourier, HashGrid, NeRF, Triplane
from modeseek.generators.nerf.memory import saved_bytes_per_point
from modeseek.generators.splats import Ball, Splats
from modeseek.generators.vector.drawing import Drawing


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def nerf(volume: nn.Module) -> NeRF:
    return NeRF(volume, size=6, samples=6)


def carved(device: str | torch.device = "cpu") -> NeRF:
    """A pruned grid, rendered by its open samples alone."""
    made = nerf(Dense((12,)))
    with torch.no_grad():
        made.volume.grid[..., :4] = -20
    made.prune(0.05)
    return made.to(device)


GENERATORS: dict[str, Callable[[], Any]] = {
    "image": lambda: ms.Image(torch.rand(2, 3, 8, 8, generator=rng()), levels=2),
    "latent": lambda: ms.Latent(torch.randn(2, 4, 8, 8, generator=rng())),
    "fourier field": lambda: ms.Field(2, (8, 8), rng(), width=8, depth=2),
    "siren field": lambda: ms.Field(2, (8, 8), rng(), kind="siren", width=8, depth=2),
    "hash field": lambda: ms.Field(2, (8, 8), rng(), kind="hash", width=8, depth=2),
    "dense": lambda: nerf(Dense((8,))),
    "triplane": lambda: nerf(Triplane(rng())),
    "fourier": lambda: nerf(Fourier(rng(), width=8)),
    "hash": lambda: nerf(HashGrid(rng(), levels=2, finest=16)),
    "pruned": carved,
    "drawing": lambda: Drawing(1, (16, 16), 3, rng=0),
    "splats": lambda: Splats(40, Ball(0.5, 0.5), rng=ms.Streams(0), size=12),
}
TO_THE_BIT = ("image", "latent", "fourier field", "siren field", "drawing")


def rendered(generator: nn.Module, view: Any) -> tuple[Tensor, list[Tensor]]:
    """The image, and the gradients of its squares."""
    rendering = generator(view)
    image = rendering if isinstance(rendering, Tensor) else rendering.image
    parameters = [p for p in generator.parameters() if p.requires_grad]
    grads = torch.autograd.grad(image.square().sum(), parameters, allow_unused=True)
    return image.detach(), [grad for grad in grads if grad is not None]


@pytest.mark.cuda
@pytest.mark.parametrize("name", GENERATORS)
def test_images_and_gradients_are_those_of_the_cpu(name: str, device: torch.device) -> None:
    here = GENERATORS[name]()
    there = copy.deepcopy(here).to(device)
    view = here.view(2 if name not in ("drawing",) else 1, ms.Streams(3))
    image, grads = rendered(here, view)
    other, others = rendered(there, view)
    assert other.device.type == device.type and (other.cpu() - image).abs().max() <= 2e-4 * image.abs().max()
    assert len(grads) == len(others) > 0
    for want, got in zip(grads, others, strict=True):
        assert (got.cpu() - want).norm() <= 2e-3 * want.norm() + 1e-6


@pytest.mark.cuda
@pytest.mark.parametrize("name", TO_THE_BIT)
def test_equal_renderings_are_equal_to_the_bit(name: str, device: torch.device) -> None:
    generator = GENERATORS[name]().to(device)
    view = generator.view(1 if name == "drawing" else 2, ms.Streams(3))
    (image, grads), (other, others) = rendered(generator, view), rendered(generator, view)
    assert torch.equal(image, other) and all(torch.equal(a, b) for a, b in zip(grads, others, strict=True))


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["dense", "hash"])
def test_chunks_change_nothing_beyond_rounding(name: str, device: torch.device) -> None:
    whole = GENERATORS[name]().to(device)
    view = whole.view(1, ms.Streams(3))
    image, grads = rendered(whole, view)
    whole.chunk = 17
    other, others = rendered(whole, view)
    assert (image - other).abs().max() <= 1e-5
    assert all((a - b).norm() <= 1e-4 * a.norm() + 1e-7 for a, b in zip(grads, others, strict=True))


@pytest.mark.cuda(only=True)
@pytest.mark.parametrize(("name", "make"), [("fourier", Fourier), ("hash", HashGrid)])
def test_a_volume_at_512_pixels_stays_within_a_quarter_of_the_free_memory(
    name: str, make: Callable[..., nn.Module], device: torch.device
) -> None:
    """Four views: 19 and 36 GB at once on an H200, before chunks followed the memory."""
    made = NeRF(make(rng()), size=512, samples=48).to(device)
    made.chunk = 2**20
    view = made.view(1, ms.Streams(0))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    rendered(made, view)
    used = torch.cuda.max_memory_allocated() - before
    chunk = 2**20 * saved_bytes_per_point(made.volume, next(made.volume.parameters()))
    samples = 512 * 512 * 48
    assert used <= 2 * chunk + 160 * samples, "one chunk, and what the compositing keeps of each sample"
