"""Vector drawings as generators of images: closed fills of cubics and round strokes, painted over each other."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.base import BaseGenerator, View
from modeseek.generators.relocation import Relocation, reset_moments
from modeseek.generators.vector.bounded import bounded
from modeseek.generators.vector.nested import NestedDropout, keep_first
from modeseek.generators.vector.paint import paint
from modeseek.generators.vector.paths import Paths, random_paths
from modeseek.generators.vector.rebirth import Relocate, dead_slots, reborn
from modeseek.generators.vector.rendering import DrawingView, RenderedDrawing
from modeseek.generators.vector.simplify import SvgExport, svg_within
from modeseek.generators.vector.svg_read import read_svg_file
from modeseek.generators.vector.svg_write import write_svg
from modeseek.rng import Rng, as_rng, rand

Color = str | tuple[float, float, float]
_LEAST_WIDTH = 1e-3  # of a stroke, canvas units


@dataclass(frozen=True)
class Rates:
    """Learning rates of a drawing's parameters over that of its points, and largest norms of their gradients.

    Attributes:
        color: relative learning rate of colours and opacities, > 0.
        width: relative learning rate of the widths of strokes, > 0.
        background: relative learning rate of a learned background, > 0.
        point_norm: largest norm of the gradient of all points, > 0; NeuralSVG: 0.01 for its loss.
        color_norm: largest norm of the gradient of all colours, > 0; NeuralSVG: 0.1 for its loss.
    """

    color: float = 2.5
    width: float = 0.5
    background: float = 2.5
    point_norm: float = math.inf
    color_norm: float = math.inf

    def __post_init__(self) -> None:
        if not all(value > 0 for value in vars(self).values()):
            raise ValueError(f"rates of a drawing must be above 0, got {self}")


_RATES, _RELOCATE = Rates(), Relocate()


class Drawing(BaseGenerator):
    """n vector drawings, each an ordered list of closed cubic fills and open strokes, and one item.

    Rendered exactly (`paint`) at any size, the same bits at each call. Numbers of paths and cubics never change: a path
    that has become invisible is relocated (`Relocate`). Colours, opacities and widths are kept within their range by
    blocking descent that leads out of it. Recommended Adam learning rate of the points: 0.25 to 1 pixels, that is
    0.5 to 2 over the longer side; colours follow at `rates.color` times that.

    Args:
        n: number of drawings, >= 1.
        size: (height, width) in pixels of the images in a run; `render_at` gives any other.
        paths: number of fills of each drawing.
        cubics: number of cubics of each path, >= 2.
        strokes: number of strokes of each drawing.
        rng: seed or random stream of the initial paths, circles of random place and colour.
        background: a colour ("white", "#336699", or three numbers in [0, 1]); random: one for each item and step during
            optimisation, white in previews and files, so that paths must not rely on it; learned, from white.
        relocation: when and which paths are relocated; None for never.
        nested: nested dropout of the top paths, so that the first ones make an image alone; None for none.
        rates: relative learning rates of `parameter_groups`.
        like: tensor whose dtype and device the parameters take; default float32 on the CPU.

    Raises:
        ValueError: no paths, sizes below 1, or an unknown colour.
    """

    sharp_previews: ClassVar[bool] = True

    def __init__(
        self,
        n: int = 1,
        size: tuple[int, int] = (64, 64),
        paths: int = 32,
        cubics: int = 4,
        *,
        strokes: int = 0,
        rng: int | Rng = 0,
        background: Color | Literal["random", "learned"] = "white",
        relocation: Relocate | None = _RELOCATE,
        nested: NestedDropout | None = None,
        rates: Rates = _RATES,
        like: Tensor | None = None,
    ) -> None:
        super().__init__()
        if min(n, *size) < 1 or min(paths, strokes) < 0 or paths + strokes < 1 or cubics < 2:
            raise ValueError(
                f"a drawing must have n, size and paths of at least 1 and cubics of at least 2, got n={n}, "
                f"size={size}, paths={paths}, strokes={strokes}, cubics={cubics}"
            )
        constant = "white" if background in ("random", "learned") else background
        colour = parse_color(constant)
        start = random_paths(n, paths, strokes, cubics, as_rng(rng), size=size, background=colour, like=like)
        self.size, self.relocation, self.nested, self.rates = size, relocation, nested, rates
        self.random_background, self._progress = background == "random", 0.0
        self.fills, self.strokes = nn.Parameter(start.fills), nn.Parameter(start.strokes)
        self.widths, self.colors = nn.Parameter(start.widths), nn.Parameter(start.colors)
        self.background = nn.Parameter(start.background, requires_grad=background == "learned")
        self.register_buffer("order", start.order)
        self.register_buffer("even_odd", start.even_odd)
        self.register_buffer("relocated", torch.zeros_like(start.order[:, 0]))

    @classmethod
    def of(cls, paths: Paths, size: tuple[int, int], **options: Any) -> Drawing:
        """Returns the drawings that start from paths, copied; options as of the constructor.

        Their background is that of the paths, as constant or as start of a learned one.
        """
        options.setdefault("like", paths.colors)
        drawing = cls(paths.n, size, paths.n_fills, paths.cubics, strokes=paths.n_strokes, **options)
        drawing.strokes = nn.Parameter(paths.strokes.detach().clone())  # of other numbers of cubics than the fills
        drawing.set_paths(paths)
        return drawing

    @classmethod
    def read(cls, path: str | os.PathLike[str], size: tuple[int, int] | None = None, **options: Any) -> Drawing:
        """Returns the drawing of an SVG file.

        Args:
            path: SVG file.
            size: (height, width) in pixels of the images in a run; None is the file's own.
            options: other options of the constructor.

        Raises:
            ValueError: not an SVG, or one that cannot be read; one line.
            OSError: the file cannot be read.
        """
        paths, own = read_svg_file(path)
        return cls.of(paths, own if size is None else size, **options)

    def set_paths(self, paths: Paths) -> None:
        """Replaces all paths in place by others of the same numbers."""
        with torch.no_grad():
            for name in ("fills", "strokes", "widths", "colors", "background", "order", "even_odd"):
                target, value = getattr(self, name), getattr(paths, name)
                if target.shape != value.shape:
                    raise ValueError(f"{name} must have the shape {tuple(target.shape)}, got {tuple(value.shape)}")
                target.copy_(value)

    @property
    def n_items(self) -> int:
        return len(self.colors)

    @property
    def paths(self) -> Paths:
        """Paths of all drawings, attached to the graph."""
        return Paths(
            self.fills,
            self.strokes,
            bounded(self.widths, _LEAST_WIDTH, 2.0),
            bounded(self.colors, 0.0, 1.0),
            self.get_buffer("order"),
            self.get_buffer("even_odd"),
            bounded(self.background, 0.0, 1.0),
        )

    def view(self, n: int, rng: Rng) -> DrawingView:
        items = super().view(n, rng).items
        backdrop = rand((n, 3), rng, self.colors) if self.random_background else None
        keep = None if self.nested is None else self.nested.draw(n, self.colors.shape[1], rng)
        return DrawingView(items, backdrop, keep)

    def preview_view(self) -> DrawingView:
        return DrawingView(tuple(range(self.n_items)))

    def forward(self, view: View) -> RenderedDrawing:
        paths = self.paths
        if view.items != tuple(range(paths.n)):
            paths = paths.select(view.items)
        painted = paths
        if isinstance(view, DrawingView) and view.keep is not None:
            painted = keep_first(painted, view.keep)
        if isinstance(view, DrawingView) and view.backdrop is not None:
            painted = replace(painted, background=view.backdrop.to(self.colors))
        return RenderedDrawing(view, paint(painted, self.size), paths)

    def render_at(self, size: tuple[int, int]) -> Iterator[Float[Tensor, "3 h w"]]:
        for item in range(self.n_items):
            with torch.no_grad():  # not around the yield: the caller may need gradients in between
                image = paint(self.paths.select([item]), size)[0]
            yield image

    def svg(self, item: int = 0, title: str = "") -> str:
        """Returns a drawing as SVG text: absolute M C Z in pixels of its size, one <path> a shape.

        Args:
            item: number of the drawing.
            title: text of its <title>.
        """
        return write_svg(self.paths.detach(), item, size=self.size, title=title)

    def svgs(self, titles: Sequence[str], max_bytes: int | None = None) -> Iterator[SvgExport]:
        paths = self.paths.detach()
        for item, title in enumerate(titles):
            yield svg_within(paths, item, self.size, title, max_bytes)

    def parameter_groups(self) -> list[dict[str, Any]]:
        rates = self.rates
        groups = [
            ([self.fills, self.strokes], 1.0, rates.point_norm),
            ([self.colors], rates.color, rates.color_norm),
            ([self.widths], rates.width, math.inf),
            ([self.background], rates.background, math.inf),
        ]
        used = [([p for p in params if p.requires_grad and p.numel()], rate, norm) for params, rate, norm in groups]
        return [{"params": params, "relative": rate, "max_norm": norm} for params, rate, norm in used if params]

    def advance(self, progress: float) -> None:
        """Keeps the progress of the run, by which relocation ends."""
        self._progress = progress

    @torch.no_grad()
    def relocate(self, optimizer: torch.optim.Optimizer, step: int, rng: Rng) -> Relocation | None:
        if self.relocation is None or not self.relocation.due(step, self._progress):
            return None
        paths = self.paths.detach()
        items, slots = dead_slots(paths, self.size, self.relocation)
        if not len(items):
            return None
        demand = None if self.fills.grad is None else self.fills.grad.flatten(2).norm(dim=2)
        self.set_paths(reborn(paths, self.size, items, slots, demand, rng))
        for parameter in (self.fills, self.colors):
            reset_moments(optimizer, parameter, (items, slots))
        self.get_buffer("relocated").index_add_(0, items, torch.ones_like(items))
        return Relocation(tuple(items.tolist()), tuple(slots.tolist()))


def parse_color(color: Color) -> tuple[float, float, float]:
    """Returns red, green and blue in [0, 1] of a CSS colour such as white or #336699, or of three numbers."""
    if isinstance(color, str):
        from PIL import ImageColor  # slow to import

        try:
            red, green, blue = ImageColor.getrgb(color)[:3]
        except ValueError as error:
            raise ValueError(f"a colour must be such as white or #336699, got {color!r}") from error
        return red / 255, green / 255, blue / 255
    if len(color) != 3 or not all(0 <= value <= 1 for value in color):
        raise ValueError(f"a colour must be three numbers in [0, 1], got {color}")
    return color
