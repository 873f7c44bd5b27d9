"""Small drawings for tests: random curves in float64, of fills and strokes in mixed order."""

from __future__ import annotations

from dataclasses import replace

import torch
from cases import generator

from modeseek.generators.vector.paths import Paths, random_paths

NAMES = ("fills", "strokes", "widths", "colors", "background")


def wild(n: int, fills: int, strokes: int, *, dtype: torch.dtype = torch.float64, noise: float = 0.1) -> Paths:
    """Drawings of curves that cross themselves, some see-through, in an order of their own, some even-odd."""
    rng = generator()
    paths = random_paths(n, fills, strokes, 4, rng, like=torch.empty(0, dtype=dtype))
    k = fills + strokes

    def jolt(points: torch.Tensor) -> torch.Tensor:
        return points + noise * torch.randn(points.shape, generator=rng, dtype=dtype)

    return replace(
        paths,
        fills=jolt(paths.fills),
        strokes=jolt(paths.strokes),
        widths=3 * paths.widths,
        colors=torch.cat([paths.colors[..., :3], torch.rand(n, k, 1, generator=rng, dtype=dtype)], -1),
        order=torch.stack([torch.randperm(k, generator=rng) for _ in range(n)]),
        even_odd=torch.rand(n, fills, generator=rng) < 0.4,
        background=torch.rand(n, 3, generator=rng, dtype=dtype),
    )


def with_values(paths: Paths, values: dict[str, torch.Tensor]) -> Paths:
    return replace(paths, **values)
