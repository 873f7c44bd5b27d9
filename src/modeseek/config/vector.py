"""Configuration of vector drawings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from modeseek.config.built_generator import BuiltGenerator
from modeseek.config.generators import ImageConfig, image_shape
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.vector_starts import DrawingStart, SampleStart
from modeseek.generators.vector.drawing import Drawing, Rates, parse_color
from modeseek.generators.vector.nested import NestedDropout
from modeseek.generators.vector.paint import paint
from modeseek.generators.vector.paths import Paths
from modeseek.generators.vector.rebirth import Relocate
from modeseek.rng import Streams

PATHS, CUBICS, MAX_BYTES = 24, 4, 10_000
_LEAST = {"n": 1, "paths": 0, "cubics": 2, "strokes": 0}
_HEAD_BYTES, _CUBIC_BYTES = 250, 45  # of a file with one path, at most
_MOST_CUBICS = 4_000_000  # of all drawings of a run
_CHANGING = ("random", "learned")


@dataclass(frozen=True)
class DrawingConfig(ImageConfig):
    """Vector drawings: ordered filled paths and strokes of cubic Bezier curves, one drawing per image.

    Attributes:
        n: number of drawings, >= 1.
        paths: number of filled paths of each, >= 0; None: 24, or those of the file that it starts from.
        cubics: number of cubics of each path, >= 2; None: 4, or those of the file.
        strokes: number of strokes of each, >= 0; None: 0, or those of the file.
        background: colour behind the paths, such as white or #ffcc00; learned; random: a new one in each step, so that
            paths do not rely on it. None: that of the start, of the sample or the file, else white.
        start: paths that the optimisation starts from: sample, saliency, random, or svg with the path of a file.
        max_bytes: largest size of an exported SVG file, bytes, >= 250 + 45 cubics.
        rates: learning rates of colours, widths and background over that of the points, and largest gradient norms;
            None: those of the start.
        relocation: when and which invisible paths are relocated; None: that of the start, never from a sample. `until`
            0 is never.
        nested: nested dropout of the top paths, so that the first ones make an image alone; None for none.
    """

    n: int = 1
    paths: int | None = None
    cubics: int | None = None
    strokes: int | None = None
    background: str | None = None
    start: DrawingStart = SampleStart()
    max_bytes: int = MAX_BYTES
    rates: Rates | None = None
    relocation: Relocate | None = None
    nested: NestedDropout | None = None

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} of a drawing must be at least {least}, got {value}")
        if self.paths == 0 and not self.strokes:
            raise ValueError("a drawing must have a path, got paths 0 and strokes 0; try paths 24")
        total = self.n * ((self.paths or 0) + (self.strokes or 0)) * (self.cubics or CUBICS)
        if total > _MOST_CUBICS:
            raise ValueError(
                f"drawings must have at most {_MOST_CUBICS:,} cubics in all, got {total:,}; try fewer paths"
            )
        if self.background is not None and self.background not in _CHANGING:
            parse_color(self.background)

    @property
    def max_svg_bytes(self) -> int:
        return self.max_bytes

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[Drawing]:
        shape = image_shape(loaded)
        if shape[0] != 3:
            raise ValueError(
                f"a drawing needs a prior of colour images, got {shape[0]} channels; try generator: pixels"
            )
        size = (shape[1], shape[2])
        options: dict[str, Any] = {
            "background": self.background or "white",
            "relocation": self.start.relocation if self.relocation is None else self.relocation,
            "nested": self.nested,
            "rates": self.start.rates if self.rates is None else self.rates,
            "like": loaded.like,
        }
        first = self.start.read()
        if first is None:
            paths, cubics = (
                (PATHS if self.paths is None else self.paths),
                (CUBICS if self.cubics is None else self.cubics),
            )
            rng = Streams(seed, use="start")
            drawing = Drawing(self.n, size, paths, cubics, strokes=self.strokes or 0, rng=rng, **options)
        else:
            self.check_counts(first)
            drawing = Drawing.of(self._with_background(first).select([0] * self.n), size, **options)
        self._check_bytes(drawing.paths.cubics)
        initialize = self.start.initialize(drawing, background=self.background in (None, "learned"))
        sources = None if first is None else paint(drawing.paths.detach(), size)
        return BuiltGenerator(drawing, loaded.codec, self.n, pixels=True, initialize=initialize, sources=sources)

    def _check_bytes(self, cubics: int) -> None:
        """Raises ValueError if one path may take more bytes than a file may have."""
        least = _HEAD_BYTES + _CUBIC_BYTES * cubics
        if self.max_bytes < least:
            raise ValueError(
                f"max_bytes of drawings whose paths have {cubics} cubics must be at least {least}, got {self.max_bytes}"
            )

    def check_counts(self, first: Paths) -> None:
        """Raises ValueError if the numbers of paths are not those of the file that the drawings start from."""
        for name, count in (("paths", first.n_fills), ("cubics", first.cubics), ("strokes", first.n_strokes)):
            value = getattr(self, name)
            if value not in (None, count):
                raise ValueError(f"{name} must be {count}, as in the file of the start, got {value}; leave {name} out")

    def _with_background(self, first: Paths) -> Paths:
        """Paths of a file before the background of the configuration, where it has one."""
        if self.background is None or self.background == "learned":
            return first
        color = parse_color("white" if self.background == "random" else self.background)
        return replace(first, background=first.background.new_tensor(color).expand_as(first.background))
