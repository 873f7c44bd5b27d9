"""The protocols of generators, what they are asked to render, and what they rendered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from modeseek.rng import Rng


@dataclass(frozen=True)
class View:
    """One batch of items to render.

    Attributes:
        items: global item numbers, one per item; they key the random streams.
    """

    items: tuple[int, ...]

    def select(self, rows: slice) -> View:
        """Some of its items, rendered as they would be among the others."""
        return replace(self, items=self.items[rows])


@dataclass(frozen=True)
class Rendering:
    """What a generator rendered: regularizers see this.

    Attributes:
        view: what was asked for.
        image: what came out, (b, c, h, w) pixels in [0, 1], or (n, d) points.
    """

    view: View
    image: Float[Tensor, "b *d"]


@runtime_checkable
class Generator(Protocol):
    """An nn.Module whose parameters become an image."""

    def view(self, n: int, rng: Rng) -> View:
        """What to render next, n items of it."""
        ...

    def __call__(self, view: View) -> Float[Tensor, "b *d"] | Rendering:
        """The image, differentiable in the parameters, alone or in a Rendering that regularizers can see more in."""
        ...


@runtime_checkable
class ProgressiveGenerator(Protocol):
    """A generator that changes along a run: coarse first, finer later."""

    def advance(self, progress: float) -> None:
        """Goes over to what that progress asks for; called before every step."""
        ...


def render(generator: Generator, view: View) -> Rendering:
    """What the generator shows from there, whichever of the two it answers."""
    made = generator(view)
    return made if isinstance(made, Rendering) else Rendering(view, made)
