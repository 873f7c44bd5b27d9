"""Captioned scenes, drawn and rendered as many as one likes: nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.datasets.scenes.caption import parse
from modeseek.datasets.scenes.layouts import Layouts
from modeseek.datasets.scenes.render import background_gradient, candidates, edge_pixels, cast_rays
from modeseek.datasets.scenes.sampling import SceneContents, sample_views, sample_view_angles, sample_contents, sample_layouts
from modeseek.datasets.scenes.sphere_tracing import ObjectInstances
from modeseek.generators.camera import pixel_centres

_CONTRAST = 0.25
_BLOCK = 512  # scenes rendered at a time


@dataclass(frozen=True)
class RenderedScenes:
    """Rendered scenes and their truth.

    Attributes:
        image: in [0, 1], anti-aliased.
        depth: along the viewing axis at the pixel's centre, world units; 0 where there is only background.
        mask: the share of each pixel that objects cover.
        ids: what the pixel's centre sees: 0 background, 1 the first object, 2 the second.
        normals: at the pixel's centre, world axes, unit; 0 on the background.
        layouts: what was rendered, cameras and captions included.
    """

    image: Float[Tensor, "n 3 s s"]
    depth: Float[Tensor, "n 1 s s"]
    mask: Float[Tensor, "n 1 s s"]
    ids: Int[Tensor, "n 1 s s"]
    normals: Float[Tensor, "n 3 s s"]
    layouts: Layouts

    @property
    def captions(self) -> list[str]:
        """One a scene."""
        return self.layouts.captions

    def __len__(self) -> int:
        return len(self.layouts)


@dataclass(frozen=True)
class Scenes:
    """The world of captioned scenes, seen at one resolution.

    Attributes:
        size: the images' side in pixels.
        samples: rays across a pixel wherever something ends in it, samples^2 in all; 1 switches anti-aliasing off.
        variety: how far lens, light, background, places and sizes stray from their middles, in [0, 1] (`draw.stage`).

    Raises:
        ValueError: a size or number of samples below 1, or a variety outside [0, 1].
    """

    size: int = 64
    samples: int = 2
    variety: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("size", self.size), ("samples", self.samples)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 <= self.variety <= 1:
            raise ValueError(f"variety is a share in [0, 1], got {self.variety}")

    def draw(self, n: int, rng: torch.Generator, held_out: bool | None = False) -> Layouts:
        """n scenes, three in ten of one object, the others of two.

        Args:
            n: how many.
            rng: on the CPU; the same state draws the same scenes.
            held_out: False: combinations that training may see; True: only those it may not (`held_out` says which);
                None: any.
        """
        chosen = sample_contents(n, rng, held_out=held_out)
        return sample_layouts(chosen, *sample_views(chosen.relation, rng), rng, self.variety)

    def layouts_for(
        self,
        captions: Sequence[str],
        rng: torch.Generator,
        *,
        azimuth: Float[Tensor, "n"] | None = None,
        elevation: Float[Tensor, "n"] | None = None,
    ) -> Layouts:
        """Scenes that show what those captions say, each from a view that its caption says or, unsaid, any.

        Args:
            captions: within the grammar of `caption`.
            rng: on the CPU.
            azimuth: degrees, instead of what the captions say; they keep their words.
            elevation: degrees, likewise.

        Raises:
            ValueError: a caption outside the grammar.
        """
        said = [parse(caption) for caption in captions]
        chosen = SceneContents.from_captions(said)
        around, above, _ = sample_views(chosen.relation, rng)
        for i, one in enumerate(said):
            if one.view is not None:
                around[i], above[i] = sample_view_angles(one.view, rng)
        around = around if azimuth is None else azimuth
        above = above if elevation is None else elevation
        view = torch.tensor([0 if s.view is None else 1 if s.view.name else 2 for s in said])
        layouts = sample_layouts(chosen, around, above, view, rng, self.variety)
        layouts.captions[:] = captions
        return layouts

    def batch(self, n: int, rng: torch.Generator, held_out: bool | None = False) -> RenderedScenes:
        """n scenes drawn and rendered."""
        return self.render(self.draw(n, rng, held_out))

    def render(self, layouts: Layouts) -> RenderedScenes:
        """The scenes' pictures, on the layouts' device."""
        blocks = [self._render(layouts[i : i + _BLOCK]) for i in range(0, len(layouts), _BLOCK)]
        maps = [torch.cat(parts) for parts in zip(*blocks, strict=True)]
        return RenderedScenes(*maps, layouts=layouts)

    def _render(self, layouts: Layouts) -> tuple[Tensor, ...]:
        n, size = len(layouts), self.size
        instances = ObjectInstances.from_layouts(layouts)
        pixel = 2 * instances.tangent / size
        across = pixel_centres(size, device=layouts.fov.device)
        u, v = across.repeat(size).repeat(n), -across.repeat_interleave(size).repeat(n)
        which, spot = candidates(instances, size).unbind(-1)
        seen = cast_rays(layouts, instances, (which, instances.row[which] * size**2 + spot), u, v, pixel)
        flat = (n, size, size)
        behind = background_gradient(layouts, size)
        hit = (seen.slot >= 0).view(*flat, 1)
        image = torch.where(hit, seen.colour.view(*flat, 3), behind)
        mask = hit.float()
        if self.samples > 1:
            edge = edge_pixels(seen.slot.view(flat), seen.colour.view(*flat, 3), _CONTRAST).view(-1).nonzero()[:, 0]
            colour, cover = self._refine(layouts, instances, edge, (which, instances.row[which] * size**2 + spot))
            image.view(-1, 3)[edge] = colour + (1 - cover[:, None]) * behind.view(-1, 3)[edge]
            mask.view(-1)[edge] = cover
        depth = seen.depth.where(seen.slot >= 0, 0.0).view(n, 1, size, size)
        ids = (seen.slot + 1).view(n, 1, size, size)
        normals = seen.normal.view(*flat, 3).permute(0, 3, 1, 2).contiguous()
        return image.permute(0, 3, 1, 2).contiguous(), depth, mask.permute(0, 3, 1, 2), ids, normals

    def _refine(
        self, layouts: Layouts, instances: ObjectInstances, edge: Tensor, near: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Mean colour (background black) and coverage of samples^2 rays in each of those pixels."""
        size, k = self.size, self.samples
        number = torch.full((len(layouts) * size * size,), -1, device=edge.device)
        number[edge] = torch.arange(len(edge), device=edge.device)
        which, ray = near[0], number[near[1]]
        which, ray = which[ray >= 0], ray[ray >= 0]
        inner = pixel_centres(k, device=edge.device) / size
        across = pixel_centres(size, device=edge.device)
        u = (across[edge % size][:, None] + inner.repeat(k)).view(-1)
        v = (-across[edge // size % size][:, None] - inner.repeat_interleave(k)).view(-1)
        pairs = (
            which.repeat_interleave(k * k),
            (ray[:, None] * (k * k) + torch.arange(k * k, device=edge.device)).view(-1),
        )
        seen = cast_rays(layouts, instances, pairs, u, v, 2 * instances.tangent / (size * k))
        colour = seen.colour.view(-1, k * k, 3).mean(1)
        return colour, (seen.slot >= 0).float().view(-1, k * k).mean(1)
