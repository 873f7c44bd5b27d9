"""Camera sampling around an object: random for optimisation, evenly spaced for previews and evaluation."""

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
    """Distribution of training cameras that look at the origin.

    Azimuths are stratified over the batch: item k takes the k-th element of van der Corput's sequence (1935: 0, 1/2,
    1/4, 3/4, 1/8 ...) along the range, and the whole set is rotated by one random angle per step. Each single camera is
    uniform; 2^m items over the full circle are exactly 360 / 2^m degrees apart; and with `Streams` the camera of item k
    does not depend on the batch size. Elevations are uniform in their sine, that is, uniform on the sphere. All other
    draws are independent per item.

    Attributes:
        azimuth: range of azimuths, degrees; at most 360 wide.
        elevation: range of elevations, degrees, within [-90, 90].
        fov: range of full fields of view, degrees, within [1, 170].
        span: range of half the image width at the origin, world units. The camera distance is
            `span / tan(fov / 2)`, so that the field of view changes the perspective and not the size of the object.
        distance: range of camera distances, world units, independent of the field of view; replaces `span`.

    Raises:
        ValueError: a range that is empty or out of its limits.
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
                    f"orbit {name} must be an ascending range within [{least:g}, {most:g}], got {(low, high)}"
                )
        if self.azimuth[1] - self.azimuth[0] > 360:
            raise ValueError(f"orbit azimuth must span at most 360 degrees, got {self.azimuth}")

    def draw(self, n: int, rng: Rng) -> Cameras:
        """Samples n cameras, float32 on the CPU, from the streams of `per_item_streams`.

        Raises:
            ValueError: n below 1, or streams of another number of items.
        """
        streams, items = per_item_streams(n, rng)
        like = torch.empty(0)
        offset = rand((1, 1), Streams(rng.seed, rng.step, (-1,), rng.use) if isinstance(rng, Streams) else rng, like)[0]
        azimuth = (torch.tensor([van_der_corput(item) for item in items]) + offset) % 1
        height, lens, reach = rand((n, 3), streams, like).T
        low, high = (math.sin(math.radians(angle)) for angle in self.elevation)
        elevation = (low + (high - low) * height).clamp(-1, 1).asin().rad2deg().clamp(*self.elevation)
        fov = _lerp(self.fov, lens)
        if self.distance is not None:
            distance = _lerp(self.distance, reach)
        else:
            distance = _lerp(self.span, reach) / (fov / 2).deg2rad().tan()
        return Cameras(_lerp(self.azimuth, azimuth), elevation, distance, fov)

    def ring(self, n: int, elevation: float = 15.0, first: float = 0.0, fov: float | None = None) -> Cameras:
        """Returns n cameras evenly spaced on the full circle, at the midpoint of the orbit's span (or distance).

        Args:
            n: number of cameras, >= 1.
            elevation: elevation of all cameras, degrees.
            first: azimuth of the first camera, degrees; the others follow at increasing azimuth.
            fov: full field of view, degrees; the midpoint of the orbit's range by default.
        """
        if n < 1:
            raise ValueError(f"a ring needs at least one camera, got {n}")
        lens = torch.full((n,), sum(self.fov) / 2 if fov is None else fov)
        if self.distance is not None:
            distance = torch.full((n,), sum(self.distance) / 2)
        else:
            distance = sum(self.span) / 2 / (lens / 2).deg2rad().tan()
        return Cameras(first + 360 * torch.arange(n) / n, torch.full((n,), elevation), distance, lens)


def per_item_streams(n: int, rng: Rng) -> tuple[Rng, tuple[int, ...]]:
    """Returns random streams with one stream per item, and the item indices.

    `Streams` of n items are returned unchanged; the single item 0, which a run passes to `view`, is expanded to
    items 0 to n - 1. A torch.Generator is returned unchanged.

    Raises:
        ValueError: n below 1, or streams of another number of items.
    """
    if n < 1:
        raise ValueError(f"a view needs at least one item, got {n}")
    if isinstance(rng, torch.Generator):
        return rng, tuple(range(n))
    if rng.items == (0,) and n > 1:
        rng = rng.at(rng.step, tuple(range(n)), rng.use)
    if len(rng.items) != n:
        raise ValueError(f"{n} cameras need {n} streams, got Streams with items={rng.items}")
    return rng, rng.items


def van_der_corput(index: int) -> float:
    """Returns an element of van der Corput's sequence, the bit-reversed index: 0, 1/2, 1/4, 3/4, 1/8 ..."""
    value, digit = 0.0, 0.5
    while index:
        value += digit * (index & 1)
        index, digit = index >> 1, digit / 2
    return value


def _lerp(ends: tuple[float, float], t: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    return ends[0] + (ends[1] - ends[0]) * t
