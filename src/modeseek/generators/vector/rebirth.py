"""Relocation of invisible paths: which ones, and where they are painted anew."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.generators.vector.paint import paint, visible_areas
from modeseek.generators.vector.paths import Paths, canvas_to_pixels, circle
from modeseek.rng import Rng, rand

_RADIUS = (0.04, 0.15)  # of a relocated path, canvas units


@dataclass(frozen=True)
class Relocate:
    """Policy by which invisible fills of a drawing are relocated, at fixed capacity.

    A fill is invisible where its opacity, or the area that it contributes to the image, is too small. It becomes a
    small circle on top, in the colour of the image there, on the outline of a fill that is drawn with a probability
    proportional to the gradient of its points: there the outline cannot follow what the prior wants. SVGDreamer starts
    such paths again at random (Xing et al. 2024, arXiv 2312.16476).

    Attributes:
        every: number of steps between relocations, >= 1.
        opacity: opacity below which a fill is invisible, in [0, 1].
        area: visible area below which a fill is invisible, share of the canvas, in [0, 1].
        until: progress of the run from which no fill is relocated any more, in [0, 1].
    """

    every: int = 50
    opacity: float = 0.05
    area: float = 0.001
    until: float = 0.6

    def __post_init__(self) -> None:
        if self.every < 1 or not all(0 <= share <= 1 for share in (self.opacity, self.area, self.until)):
            raise ValueError(f"relocation needs every >= 1, and opacity, area and until in [0, 1], got {self}")

    def due(self, step: int, progress: float) -> bool:
        """Whether paths are relocated after this step."""
        return (step + 1) % self.every == 0 and progress < self.until


def dead_slots(paths: Paths, size: tuple[int, int], policy: Relocate) -> tuple[Int[Tensor, "k"], Int[Tensor, "k"]]:
    """Item and slot of each fill that is invisible by the policy."""
    p = paths.n_fills
    small = visible_areas(paths, size)[:, :p] < policy.area * size[0] * size[1]
    items, slots = (small | (paths.colors[:, :p, 3] < policy.opacity)).nonzero(as_tuple=True)
    return items, slots


def reborn(
    paths: Paths,
    size: tuple[int, int],
    items: Int[Tensor, "k"],
    slots: Int[Tensor, "k"],
    demand: Float[Tensor, "n p"] | None,
    rng: Rng,
) -> Paths:
    """Returns the drawings with these fills as small circles on top.

    Args:
        paths: drawings, detached.
        size: (height, width) at which the colours are looked up, pixels.
        items: item of each fill that is relocated.
        slots: slot of it.
        demand: norm of the gradient of each fill's points; None for equal chances.
        rng: random stream, the same in every process.
    """
    dead = torch.zeros_like(paths.even_odd)
    dead[items, slots] = True
    chance = torch.ones_like(paths.colors[:, : paths.n_fills, 3]) if demand is None else demand.clone()
    chance[dead] = 0
    chance[chance.sum(1) <= 0] = 1  # all of a drawing are dead: anywhere
    draws = rand((len(items), 3), rng, paths.colors)
    ends = chance.cumsum(1)[items]
    host = (
        torch.searchsorted(ends, (draws[:, :1] * ends[:, -1:]).contiguous()).squeeze(1).clamp(max=chance.shape[1] - 1)
    )
    corner = 3 * (draws[:, 1] * paths.cubics).long().clamp(max=paths.cubics - 1)
    limit = paths.fills.new_tensor([size[1], size[0]]) / max(size)
    center = torch.maximum(torch.minimum(paths.fills[items, host, corner], limit), -limit)
    spread = (paths.fills[items, host] - paths.fills[items, host].mean(1, keepdim=True)).square().sum(-1).mean(1).sqrt()
    radius = (spread / 3).clamp(*_RADIUS)
    image = paint(paths, size)
    column, row = (canvas_to_pixels(center, size).T).long()
    color = image[items, :, row.clamp(0, size[0] - 1), column.clamp(0, size[1] - 1)]
    fills, colors, even_odd = paths.fills.clone(), paths.colors.clone(), paths.even_odd.clone()
    fills[items, slots] = circle(center, radius, paths.cubics)
    colors[items, slots] = torch.cat([color, torch.full_like(color[:, :1], 0.7)], 1)
    even_odd[items, slots] = False
    return replace(paths, fills=fills, colors=colors, even_odd=even_odd, order=_raised(paths.order, items, slots))


def _raised(order: Int[Tensor, "n k"], items: Int[Tensor, "m"], slots: Int[Tensor, "m"]) -> Int[Tensor, "n k"]:
    """The order with these slots painted last, all others as before."""
    raised = torch.zeros_like(order, dtype=torch.bool)
    raised[items, slots] = True
    last = raised.gather(1, order)
    return order.gather(1, torch.argsort(last.to(torch.uint8), dim=1, stable=True))
