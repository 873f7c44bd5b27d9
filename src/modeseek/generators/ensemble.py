"""Ensemble of generators: K particles that are optimised together, such as K NeRFs under one method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from modeseek.generators.base import Artifact, BaseGenerator, Rendering, View, advance, render
from modeseek.generators.generator3d import Generator3D
from modeseek.generators.orbit import per_item_streams
from modeseek.generators.relocation import Relocation, relocate
from modeseek.io.video import FilmFormat
from modeseek.rng import Rng, Streams

if TYPE_CHECKING:
    from modeseek.generators.vector.simplify import SvgExport


class Ensemble(BaseGenerator):
    """K generators of one kind, the particles of an ensemble: what repels or learns per particle tells them apart.

    A view of n items has n / K consecutive items of each, drawn by it from the items' own streams. Of generators of
    fixed items (points, images, fields, drawings) that is all of theirs, and n is the number of all together; each
    image, and each point of a cloud, is then a particle of its own. Regularizers see one rendering of all items.

    Args:
        members: generators of one kind with equal numbers of items.

    Raises:
        TypeError: members that are no generators of one kind.
        ValueError: no members, or other numbers of items.
    """

    def __init__(self, members: Sequence[BaseGenerator]) -> None:
        super().__init__()
        members = tuple(members)
        if not members:
            raise ValueError("an ensemble needs at least one generator, got none; try ms.Ensemble([ms.NeRF()])")
        kinds = list(dict.fromkeys(type(member) for member in members))
        if len(kinds) > 1 or not isinstance(members[0], BaseGenerator) or isinstance(members[0], Ensemble):
            names = ", ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"an ensemble must hold generators of one kind such as NeRFs, got {names}")
        if len({member.n_items for member in members}) > 1 or len({id(member) for member in members}) < len(members):
            raise ValueError(
                "the members of an ensemble must be different generators with equal numbers of items, got numbers "
                f"{', '.join(str(member.n_items) for member in members)}"
            )
        self.members = nn.ModuleList(members)
        first = members[0]
        self.is_3d = first.is_3d  # pyright: ignore[reportAttributeAccessIssue]: of this ensemble, not of the class
        self.encodes = first.encodes  # pyright: ignore[reportAttributeAccessIssue]
        self.sharp_previews = first.sharp_previews  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def particles(self) -> tuple[BaseGenerator, ...]:
        """The generators, in order."""
        return tuple(self.members)  # pyright: ignore[reportReturnType]

    @property
    def n_items(self) -> int:
        """Number of items of the views of generators of fixed items; of 3D generators the least."""
        return sum(member.n_items for member in self.particles)

    def view(self, n: int, rng: Rng) -> View:
        """Samples a view of n items, n / K of each generator.

        Raises:
            ValueError: n is not a multiple of the number of generators, or not the number of their items.
        """
        k = len(self.members)
        if n < 1 or n % k:
            raise ValueError(f"an ensemble of {k} needs a multiple of {k} items, got {n}; try {k * max(1, n // k)}")
        streams, items = per_item_streams(n, rng)
        each, views = n // k, []
        for index, member in enumerate(self.particles):
            own = items[index * each : (index + 1) * each]
            source = streams.at(streams.step, own, streams.use) if isinstance(streams, Streams) else streams
            views.append(self._of_member(index, member.view(each, source), own))
        return type(views[0]).concatenate(views)

    def preview_view(self) -> View:
        """Returns the preview views of all generators, one after the other."""
        views, items = [], 0
        for index, member in enumerate(self.particles):
            view = member.preview_view()
            views.append(self._of_member(index, view, tuple(range(items, items + len(view.items)))))
            items += len(view.items)
        return type(views[0]).concatenate(views)

    def forward(self, view: View) -> Rendering:
        """Renders a view: each generator its items, which are consecutive."""
        renderings, start = [], 0
        owners = view.particle_of_item if self.is_3d else [item // self.particles[0].n_items for item in view.items]
        while start < len(owners):
            index, stop = owners[start], start + 1
            while stop < len(owners) and owners[stop] == index:
                stop += 1
            part, member = view.select(slice(start, stop)), self.particles[index]
            items = part.items if self.is_3d else tuple(item - index * member.n_items for item in part.items)
            renderings.append(render(member, replace(part, items=items, particles=None)))
            start = stop
        return type(renderings[0]).concatenate(view, renderings)

    def advance(self, progress: float) -> None:
        """Switches every generator to the resolution scheduled for this progress."""
        for member in self.particles:
            advance(member, progress)

    def relocate(self, optimizer: torch.optim.Optimizer, step: int, rng: Rng) -> Relocation | None:
        """Relocates the dead elements of every generator, each with its own draws."""
        items: tuple[int, ...] = ()
        elements: tuple[int, ...] = ()
        for index, member in enumerate(self.particles):
            own = rng.at(rng.step, (index,), rng.use) if isinstance(rng, Streams) else rng
            moved = relocate(member, optimizer, step, own)
            if moved is not None:
                items += tuple(item + index * member.n_items for item in moved.items)
                elements += moved.elements
        return Relocation(items, elements) if items else None

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [group for member in self.particles for group in member.parameter_groups()]

    @property
    def item_labels(self) -> tuple[str, ...]:
        """Labels of the generators' items behind the number of the generator: p0-az000 ..."""
        return tuple(f"p{index}-{label}" for index, member in enumerate(self.particles) for label in member.item_labels)

    def render_at(self, size: tuple[int, int]) -> Iterator[Tensor] | None:
        parts = [part for member in self.particles if (part := member.render_at(size)) is not None]
        return chain(*parts) if len(parts) == len(self.members) else None

    def svgs(self, titles: Sequence[str], max_bytes: int | None = None) -> Iterator[SvgExport] | None:
        each, parts = self.particles[0].n_items, []
        for index, member in enumerate(self.particles):
            part = member.svgs(titles[index * each : (index + 1) * each], max_bytes)
            if part is None:
                return None
            parts.append(part)
        return chain(*parts)

    def exports(
        self, decode: Callable[[Tensor], Tensor] | None = None, films: Sequence[FilmFormat] = ()
    ) -> Iterator[Artifact]:
        """Yields the rendered preview views, and the files of each generator: exports/particle-0/mesh.glb ..."""
        common = list(super().exports(decode, films))
        yield from common
        names = {artifact.path for artifact in common}
        for index, member in enumerate(self.particles):
            for artifact in member.exports(decode, films):
                if artifact.path in names:  # the images, which are those of all
                    continue
                folder, _, name = artifact.path.rpartition("/")
                note = f"particle {index}: {artifact.note}" if artifact.note else ""
                yield Artifact(f"{folder}/particle-{index}/{name}", artifact.data, note)

    def _of_member(self, index: int, view: View, items: tuple[int, ...]) -> View:
        """The view of one generator with the items, and the particles, that it has in the ensemble."""
        if self.is_3d:
            return replace(view, items=items, particles=(index,) * len(view.items))
        own = tuple(item + index * self.particles[index].n_items for item in view.items)
        return replace(view, items=own, particles=own)


def single_shape(generator: BaseGenerator, wish: str) -> Generator3D:
    """Returns a 3D generator, for what shows or exports one shape.

    Raises:
        ValueError: an ensemble of several, or a generator of images; the message names the wish, such as "a mesh".
    """
    if isinstance(generator, Ensemble) and generator.is_3d:
        raise ValueError(
            f"{wish} needs one 3D shape, got {len(generator.members)} particles; the files of each are in the run "
            "folder: exports/particle-0/, media/particle-0/ ..."
        )
    if not isinstance(generator, Generator3D):
        raise ValueError(f"{wish} needs a 3D shape, got a {type(generator).__name__}")
    return generator
