"""A volume seen from all around, as a generator of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.nerf.background import Background
from modeseek.generators.nerf.composite import composite, accumulate_along_rays, normalize_by_opacity
from modeseek.generators.nerf.dense import Dense
from modeseek.generators.nerf.normals import density_normals
from modeseek.generators.nerf.rays import Rays
from modeseek.generators.nerf.empty_space_skipping import EmptySpaceSkipping, compact_samples
from modeseek.generators.nerf.occupancy_grid import OccupancyGrid
from modeseek.generators.nerf.resolution_stage import ResolutionStage, validate_stages
from modeseek.generators.nerf.view import NeRFView
from modeseek.generators.nerf.volume import Volume
from modeseek.generators.orbit import Orbit, per_item_streams
from modeseek.generators.rendering3d import RaySamples, Rendering3D
from modeseek.rng import Rng, rand

_SKIP = EmptySpaceSkipping()


class NeRF(nn.Module):
    """Volume rendering (Mildenhall et al. 2020, arXiv 2003.08934) of a volume inside a ball around the origin.

    Rays that miss the ball are background; the others' chords are cut into equal intervals with one sample each,
    jittered together along the ray while optimising, in the middle otherwise. Each item is one camera. Everything
    random is drawn in `view` and carried by it, from the item's own stream.

    Args:
        volume: an nn.Module that is a `Volume`; `Dense()` by default.
        orbit: where cameras are drawn.
        size: side of the pictures, pixels.
        samples: a ray.
        radius: of the ball, world units.
        background: white by default.
        skip: the fast path, once space has been pruned; None asks for every sample always.
        chunk: points that the volume is asked for at a time, its activations being computed again in the backward
            pass instead of kept; None: all at once.
        stages: coarse to fine, for `advance`; none: `size` and the volume stay as they are.
        normals: whether `view` asks for normals too.

    Raises:
        ValueError: sizes below 1, a radius that is not positive, stages that do not go on.
    """

    def __init__(
        self,
        volume: nn.Module | None = None,
        *,
        orbit: Orbit | None = None,
        size: int = 64,
        samples: int = 48,
        radius: float = 1.0,
        background: Background | None = None,
        skip: EmptySpaceSkipping | None = _SKIP,
        chunk: int | None = None,
        stages: Sequence[ResolutionStage] = (),
        normals: bool = False,
    ) -> None:
        super().__init__()
        volume = Dense() if volume is None else volume
        if not isinstance(volume, Volume):
            raise TypeError(f"a NeRF renders a Volume, such as Dense(): got {type(volume).__name__}; pass one")
        if min(size, samples, 1 if chunk is None else chunk) < 1 or not 0 < radius < float("inf"):
            raise ValueError(
                f"a NeRF needs size, samples and chunk of 1 or more and a positive radius: got {size}, {samples}, "
                f"{chunk} and {radius}; mend them"
            )
        self.volume = volume
        self.background = Background() if background is None else background
        self.orbit = Orbit() if orbit is None else orbit
        self.size, self.samples, self.radius = size, samples, radius
        self.skip, self.chunk, self.normals = skip, chunk, normals
        self.stages = validate_stages(stages, volume.levels)
        self.space = OccupancyGrid(next(volume.parameters()))
        self.register_buffer("begun", torch.zeros((), dtype=torch.long))
        self.advance(0.0)

    def advance(self, progress: float) -> None:
        """Goes over to the stage of that progress, once; `distill` calls it before each step.

        Which stage has begun is part of the state dict, so a resumed run goes on as if it had not stopped.
        """
        begun = [stage for stage in self.stages if stage.start <= progress]
        if not begun:
            return
        self.size = begun[-1].size
        done = self.get_buffer("begun")
        for stage in begun[int(done) :]:
            self.volume.refine(stage.level)
            if stage.prune:
                self.prune(stage.prune)
            done.add_(1)

    def prune(self, below: float = 0.05) -> None:
        """Closes the space where density is below that, a world unit, for good; see `OccupancyGrid`."""
        self.space.prune(lambda points: self._evaluate(self._density, points)[0], below, next(self.volume.parameters()))

    def view(self, n: int, rng: Rng) -> NeRFView:
        """n cameras of the orbit, with jitter and, where the background is random, its colours.

        Raises:
            ValueError: n below 1, or streams of another number of items.
        """
        streams, items = per_item_streams(n, rng)
        cameras = self.orbit.draw(n, streams)
        backdrop = self.background.draw(n, streams)
        jitter = rand((n, self.size, self.size), streams, torch.empty(0))
        return NeRFView(items, cameras, self.size, jitter, backdrop, self.normals)

    def view_from(self, cameras: Cameras, size: int | None = None, normals: bool = False) -> NeRFView:
        """Those cameras without anything random, for previews and evaluation."""
        size = self.size if size is None else size
        return NeRFView(tuple(range(len(cameras))), cameras, size, normals=normals)

    def forward(self, view: CameraView) -> Rendering3D:
        """The picture; a plain `CameraView` is rendered like one of `look`."""
        told = view if isinstance(view, NeRFView) else NeRFView(view.items, view.cameras, view.size)
        cameras = view.cameras.to(next(self.volume.parameters()))
        directions = cameras.rays(view.size)[1]
        rays = Rays.from_cameras(cameras, directions, self.samples, self.radius, told.jitter)
        rays, at, mask = self._live_samples(rays)
        shape = (len(rays), self.samples)
        points = rays.points(at)
        density, colour = self._evaluate(self.volume, points)
        density = _scatter(density, at, shape)
        density = density if mask is None else density * mask
        weights, opacity = composite(density * rays.step[:, None])
        depth = normalize_by_opacity((weights * rays.distances()).sum(1) * rays.cosine, opacity)

        def normals() -> Float[Tensor, "m s 3"]:
            return _scatter(self._evaluate(self._normals, points)[0], at, shape)

        columns = [_accumulate(weights, colour, at), opacity[:, None], depth[:, None]]
        if told.normals:
            columns.append(normalize_by_opacity(accumulate_along_rays(weights, normals()), opacity))
        rows = torch.cat(columns, 1)
        n, side = len(cameras), view.size
        maps = rows.new_zeros(n * side**2, rows.shape[1]).index_copy(0, rays.ray, rows)
        maps = maps.view(n, side, side, -1).permute(0, 3, 1, 2)
        behind = self.background(directions, told.backdrop)
        return Rendering3D(
            view,
            maps[:, :3] + (1 - maps[:, 3:4]) * behind,
            maps[:, 3:4],
            maps[:, 4:5],
            maps[:, 5:] if told.normals else None,
            RaySamples(rays.ray, rays.direction, weights, rays.interval_starts(), rays.interval_starts() + rays.step[:, None], normals),
            self.volume.grids(),
        )

    def field(self, points: Float[Tensor, "m 3"]) -> tuple[Float[Tensor, "m"], Float[Tensor, "m 3"]]:
        """Density, a world unit, and colour at points in world units inside the ball; nothing in closed space."""
        density, colour = self.volume(points / self.radius)
        return (density if self.space.all_open else density * self.space.contains_points(points / self.radius)), colour

    @torch.no_grad()
    def _live_samples(self, rays: Rays) -> tuple[Rays, Int[Tensor, "q"] | None, Bool[Tensor, "m s"] | None]:
        """The rays to march; the numbers of the samples to ask for, None for all; which of all are in open space."""
        if self.space.all_open:
            return rays, None, None
        if self.skip is None:
            return rays, None, self.space.contains_samples(rays)
        rows, at = compact_samples(self.space.contains_samples(rays))
        rays = rays.select(rows)
        density = self._evaluate(self._density, rays.points(at))[0]
        depth = _scatter(density, at, (len(rays), self.samples)) * rays.step[:, None]
        rows, at = compact_samples(self.skip.contributing(depth))
        return rays.select(rows), at, None

    def _density(self, points: Tensor) -> tuple[Tensor]:
        return (self.volume.density(points),)

    def _normals(self, points: Tensor) -> tuple[Tensor]:
        return (density_normals(self.volume.density, points, self.volume.spacing),)

    def _evaluate(self, what: Callable[[Tensor], tuple[Tensor, ...]], points: Tensor) -> tuple[Tensor, ...]:
        """Its answers at those points, in chunks that are computed again in the backward pass."""
        if not len(points):  # one answer, of which nothing is taken, so that there is a gradient: zero
            return tuple(part[:0] for part in what(points.new_zeros(1, 3)))
        if self.chunk is None or len(points) <= self.chunk:
            return what(points)
        parts = [
            checkpoint(what, some, use_reentrant=False, preserve_rng_state=False) for some in points.split(self.chunk)
        ]
        return tuple(torch.cat(answers) for answers in zip(*parts, strict=True))


def _accumulate(weights: Float[Tensor, "m s"], values: Float[Tensor, "q c"], indices: Tensor | None) -> Float[Tensor, "m c"]:
    """The weighted sum along each ray of values of all samples, or of those."""
    if indices is None:
        return accumulate_along_rays(weights, values.view(*weights.shape, values.shape[1]))
    shares = weights.flatten().index_select(0, indices)[:, None] * values
    return values.new_zeros(len(weights), values.shape[1]).index_add(0, indices // weights.shape[1], shares)


def _scatter(values: Tensor, indices: Tensor | None, shape: tuple[int, int]) -> Tensor:
    """Values of all samples, or of those and 0 elsewhere, as (m, s, ...)."""
    if indices is not None:
        values = values.new_zeros(shape[0] * shape[1], *values.shape[1:]).index_copy(0, indices, values)
    return values.view(*shape, *values.shape[1:])
