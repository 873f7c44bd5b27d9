"""Endless dataset of captioned scenes, sampled and rendered on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.datasets.scenes.caption import parse
from modeseek.datasets.scenes.layouts import Layouts
from modeseek.datasets.scenes.render import background_gradient, candidates, cast_rays, edge_pixels
from modeseek.datasets.scenes.sampling import (
    SceneContents,
    sample_contents,
    sample_layouts,
    sample_view_angles,
    sample_views,
)
from modeseek.datasets.scenes.sphere_tracing import ObjectInstances
from modeseek.generators.camera import pixel_centres

_CONTRAST = 0.25  # sum of channel differences beyond instance a pixel counts as an edge
_BLOCK = 512  # scenes rendered at a time


@dataclass(frozen=True)
class RenderedScenes:
    """Rendered scenes with their ground truth.

    Attributes:
        image: anti-aliased images, [0, 1].
        depth: depth along the viewing axis at the pixel's centre, world units; 0 on the background.
        mask: share of each pixel covered by objects, [0, 1].
        ids: object at the pixel's centre: 0 background, 1 first object, 2 second object.
        normals: unit surface normal at the pixel's centre, world axes; 0 on the background.
        layouts: rendered scenes, with cameras and captions.
    """

    image: Float[Tensor, "n 3 s s"]
    depth: Float[Tensor, "n 1 s s"]
    mask: Float[Tensor, "n 1 s s"]
    ids: Int[Tensor, "n 1 s s"]
    normals: Float[Tensor, "n 3 s s"]
    layouts: Layouts

    @property
    def captions(self) -> list[str]:
        """Caption of each scene."""
        return self.layouts.captions

    def __len__(self) -> int:
        return len(self.layouts)


@dataclass(frozen=True)
class Scenes:
    """Dataset of captioned scenes at one resolution.

    Attributes:
        size: side of the images, pixels, >= 1.
        samples: rays across an edge pixel (samples^2 per pixel), >= 1; 1 switches anti-aliasing off.
        variety: spread of field of view, light, background, positions and sizes, in [0, 1], see `sample_layouts`.

    Raises:
        ValueError: size or samples below 1, or variety outside [0, 1].
    """

    size: int = 64
    samples: int = 2
    variety: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("size", self.size), ("samples", self.samples)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 <= self.variety <= 1:
            raise ValueError(f"variety must be in [0, 1], got {self.variety}; try 1.0")

    def draw(self, n: int, rng: torch.Generator, held_out: bool | None = False) -> Layouts:
        """Samples n layouts, 30 % of a single object and 70 % of two.

        Args:
            n: number of scenes.
            rng: random generator on the CPU; equal states give equal scenes.
            held_out: False for combinations of the training set, True for held-out ones (`is_held_out`), None for all.
        """
        contents = sample_contents(n, rng, held_out=held_out)
        return sample_layouts(contents, *sample_views(contents.relation, rng), rng, self.variety)

    def layouts_for(
        self,
        captions: Sequence[str],
        rng: torch.Generator,
        *,
        azimuth: Float[Tensor, "n"] | None = None,
        elevation: Float[Tensor, "n"] | None = None,
    ) -> Layouts:
        """Samples layouts of given captions, each from a view that its caption describes, or any view if it has none.

        Args:
            captions: captions in the grammar of `caption`.
            rng: random generator on the CPU.
            azimuth: camera azimuths, degrees, in place of sampled ones; the captions stay unchanged.
            elevation: camera elevations, degrees, in place of sampled ones.

        Raises:
            ValueError: a caption outside the grammar.
        """
        parsed = [parse(caption) for caption in captions]
        contents = SceneContents.from_captions(parsed)
        azimuths, elevations, _ = sample_views(contents.relation, rng)
        for i, caption in enumerate(parsed):
            if caption.view is not None:
                azimuths[i], elevations[i] = sample_view_angles(caption.view, rng)
        azimuths = azimuths if azimuth is None else azimuth
        elevations = elevations if elevation is None else elevation
        detail = torch.tensor([0 if c.view is None else 1 if c.view.name else 2 for c in parsed])
        layouts = sample_layouts(contents, azimuths, elevations, detail, rng, self.variety)
        layouts.captions[:] = captions
        return layouts

    def batch(self, n: int, rng: torch.Generator, held_out: bool | None = False) -> RenderedScenes:
        """Samples and renders n scenes."""
        return self.render(self.draw(n, rng, held_out))

    def render(self, layouts: Layouts) -> RenderedScenes:
        """Renders the scenes on the device of the layouts."""
        blocks = [self._render(layouts[i : i + _BLOCK]) for i in range(0, len(layouts), _BLOCK)]
        maps = [torch.cat(parts) for parts in zip(*blocks, strict=True)]
        return RenderedScenes(*maps, layouts=layouts)

    def _render(self, layouts: Layouts) -> tuple[Tensor, ...]:
        n, size = len(layouts), self.size
        instances = ObjectInstances.from_layouts(layouts)
        pixel = 2 * instances.tangent / size
        across = pixel_centres(size, device=layouts.fov.device)
        u, v = across.repeat(size).repeat(n), -across.repeat_interleave(size).repeat(n)
        instance, pixel_index = candidates(instances, size).unbind(-1)
        hits = cast_rays(layouts, instances, (instance, instances.row[instance] * size**2 + pixel_index), u, v, pixel)
        flat = (n, size, size)
        background = background_gradient(layouts, size)
        hit = (hits.slot >= 0).view(*flat, 1)
        image = torch.where(hit, hits.colour.view(*flat, 3), background)
        mask = hit.float()
        if self.samples > 1:
            edge = edge_pixels(hits.slot.view(flat), hits.colour.view(*flat, 3), _CONTRAST).view(-1).nonzero()[:, 0]
            colour, cover = self._refine(
                layouts, instances, edge, (instance, instances.row[instance] * size**2 + pixel_index)
            )
            image.view(-1, 3)[edge] = colour + (1 - cover[:, None]) * background.view(-1, 3)[edge]
            mask.view(-1)[edge] = cover
        depth = hits.depth.where(hits.slot >= 0, 0.0).view(n, 1, size, size)
        ids = (hits.slot + 1).view(n, 1, size, size)
        normals = hits.normal.view(*flat, 3).permute(0, 3, 1, 2).contiguous()
        return image.permute(0, 3, 1, 2).contiguous(), depth, mask.permute(0, 3, 1, 2), ids, normals

    def _refine(
        self, layouts: Layouts, instances: ObjectInstances, edge: Tensor, pairs: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Mean colour (background black) and coverage of the samples^2 rays in each edge pixel."""
        size, k = self.size, self.samples
        number = torch.full((len(layouts) * size * size,), -1, device=edge.device)
        number[edge] = torch.arange(len(edge), device=edge.device)
        instance, ray = pairs[0], number[pairs[1]]
        instance, ray = instance[ray >= 0], ray[ray >= 0]
        offsets = pixel_centres(k, device=edge.device) / size
        across = pixel_centres(size, device=edge.device)
        u = (across[edge % size][:, None] + offsets.repeat(k)).view(-1)
        v = (-across[edge // size % size][:, None] - offsets.repeat_interleave(k)).view(-1)
        pairs = (
            instance.repeat_interleave(k * k),
            (ray[:, None] * (k * k) + torch.arange(k * k, device=edge.device)).view(-1),
        )
        hits = cast_rays(layouts, instances, pairs, u, v, 2 * instances.tangent / (size * k))
        colour = hits.colour.view(-1, k * k, 3).mean(1)
        return colour, (hits.slot >= 0).float().view(-1, k * k).mean(1)
