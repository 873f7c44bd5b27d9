"""Cameras around a thing: drawn for optimisation, or standing in a ring for previews and evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import Cameras
from modeseek.rng import Rng, Streams, rand


@dataclass(frozen=True)
class Orbit:
    """Where cameras may stand; all of them look at the origin.

    Azimuths are stratified over the batch: item k takes the k-th place of van der Corput's sequence (1935: 0, 1/2,
    1/4, 3/4, 1/8 ...) along the range, and the whole set is turned by one angle drawn for the step. Each camera alone
    is uniform; 2^m items over the full circle stand exactly 360 / 2^m degrees apart; and with `Streams` item k stands
    where it would in a batch of any other size. Elevations are uniform in their sine, so equal areas of the sphere
    are seen equally often. All other draws are the item's own.

    Attributes:
        azimuth: from, to; degrees.
        elevation: from, to; degrees.
        fov: from, to; full field of view, degrees.
        span: from, to; half the image's width at the origin, world units. The camera stands at
            `span / tan(fov / 2)`, so that a wide lens changes the perspective and not the size of the thing.
        distance: from, to; drawn instead of `span`, then whatever the lens.

    Raises:
        ValueError: a range that is empty or beyond what a camera can do.
    """

    azimuth: tuple[float, float] = (-180.0, 180.0)
    elevation: tuple[float, float] = (-15.0, 60.0)
    fov: tuple[float, float] = (24.0, 44.0)
    span: tuple[float, float] = (1.1, 1.3)
    distance: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        limits = {"azimuth": (-720.0, 720.0), "elevation": (-90.0, 90.0), "fov": (1.0, 170.0), "span": (1e-3, 1e3)}
        if self.distance is not None:
            limits["distance"] = (1e-3, 1e6)
        for name, (least, most) in limits.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(
                    f"an orbit's {name} goes from a number to one not below it, within [{least:g}, {most:g}]: got "
                    f"{(low, high)}; mend it"
                )
        if self.azimuth[1] - self.azimuth[0] > 360:
            raise ValueError(f"an orbit's azimuths span 360 degrees at most: got {self.azimuth}; narrow them")

    def draw(self, n: int, rng: Rng) -> Cameras:
        """n cameras in float32 on the CPU; `per_item_streams` says which streams they come from.

        Raises:
            ValueError: n below 1, or streams of another number of items.
        """
        streams, items = per_item_streams(n, rng)
        like = torch.empty(0)
        turn = rand((1, 1), Streams(rng.seed, rng.step, (-1,), rng.use) if isinstance(rng, Streams) else rng, like)[0]
        place = (torch.tensor([van_der_corput(item) for item in items]) + turn) % 1
        up, lens, away = rand((n, 3), streams, like).T
        low, high = (math.sin(math.radians(angle)) for angle in self.elevation)
        elevation = (low + (high - low) * up).clamp(-1, 1).asin().rad2deg().clamp(*self.elevation)
        fov = _between(self.fov, lens)
        if self.distance is not None:
            distance = _between(self.distance, away)
        else:
            distance = _between(self.span, away) / (fov / 2).deg2rad().tan()
        return Cameras(_between(self.azimuth, place), elevation, distance, fov)

    def ring(self, n: int, elevation: float = 15.0, first: float = 0.0, fov: float | None = None) -> Cameras:
        """n cameras evenly around the full circle, with the orbit's middle span (or distance).

        Args:
            n: how many.
            elevation: of all, degrees.
            first: azimuth of the first, degrees; the others go to its right.
            fov: degrees; the middle of the orbit's by default.
        """
        if n < 1:
            raise ValueError(f"a ring has at least one camera: got {n}; ask for more")
        lens = torch.full((n,), sum(self.fov) / 2 if fov is None else fov)
        if self.distance is not None:
            distance = torch.full((n,), sum(self.distance) / 2)
        else:
            distance = sum(self.span) / 2 / (lens / 2).deg2rad().tan()
        return Cameras(first + 360 * torch.arange(n) / n, torch.full((n,), elevation), distance, lens)


def per_item_streams(n: int, rng: Rng) -> tuple[Rng, tuple[int, ...]]:
    """The same randomness with one stream an item, and the items.

    `Streams` of n items are taken as they are; the single item 0, which is what a run hands to a view, stands for
    items 0 to n - 1. A torch.Generator is simply drawn from.

    Raises:
        ValueError: n below 1, or streams of another number of items.
    """
    if n < 1:
        raise ValueError(f"a view has at least one item: got {n}; ask for more")
    if isinstance(rng, torch.Generator):
        return rng, tuple(range(n))
    if rng.items == (0,) and n > 1:
        rng = rng.at(rng.step, tuple(range(n)), rng.use)
    if len(rng.items) != n:
        raise ValueError(f"{n} cameras need {n} streams: got Streams with items={rng.items}; match them")
    return rng, rng.items


def van_der_corput(index: int) -> float:
    """The binary digits of a number mirrored at the point: 0, 1/2, 1/4, 3/4, 1/8 ..."""
    out, share = 0.0, 0.5
    while index:
        out += share * (index & 1)
        index, share = index >> 1, share / 2
    return out


def _between(ends: tuple[float, float], share: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    return ends[0] + (ends[1] - ends[0]) * share
