"""Generator protocols and base class, the views and renderings that they exchange, and the files that they export."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from modeseek.io.video import FilmFormat
from modeseek.rng import Rng, Streams

if TYPE_CHECKING:
    from modeseek.generators.vector.simplify import SvgExport


@dataclass(frozen=True)
class View:
    """Request to render one batch of items.

    Attributes:
        items: global item indices, one per item of the batch; they key the random streams.
        particles: global index of the particle (the object that is optimised) that each item shows; None is that of the
            kind of view: an image is its own particle, and all cameras show particle 0.
    """

    items: tuple[int, ...]
    particles: tuple[int, ...] | None = field(default=None, kw_only=True)

    @property
    def particle_of_item(self) -> tuple[int, ...]:
        """Global index of the particle that each item shows."""
        return self.items if self.particles is None else self.particles

    def particle_of_row(self, n: int) -> Int[Tensor, "n"]:
        """Returns the particle of each of n rows; each row of an item of several (a point cloud) is one of its own.

        Raises:
            ValueError: n is not a multiple of the number of items.
        """
        each, rest = divmod(n, len(self.items))
        if rest:
            raise ValueError(f"the number of rows must be a multiple of the {len(self.items)} items, got {n}")
        if each == 1:
            return torch.tensor(self.particle_of_item)
        return (each * torch.tensor(self.items)[:, None] + torch.arange(each)).flatten()

    def select(self, rows: slice) -> View:
        """Returns the view of a subset of the items; each renders as it does within the full batch."""
        particles = None if self.particles is None else self.particles[rows]
        return replace(self, items=self.items[rows], particles=particles)

    @classmethod
    def concatenate(cls, views: Sequence[Any]) -> View:
        """Returns the view of the items of several views, in order."""
        items = tuple(item for view in views for item in view.items)
        return replace(views[0], items=items, particles=tuple(p for view in views for p in view.particle_of_item))


@dataclass(frozen=True)
class Rendering:
    """Output of a generator: the image, and the view it was rendered from. Regularizers take a `Rendering`.

    Attributes:
        view: the view that was rendered.
        image: rendered images, (b, c, h, w) pixels in [0, 1], or points, (n, d).
    """

    view: View
    image: Float[Tensor, "b *d"]

    @classmethod
    def concatenate(cls, view: View, renderings: Sequence[Any]) -> Rendering:
        """Returns the rendering of a view that was rendered in parts."""
        return replace(renderings[0], view=view, image=torch.cat([part.image for part in renderings]))


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


@runtime_checkable
class DeclaredGenerator(Protocol):
    """A generator that says whether it renders images, which a codec encodes, or z itself."""

    encodes: bool


def concatenate_optional(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Returns the concatenation of tensors; None where one is missing."""
    given = [part for part in parts if part is not None]
    return torch.cat(given) if len(given) == len(parts) else None


def renders_images(generator: Generator) -> bool:
    """Returns False for a generator that says that it renders z itself."""
    return not isinstance(generator, DeclaredGenerator) or generator.encodes


def advance(generator: Generator, progress: float) -> None:
    """Switches a progressive generator to the resolution scheduled for this progress; others have one resolution."""
    if isinstance(generator, ProgressiveGenerator):
        generator.advance(progress)


def render(generator: Generator, view: View) -> Rendering:
    """Renders a view; a generator that returns a bare image gets it wrapped in a `Rendering`."""
    output = generator(view)
    return output if isinstance(output, Rendering) else Rendering(view, output)


@dataclass(frozen=True)
class Artifact:
    """File that a generator exports at the end of a run.

    Attributes:
        path: path relative to the run folder, such as `exports/mesh.glb` or `media/turntable.mp4`.
        data: content; None if there is nothing to export, and `note` says why.
        note: line for the log of the run; empty for none.
    """

    path: str
    data: bytes | None
    note: str = ""


class BaseGenerator(nn.Module):
    """Base class of generators: adds previews and exports to `forward`, and the view of `n_items` fixed items.

    Attributes:
        is_3d: whether it is rendered from cameras.
        encodes: whether it renders images, which the codec of the prior encodes; False: it renders z itself.
        sharp_previews: whether previews are rendered larger than the images of the steps, by `render_at`.
    """

    is_3d: ClassVar[bool] = False
    encodes: ClassVar[bool] = True
    sharp_previews: ClassVar[bool] = False

    @property
    def n_items(self) -> int:
        """Number of items of every view, >= 1."""
        return 1

    @property
    def particles(self) -> tuple[BaseGenerator, ...]:
        """Generators that are optimised together: itself, or the members of an ensemble."""
        return (self,)

    def view(self, n: int, rng: Rng) -> View:
        """Returns the view of all items; n must be their number."""
        if n != self.n_items:
            k = self.n_items
            raise ValueError(f"{k} images are {k} items, got batch={n}; use batch={k}")
        return View(items=tuple(range(n)))

    def preview_view(self) -> View:
        """Returns the view of previews and exports, the same at every step."""
        return self.view(self.n_items, Streams(0, use="preview"))

    @property
    def item_labels(self) -> tuple[str, ...]:
        """Short names of the items of the preview view, for files; empty where a number does."""
        return ()

    def render_at(self, size: tuple[int, int]) -> Iterator[Tensor] | None:
        """Renders the items of the preview view one by one, (c, height, width); None if its resolution is fixed."""
        return None

    def svgs(self, titles: Sequence[str], max_bytes: int | None = None) -> Iterator[SvgExport] | None:
        """Returns the items of the preview view as SVG files, one by one; None for a generator without paths.

        Args:
            titles: title of each file.
            max_bytes: largest size of a file, bytes; None does not limit it.
        """
        return None

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Returns groups of parameters for an optimizer; `relative` is a group's learning rate over that of a run."""
        return [{"params": list(self.parameters())}]

    def exports(
        self, decode: Callable[[Tensor], Tensor] | None = None, films: Sequence[FilmFormat] = ()
    ) -> Iterator[Artifact]:
        """Yields the files to export: the rendered preview view as images.npy, or as points.npy.

        A run writes the PNGs of images itself, with prompt and settings inside.

        Args:
            decode: function from renderings to pixels in [0, 1], or to points; None leaves them as they are.
            films: formats of films.
        """
        with torch.no_grad():
            image = render(self, self.preview_view()).image
            final = (image if decode is None else decode(image)).detach().cpu()
        out = io.BytesIO()
        np.save(out, final.numpy(), allow_pickle=False)
        yield Artifact("exports/images.npy" if final.ndim == 4 else "exports/points.npy", out.getvalue())
