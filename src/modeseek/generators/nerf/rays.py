"""Camera rays through the bounding ball and the sample positions along them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.generators.camera import Cameras


@dataclass(frozen=True)
class Rays:
    """The m rays of n cameras that hit a ball around the origin, each chord divided into s equal intervals.

    Attributes:
        ray: index of the ray among the n * size * size pixels, in row-major order.
        origin: camera centre of the ray, world units.
        direction: unit direction of the ray.
        cosine: cosine of the angle to the viewing axis; depth is distance times cosine.
        near: distance at which the ray enters the ball; 0 for a camera inside.
        step: length of an interval, world units.
        offset: position of the samples within their intervals, in [0, 1).
        samples: number of samples s per ray.
        radius: radius of the ball, world units.
    """

    ray: Int[Tensor, "m"]
    origin: Float[Tensor, "m 3"]
    direction: Float[Tensor, "m 3"]
    cosine: Float[Tensor, "m"]
    near: Float[Tensor, "m"]
    step: Float[Tensor, "m"]
    offset: Float[Tensor, "m"]
    samples: int
    radius: float

    @classmethod
    def from_cameras(
        cls,
        cameras: Cameras,
        directions: Float[Tensor, "n s s 3"],
        samples: int,
        radius: float,
        jitter: Float[Tensor, "n s s"] | None,
    ) -> Rays:
        """Returns the rays that hit the ball, given unit directions per pixel; without jitter samples are midpoints."""
        size = directions.shape[1]
        position, _, _, forward = cameras.frame
        cosine = (directions * forward[:, None, None]).sum(-1)
        along = -(directions * position[:, None, None]).sum(-1)
        half = along.square() - position.square().sum(-1)[:, None, None] + radius**2
        half = half.clamp_min(0).sqrt()
        near, far = (along - half).clamp_min(0), along + half
        ray = (far > near).flatten().nonzero()[:, 0]
        near, far = near.flatten()[ray], far.flatten()[ray]
        offset = torch.full_like(near, 0.5) if jitter is None else jitter.to(near).flatten()[ray]
        origin, direction, cosine = position[ray // size**2], directions.reshape(-1, 3)[ray], cosine.flatten()[ray]
        return cls(ray, origin, direction, cosine, near, (far - near) / samples, offset, samples, radius)

    def __len__(self) -> int:
        return len(self.ray)

    def interval_starts(self) -> Float[Tensor, "m s"]:
        """Returns the distance from the camera to the start of each interval."""
        steps = torch.arange(self.samples, dtype=self.near.dtype, device=self.near.device)
        return torch.addcmul(self.near[:, None], self.step[:, None], steps)

    def distances(self) -> Float[Tensor, "m s"]:
        """Returns the distance from the camera to each sample."""
        return self.interval_starts() + (self.step * self.offset)[:, None]

    def origins_and_strides(self) -> tuple[Float[Tensor, "m 3"], Float[Tensor, "m 3"]]:
        """Returns the first sample of each ray and the vector to the next sample, in radii of the ball."""
        first = self.origin + (self.near + self.step * self.offset)[:, None] * self.direction
        return first / self.radius, self.step[:, None] / self.radius * self.direction

    def points(self, indices: Int[Tensor, "q"] | None = None) -> Float[Tensor, "q 3"]:
        """Returns sample positions in radii of the ball: all m * s, or those at the given flat indices."""
        first, stride = self.origins_and_strides()
        if indices is None:
            steps = torch.arange(self.samples, dtype=first.dtype, device=first.device)
            return torch.addcmul(first[:, None], stride[:, None], steps[:, None]).reshape(-1, 3)
        ray = indices // self.samples
        steps = (indices - ray * self.samples).to(first.dtype)
        return torch.addcmul(first.index_select(0, ray), stride.index_select(0, ray), steps[:, None])

    def select(self, mask: Bool[Tensor, "m"]) -> Rays:
        """Returns a subset of the rays."""
        rows = mask.nonzero()[:, 0]
        parts = (self.ray, self.origin, self.direction, self.cosine, self.near, self.step, self.offset)
        ray, origin, direction, cosine, near, step, offset = (part[rows] for part in parts)
        return Rays(ray, origin, direction, cosine, near, step, offset, self.samples, self.radius)
