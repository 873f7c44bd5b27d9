"""What a caption says as one thing that stands still in the world, seen from any camera: the truth of text to 3-D.

`Scenes` frames each picture for itself: places and distance follow the camera. Here the whole is centred and sized
once, and every camera sees the same thing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes.caption import ParsedCaption, parse
from modeseek.datasets.scenes.layouts import Layouts
from modeseek.datasets.scenes.lighting import Light
from modeseek.datasets.scenes.placement import place_objects, world_support
from modeseek.datasets.scenes.sampling import SceneContents
from modeseek.datasets.scenes.scenes import Scenes, RenderedScenes
from modeseek.datasets.scenes.vocabulary import SIZES
from modeseek.generators.camera import Cameras

MAX_RADIUS = 0.9  # of the ball about the origin that no still thing leaves
DISTANCE, FOV = 3.5, 34.0  # where it looks as large as things of the scenes do; the ball above fits into the picture
_EXTENT = {1: 0.6, 2: 0.72}  # mean half extent across the picture or up it, by the number of objects
_DIRECTIONS = 4096
WHITE = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class StaticScene:
    """One thing, or one on another, that stands still; upright, its front towards +z, its box centred at the origin.

    Attributes:
        said: what it is.
        layout: one row: things, colours, sizes, places; its camera and light mean nothing.
        lamp: what it is lit by.
        background: the one colour behind it.
    """

    parsed: ParsedCaption
    layout: Layouts
    light: Light = Light()
    background: tuple[float, float, float] = WHITE

    @classmethod
    def from_caption(cls, caption: str, light: Light | None = None, background: tuple[float, float, float] = WHITE) -> StaticScene:
        """The thing that a caption names.

        Its larger half extent, across the picture or up it, is 0.6 world units on average over all azimuths (0.72 with
        two objects), 0.6 or 1.35 times that if it is said to be small or large; no larger than the ball of radius 0.9.

        Args:
            caption: within the grammar of `caption`; two objects one on the other; no view.
            lamp: default: above the camera, moving with it, as on average in the scenes.
            background: its colour, in [0, 1].

        Raises:
            ValueError: a caption outside the grammar, with a view, or with objects that no still thing can show:
                "beside" and "behind" are said as the camera sees it.
        """
        said = parse(caption)
        if said.view is not None:
            raise ValueError(f"a still thing is seen from everywhere: got {caption!r}; leave out {said.view.phrase!r}")
        if said.relation not in (None, "on"):
            raise ValueError(f"'{said.relation}' is as one camera sees it: got {caption!r}; say 'on', or one object")
        if not all(0 <= c <= 1 for c in background):
            raise ValueError(f"a background is a colour in [0, 1]: got {background}; mend it")
        return cls(said, _canonical_layout(said), light or Light(), background)

    @property
    def caption(self) -> str:
        """What it is called."""
        return self.parsed.caption

    @property
    def bounding_radius(self) -> float:
        """Of the ball about the origin that holds it, to one part in a thousand; of a mug, a little too large."""
        return _support(self.layout, _sphere_directions()).max().item()

    def transformed(self, scale: float = 1.0, lift: float = 0.0, yaw: float = 0.0) -> StaticScene:
        """The same thing `scale` times as large, then lifted by `up`, and turned by `turn` degrees about +y.

        Seen from above it turns against the clock: its front then looks along (sin turn, 0, cos turn).
        """
        if not scale > 0:
            raise ValueError(f"a scale is above 0: got {scale}; mend it")
        c, s = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
        about = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
        spots = scale * self.layout.position @ about.T + torch.tensor([0.0, lift, 0.0])
        changed = replace(self.layout, scale=scale * self.layout.scale, position=spots, yaw=self.layout.yaw + yaw)
        return replace(self, layout=changed)

    def layouts(self, cameras: Cameras) -> Layouts:
        """It, as those cameras see it."""
        n = len(cameras)
        rows = self.layout[torch.zeros(n, dtype=torch.long)]
        return replace(
            rows,
            azimuth=cameras.azimuth.float(),
            elevation=cameras.elevation.float(),
            distance=cameras.distance.float(),
            fov=cameras.fov.float(),
            background=torch.tensor(self.background).expand(n, 2, 3).clone(),
            light=self.light.camera_direction(cameras),
        )

    def render(self, cameras: Cameras, size: int = 64, samples: int = 2) -> RenderedScenes:
        """Its pictures, silhouettes, depths and normals from those cameras.

        Args:
            cameras: any.
            size: of the pictures, pixels.
            samples: rays across a pixel wherever something ends in it.
        """
        return Scenes(size, samples).render(self.layouts(cameras))


def turntable(
    n: int, elevation: float = 15.0, start: float = 0.0, distance: float = DISTANCE, fov: float = FOV
) -> Cameras:
    """n cameras around, evenly, the first at azimuth `start`; degrees.

    Raises:
        ValueError: fewer than one.
    """
    if n < 1:
        raise ValueError(f"a turntable has at least one camera: got {n}; raise it")
    same = torch.ones(n)
    return Cameras(start + 360 * torch.arange(n) / n, elevation * same, distance * same, fov * same)


def _canonical_layout(said: ParsedCaption) -> Layouts:
    """One row of it, centred and sized."""
    chosen = SceneContents.from_captions([said])
    scale = torch.tensor([1.0, *SIZES.values()])[chosen.size]
    zero, one, turn = torch.zeros(1), torch.ones(1), torch.zeros(1, 2)
    # From azimuth and elevation 0 the camera's axes are the world's, so the box is centred in the world's.
    placed = place_objects(chosen.object_type, scale, turn, chosen.relation, zero, zero, 30 * one, 0.5 * one, one)
    row = Layouts(
        [said.caption],
        chosen.object_type,
        chosen.colour,
        chosen.size,
        scale,
        placed.position,
        turn,
        chosen.relation,
        zero,
        zero,
        DISTANCE * one,
        FOV * one,
        torch.ones(1, 2, 3),
        zero,
        torch.tensor([[0.0, 0.0, 1.0]]),
        torch.zeros(1, dtype=torch.long),
    )
    around = torch.arange(72) * 5.0
    across = torch.stack([around.deg2rad().cos(), torch.zeros(72), -around.deg2rad().sin()], -1)
    wide = (_support(row, across) + _support(row, -across)) / 2
    tall = _support(row, torch.tensor([[0.0, 1.0, 0.0]]))
    mean = torch.maximum(wide, tall.expand_as(wide)).mean()
    stretch = scale[0, 0] if len(said.objects) == 1 else 1.0
    factor = torch.minimum(_EXTENT[len(said.objects)] * stretch / mean, MAX_RADIUS / _support(row, _sphere_directions()).max())
    return replace(row, scale=factor * row.scale, position=factor * row.position)


def _support(row: Layouts, along: Float[Tensor, "m 3"]) -> Float[Tensor, "m"]:
    """How far the whole extends along each direction from the origin."""
    ends = []
    for slot in (0, 1):
        if row.object_type[0, slot] >= 0:
            thing, scale, turn = (t[:, slot].expand(len(along)) for t in (row.object_type, row.scale, row.yaw))
            ends.append(world_support(thing, scale, turn, along) + along @ row.position[0, slot])
    return torch.stack(ends).amax(0)


def _sphere_directions() -> Float[Tensor, "m 3"]:
    """Directions spread evenly by the golden angle."""
    k = torch.arange(_DIRECTIONS) + 0.5
    y, turn = 1 - 2 * k / _DIRECTIONS, math.pi * (3 - math.sqrt(5)) * k
    r = (1 - y * y).sqrt()
    return torch.stack([r * turn.sin(), y, r * turn.cos()], -1)
