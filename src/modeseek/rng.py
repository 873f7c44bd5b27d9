"""Random draws: from a torch.Generator, or from one stream per item, independent of batch size and process count."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Streams:
    """Random streams, one per item, each determined by (seed, step, item) alone.

    A draw of n rows gives each item n / len(items) consecutive rows from its own stream, so that what is drawn does
    not depend on batch size, order or the number of processes. A whole point cloud is one item.

    Attributes:
        seed: random seed of the run.
        step: optimization step of the run.
        items: global index of each item of the batch.
        use: label of the purpose; streams of different `use` are independent.
    """

    seed: int
    step: int = 0
    items: tuple[int, ...] = (0,)
    use: str = ""
    _generators: dict[tuple[int, torch.device], torch.Generator] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if not self.items:
            raise ValueError("Streams needs at least one item: got none; pass items=(0,)")

    def at(self, step: int, items: tuple[int, ...] | None = None, use: str = "") -> Streams:
        """Returns fresh streams for another step (and other items or another use)."""
        return Streams(self.seed, step, self.items if items is None else items, use)

    def generator(self, index: int, device: torch.device) -> torch.Generator:
        """Returns the generator of the item at this index of the batch; successive draws continue its stream."""
        key = (index, device)
        if key not in self._generators:
            digest = hashlib.blake2b(
                repr((self.seed, self.step, self.items[index], self.use)).encode(), digest_size=8
            ).digest()
            seed = int.from_bytes(digest, "little") >> 1
            self._generators[key] = torch.Generator(device).manual_seed(seed)
        return self._generators[key]


Rng = torch.Generator | Streams
"""Source of random numbers: a torch.Generator, drawn from in sequence, or `Streams`, keyed by step and item."""


def as_rng(rng: int | Rng) -> Rng:
    """Returns the source of random numbers that a seed stands for, `Streams(seed)`; any other source is itself.

    Raises:
        TypeError: neither a seed nor a source of random numbers.
        ValueError: a seed outside [0, 2^63).
    """
    if isinstance(rng, torch.Generator | Streams):
        return rng
    if not isinstance(rng, int) or isinstance(rng, bool):
        raise TypeError(f"rng must be a seed such as 0, a torch.Generator or Streams, got {rng!r:.80}")
    if not 0 <= rng < 2**63:
        raise ValueError(f"a seed must be in [0, 2^63), got {rng}; try 0")
    return Streams(rng)


def at_step(rng: Rng, step: int, items: tuple[int, ...] | None = None, use: str = "") -> Rng:
    """Returns the streams of a step (and items, and use); a torch.Generator is itself, drawn from in sequence."""
    return rng.at(step, items, use) if isinstance(rng, Streams) else rng


def randn(shape: tuple[int, ...], rng: Rng, like: Tensor) -> Tensor:
    """Draws standard normal numbers of the given shape, with the dtype and device of `like`."""
    return _draw(lambda s, g: torch.randn(s, generator=g, dtype=like.dtype, device=g.device), shape, rng, like.device)


def rand(shape: tuple[int, ...], rng: Rng, like: Tensor) -> Tensor:
    """Draws uniform numbers in [0, 1) of the given shape, with the dtype and device of `like`."""
    return _draw(lambda s, g: torch.rand(s, generator=g, dtype=like.dtype, device=g.device), shape, rng, like.device)


def _draw(
    draw: Callable[[tuple[int, ...], torch.Generator], Tensor],
    shape: tuple[int, ...],
    rng: Rng,
    device: torch.device,
) -> Tensor:
    if isinstance(rng, torch.Generator):
        return draw(shape, rng).to(device)
    n = len(rng.items)
    if shape[0] % n:
        raise ValueError(
            f"{shape[0]} rows cannot be shared by {n} items: got Streams with items={rng.items}; "
            "try a multiple of the number of items"
        )
    block = (shape[0] // n, *shape[1:])
    return torch.cat([draw(block, rng.generator(index, device)) for index in range(n)])
