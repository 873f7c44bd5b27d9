"""Generator protocols, and the views and renderings that they exchange."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from modeseek.rng import Rng


@dataclass(frozen=True)
class View:
    """Request to render one batch of items.

    Attributes:
        items: global item indices, one per item of the batch; they key the random streams.
    """

    items: tuple[int, ...]

    def select(self, rows: slice) -> View:
        """Returns the view of a subset of the items; each renders as it does within the full batch."""
        return replace(self, items=self.items[rows])


@dataclass(frozen=True)
class Rendering:
    """Output of a generator: the image, and the view it was rendered from. Regularizers take a `Rendering`.

    Attributes:
        view: the view that was rendered.
        image: rendered images, (b, c, h, w) pixels in [0, 1], or points, (n, d).
    """

    view: View
    image: Float[Tensor, "b *d"]


@runtime_checkable
class Generator(Protocol):
    """A differentiable image representation: an nn.Module whose parameters are optimised through its renders."""

    def view(self, n: int, rng: Rng) -> View:
        """Samples the view to render next, with n items."""
        ...

    def __call__(self, view: View) -> Float[Tensor, "b *d"] | Rendering:
        """Renders a view, differentiably in the parameters: a bare image, or a `Rendering` for regularizers."""
        ...


@runtime_checkable
class ProgressiveGenerator(Protocol):
    """A generator that is refined during the run, from coarse to fine."""

    def advance(self, progress: float) -> None:
        """Switches to the resolution scheduled for this progress in [0, 1]; the loop calls it before every step."""
        ...


def render(generator: Generator, view: View) -> Rendering:
    """Renders a view; a generator that returns a bare image gets it wrapped in a `Rendering`."""
    output = generator(view)
    return output if isinstance(output, Rendering) else Rendering(view, output)
