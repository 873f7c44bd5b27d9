"""Configurations of the paths that vector drawings start from: random, of a file, or computed from the prior."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.config.built_generator import Initialize, StartContext
from modeseek.generators.vector.drawing import Drawing, Rates
from modeseek.generators.vector.fit import fit_steps
from modeseek.generators.vector.paths import Paths
from modeseek.generators.vector.rebirth import Relocate
from modeseek.generators.vector.svg_read import read_svg_file
from modeseek.generators.vector.trace import trace
from modeseek.io.progress import Progress, relay
from modeseek.priors.base import Conditions
from modeseek.rng import Streams
from modeseek.sampling.likeliest import sample_images
from modeseek.sampling.saliency import saliency_start

_MOST_SCALE = 7.5  # of samples: greater guidance scales are for optimisation
_WHITE = 0.97  # backgrounds of samples from here on are white


class DrawingStart:
    """Base class of configurations of the paths that drawings start from.

    Attributes:
        finds_image: whether the first paths show an image already, which optimisation refines.
        rates: default learning rates relative to that of the points.
        relocation: when and which invisible paths are relocated by default; None: never.
    """

    finds_image: ClassVar[bool] = False
    rates: ClassVar[Rates] = Rates()
    relocation: ClassVar[Relocate | None] = Relocate()

    def read(self) -> Paths | None:
        """Reads the paths of one drawing, where no prior is needed for them; None: there are none to read."""
        return None

    def initialize(self, drawing: Drawing, background: bool) -> Initialize | None:
        """Returns the function that sets the paths of drawings by the prior; None: they have their first paths.

        Args:
            drawing: drawings with paths of the right numbers.
            background: whether the start gives the colour behind the paths, too.
        """
        return None


@dataclass(frozen=True)
class RandomStart(DrawingStart):
    """Circles and strokes of random places and colours."""


@dataclass(frozen=True)
class SvgStart(DrawingStart):
    """Paths of an SVG file, the same for all drawings.

    Attributes:
        path: SVG file.
    """

    finds_image: ClassVar[bool] = True
    path: Path

    def read(self) -> Paths:
        return read_svg_file(self.path)[0]


@dataclass(frozen=True)
class SampleStart(DrawingStart):
    """Paths fitted to a sample of the prior, one sample for each drawing.

    Costs `steps` prior calls for each drawing, twice that under guidance; `candidates` times that and 8 more for each
    candidate where there are several.

    Attributes:
        steps: number of steps of the sampler (DDIM), >= 1.
        scale: guidance scale of the samples; None: that of the run, at most 7.5.
        fit_steps: number of optimizer steps that fit the paths to the sample, >= 0.
        candidates: number of samples for each drawing, of which the likeliest is fitted, >= 1.
    """

    finds_image: ClassVar[bool] = True
    rates: ClassVar[Rates] = Rates(color=0.3)  # at guidance 3, faster colours turn pale
    relocation: ClassVar[Relocate | None] = None  # paths that come back in the last steps stay see-through
    steps: int = 25
    scale: float | None = None
    fit_steps: int = 200
    candidates: int = 1

    def __post_init__(self) -> None:
        if min(self.steps, self.candidates) < 1 or self.fit_steps < 0:
            raise ValueError(f"a sample start needs steps and candidates >= 1 and fit_steps >= 0, got {self}")

    def initialize(self, drawing: Drawing, background: bool) -> Initialize:
        return partial(self._fit, drawing, background)

    def _fit(self, drawing: Drawing, background: bool, context: StartContext) -> Iterator[Progress]:
        images = yield from sample_images(
            context.prior,
            context.codec,
            _fixed_conditions(context),
            drawing.paths.n,
            Streams(context.seed, use="sample"),
            steps=self.steps,
            scale=min(context.guidance, _MOST_SCALE) if self.scale is None else self.scale,
            candidates=self.candidates,
        )
        yield from fit_drawing(drawing, images, self.fit_steps, background)


@dataclass(frozen=True)
class SaliencyStart(DrawingStart):
    """Circles where the prompt changes the prediction of the prior most.

    Costs 2 `steps` + 2 `draws` prior calls for each drawing.

    Attributes:
        steps: number of sampler steps down to the noise level at which predictions are compared, >= 1.
        draws: number of noise draws that are averaged, >= 1.
        scale: guidance scale of these steps.
    """

    steps: int = 8
    draws: int = 4
    scale: float = 3.0

    def __post_init__(self) -> None:
        if min(self.steps, self.draws) < 1:
            raise ValueError(f"a saliency start needs steps and draws >= 1, got {self.steps} and {self.draws}")

    def initialize(self, drawing: Drawing, background: bool) -> Initialize:
        return partial(self._place, drawing)

    def _place(self, drawing: Drawing, context: StartContext) -> Iterator[Progress]:
        conditions, first = _fixed_conditions(context), drawing.paths.detach()
        if conditions is None or not first.n_fills:
            raise ValueError(
                f"a saliency start needs prompts and fills, got {first.n_fills} fills and "
                f"{'no prompts' if conditions is None else 'prompts'}; try start: random"
            )
        yield Progress("placing", 0, 1)
        circles = saliency_start(
            context.prior,
            context.codec,
            conditions,
            first.n,
            Streams(context.seed, use="saliency"),
            size=drawing.size,
            paths=first.n_fills,
            cubics=first.cubics,
            steps=self.steps,
            draws=self.draws,
            scale=self.scale,
        )
        drawing.set_paths(_with_fills(first, circles, background=False))
        yield Progress("placing", 1, 1)


NAMED_STARTS: dict[str, type[DrawingStart]] = {
    "sample": SampleStart,
    "saliency": SaliencyStart,
    "random": RandomStart,
}


def fit_drawing(
    drawing: Drawing, images: Float[Tensor, "n 3 h w"], steps: int, background: bool = True
) -> Iterator[Progress]:
    """Traces images and fits the paths of drawings to them; see `trace` and `fit`.

    Args:
        drawing: drawings, one for each image, whose paths are replaced.
        images: pixels in [0, 1].
        steps: number of optimizer steps, >= 0.
        background: whether the images give the colour behind the paths, too.
    """
    first = drawing.paths.detach()
    paths = first
    if first.n_fills:
        traced: list[Paths] = []
        for image in images:
            traced.append(trace(image, first.n_fills, first.cubics))
            yield Progress("tracing", len(traced), first.n)
        paths = _with_fills(first, _concatenate(traced), background)
    done = itertools.count(1)
    fitted = yield from relay(
        fit_steps(paths, images, steps, background=False),
        lambda errors: Progress("fitting", next(done), steps, f"error {errors.mean().item():.2e}"),
    )
    drawing.set_paths(fitted)


def _fixed_conditions(context: StartContext) -> Conditions | None:
    """Conditions of a run that are the same for every view.

    Raises:
        ValueError: they depend on the camera.
    """
    if callable(context.conditions):
        raise ValueError("drawings must have fixed conditions, got those of a camera; try start: random")
    return context.conditions


def _concatenate(drawings: Sequence[Paths]) -> Paths:
    """Drawings of equal numbers of paths as one batch."""
    return Paths(**{f.name: torch.cat([getattr(paths, f.name) for paths in drawings]) for f in fields(Paths)})


def _with_fills(paths: Paths, other: Paths, background: bool) -> Paths:
    """Drawings with the fills of others, and with their backgrounds, if wished; nearly white ones become white."""
    k = paths.n_fills
    colors = torch.cat([other.colors[:, :k], paths.colors[:, k:]], 1)
    behind = torch.where(other.background >= _WHITE, torch.ones_like(other.background), other.background)
    return replace(paths, fills=other.fills, colors=colors, background=behind if background else paths.background)
