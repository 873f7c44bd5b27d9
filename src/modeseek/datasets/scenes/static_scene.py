"""Static scenes: 3-D objects of a caption, fixed in the world, as ground truth of text to 3D.

`Scenes` frames each image separately: positions and distance follow the camera. A static scene is centred and scaled
once, and all cameras see the same geometry.
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
from modeseek.datasets.scenes.scenes import RenderedScenes, Scenes
from modeseek.datasets.scenes.vocabulary import SIZES
from modeseek.generators.camera import Cameras

MAX_RADIUS = 0.9  # radius of the origin-centred sphere that holds every static scene, world units
DISTANCE, FOV = 3.5, 34.0  # default camera: apparent size as in `Scenes`, the sphere above fits into the image
_EXTENT = {1: 0.6, 2: 0.72}  # mean of the larger half extent, horizontal or vertical, by the number of objects
_DIRECTIONS = 4096  # directions on the sphere in which extents are measured
WHITE = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class StaticScene:
    """Static scene of one object or a stack of two: upright, front face towards +z, bounding box centred at 0.

    Attributes:
        parsed: content of its caption.
        layout: one-row layout; its camera, light and background are unused.
        light: light of the scene.
        background: uniform background colour, [0, 1].
    """

    parsed: ParsedCaption
    layout: Layouts
    light: Light = Light()
    background: tuple[float, float, float] = WHITE

    @classmethod
    def from_caption(
        cls, caption: str, light: Light | None = None, background: tuple[float, float, float] = WHITE
    ) -> StaticScene:
        """Static scene of a caption.

        Its larger half extent, horizontal or vertical, is 0.6 world units on average over all azimuths (0.72 with two
        objects), 0.6 or 1.35 times that for "small" or "large"; the scene always fits into a sphere of radius 0.9.

        Args:
            caption: caption without a view phrase: a single object, or two joined by "on".
            light: light of the scene; default: above the camera and moving with it, as on average in `Scenes`.
            background: uniform background colour, [0, 1].

        Raises:
            ValueError: a caption outside the grammar, with a view, or with "beside" or "behind", which depend on the
                camera; a background outside [0, 1].
        """
        parsed = parse(caption)
        if parsed.view is not None:
            raise ValueError(
                f"caption of a static scene must have no view, got {caption!r}; try without {parsed.view.phrase!r}"
            )
        if parsed.relation not in (None, "on"):
            raise ValueError(
                f"relation of a static scene must not depend on the camera, got {caption!r}; try 'on' or one object"
            )
        if not all(0 <= c <= 1 for c in background):
            raise ValueError(f"background must be a colour in [0, 1], got {background}; try (1, 1, 1)")
        return cls(parsed, _canonical_layout(parsed), light or Light(), background)

    @property
    def caption(self) -> str:
        """Caption of the scene."""
        return self.parsed.caption

    @property
    def bounding_radius(self) -> float:
        """Radius of the bounding sphere about the origin, world units, to 0.1 %; slightly too large for a mug."""
        return _support(self.layout, _sphere_directions()).max().item()

    def transformed(self, scale: float = 1.0, lift: float = 0.0, yaw: float = 0.0) -> StaticScene:
        """The scene scaled by `scale`, rotated by `yaw` degrees about +y, then lifted by `lift` world units.

        The rotation is counter-clockwise from above: the front face then looks along (sin yaw, 0, cos yaw).
        """
        if not scale > 0:
            raise ValueError(f"scale must be above 0, got {scale}; try 1.0")
        c, s = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
        rotation = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
        position = scale * self.layout.position @ rotation.T + torch.tensor([0.0, lift, 0.0])
        layout = replace(self.layout, scale=scale * self.layout.scale, position=position, yaw=self.layout.yaw + yaw)
        return replace(self, layout=layout)

    def layouts(self, cameras: Cameras) -> Layouts:
        """Layouts of the scene for a batch of cameras."""
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
        """Renders images, masks, depths and normals from a batch of cameras.

        Args:
            cameras: cameras.
            size: side of the images, pixels.
            samples: rays across an edge pixel (samples^2 per pixel), >= 1.
        """
        return Scenes(size, samples).render(self.layouts(cameras))


def turntable(
    n: int, elevation: float = 15.0, start: float = 0.0, distance: float = DISTANCE, fov: float = FOV
) -> Cameras:
    """n cameras evenly spaced in azimuth, the first at azimuth `start`; angles in degrees.

    Raises:
        ValueError: n below 1.
    """
    if n < 1:
        raise ValueError(f"a turntable must have at least one camera, got n={n}; try 24")
    ones = torch.ones(n)
    return Cameras(start + 360 * torch.arange(n) / n, elevation * ones, distance * ones, fov * ones)


def _canonical_layout(parsed: ParsedCaption) -> Layouts:
    """One-row layout of a caption, centred and scaled."""
    contents = SceneContents.from_captions([parsed])
    scale = torch.tensor([1.0, *SIZES.values()])[contents.size]
    zero, one, yaw = torch.zeros(1), torch.ones(1), torch.zeros(1, 2)
    # From azimuth and elevation 0 the camera's axes are the world's, so the box is centred in the world's.
    placement = place_objects(contents.object_type, scale, yaw, contents.relation, zero, zero, 30 * one, 0.5 * one, one)
    row = Layouts(
        [parsed.caption],
        contents.object_type,
        contents.colour,
        contents.size,
        scale,
        placement.position,
        yaw,
        contents.relation,
        zero,
        zero,
        DISTANCE * one,
        FOV * one,
        torch.ones(1, 2, 3),
        zero,
        torch.tensor([[0.0, 0.0, 1.0]]),
        torch.zeros(1, dtype=torch.long),
    )
    azimuth = torch.arange(72) * 5.0
    right = torch.stack([azimuth.deg2rad().cos(), torch.zeros(72), -azimuth.deg2rad().sin()], -1)
    half_width = (_support(row, right) + _support(row, -right)) / 2
    half_height = _support(row, torch.tensor([[0.0, 1.0, 0.0]]))
    mean = torch.maximum(half_width, half_height.expand_as(half_width)).mean()
    stretch = scale[0, 0] if len(parsed.objects) == 1 else 1.0
    factor = torch.minimum(
        _EXTENT[len(parsed.objects)] * stretch / mean, MAX_RADIUS / _support(row, _sphere_directions()).max()
    )
    return replace(row, scale=factor * row.scale, position=factor * row.position)


def _support(row: Layouts, direction: Float[Tensor, "m 3"]) -> Float[Tensor, "m"]:
    """Support function of the whole scene along each direction."""
    ends = []
    for slot in (0, 1):
        if row.object_type[0, slot] >= 0:
            object_type, scale, yaw = (t[:, slot].expand(len(direction)) for t in (row.object_type, row.scale, row.yaw))
            ends.append(world_support(object_type, scale, yaw, direction) + direction @ row.position[0, slot])
    return torch.stack(ends).amax(0)


def _sphere_directions() -> Float[Tensor, "m 3"]:
    """Directions spread evenly over the sphere by the golden angle."""
    k = torch.arange(_DIRECTIONS) + 0.5
    y, angle = 1 - 2 * k / _DIRECTIONS, math.pi * (3 - math.sqrt(5)) * k
    r = (1 - y * y).sqrt()
    return torch.stack([r * angle.sin(), y, r * angle.cos()], -1)
