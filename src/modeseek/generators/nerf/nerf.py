"""NeRF generator: differentiable volume rendering of a volume from sampled cameras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from modeseek.generators.background import Background
from modeseek.generators.camera import CameraView
from modeseek.generators.generator3d import Generator3D
from modeseek.generators.mesh.extract import DensityField
from modeseek.generators.nerf.composite import accumulate_along_rays, composite, normalize_by_opacity
from modeseek.generators.nerf.dense import Dense
from modeseek.generators.nerf.empty_space_skipping import EmptySpaceSkipping, compact_samples
from modeseek.generators.nerf.memory import points_that_fit
from modeseek.generators.nerf.normals import density_normals
from modeseek.generators.nerf.occupancy_grid import OccupancyGrid
from modeseek.generators.nerf.rays import Rays
from modeseek.generators.nerf.resolution_stage import ResolutionStage, validate_stages
from modeseek.generators.nerf.volume import Volume
from modeseek.generators.orbit import Orbit, per_item_streams
from modeseek.generators.rendering3d import RaySamples, Rendering3D
from modeseek.rng import Rng, rand

_SKIP = EmptySpaceSkipping()


class NeRF(Generator3D):
    """Generator by volume rendering (NeRF, Mildenhall et al. 2020, arXiv 2003.08934) inside a ball around the origin.

    Rays that miss the ball show the background; the chord of any other ray is divided into equal intervals with one
    sample each, jittered by a common offset per ray during optimisation and at the midpoints otherwise. Each item is
    one camera. All random numbers are drawn by `view`, from the item's own stream, and stored in the view.

    Args:
        volume: an nn.Module that implements `Volume`; `Dense()` by default.
        orbit: distribution of the training cameras.
        size: side length of the images in pixels, >= 1.
        samples: samples per ray, >= 1.
        radius: radius of the ball in world units, > 0.
        background: background module; white by default.
        skip: empty space skipping, in force once space has been pruned; None evaluates every sample.
        chunk: number of points per evaluation of the volume, with gradient checkpointing; None: all at once on a CPU,
            on CUDA as many as a quarter of the memory holds that is free at the first rendering of a size.
        stages: coarse-to-fine schedule for `advance`; empty keeps `size` and the volume fixed.
        normals: whether the views of `view` render normal maps.

    Raises:
        TypeError: not a volume.
        ValueError: sizes below 1, a radius that is not positive, or stages out of order.
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
            raise TypeError(f"a NeRF renders a Volume, got {type(volume).__name__}; pass one such as Dense()")
        if min(size, samples, 1 if chunk is None else chunk) < 1 or not 0 < radius < float("inf"):
            raise ValueError(
                f"a NeRF needs size, samples and chunk of 1 or more and a positive radius, got {size}, {samples}, "
                f"{chunk} and {radius}"
            )
        self.volume = volume
        self.background = Background() if background is None else background
        self.orbit = Orbit() if orbit is None else orbit
        self.size, self.samples, self.radius = size, samples, radius
        self.skip, self.chunk, self.normals = skip, chunk, normals
        self._fitting: dict[int, int | None] = {}  # number of points by the size of the images
        self.stages = validate_stages(stages, volume.levels)
        self.space = OccupancyGrid(next(volume.parameters()))
        self.register_buffer("begun", torch.zeros((), dtype=torch.long))
        self.advance(0.0)

    def advance(self, progress: float) -> None:
        """Enters the stages that are due at this progress, each once; `distill` calls it before every step.

        The number of entered stages is part of the state dict, so a resumed run does not refine or prune again.
        """
        due = [stage for stage in self.stages if stage.start <= progress]
        if not due:
            return
        self.size = due[-1].size
        begun = self.get_buffer("begun")
        for stage in due[int(begun) :]:
            self.volume.refine(stage.level)
            if stage.prune:
                self.prune(stage.prune)
            begun.add_(1)

    def prune(self, below: float = 0.05) -> None:
        """Permanently closes space where the density per world unit is below a threshold; see `OccupancyGrid`."""
        self.space.prune(lambda points: self._evaluate(self._density, points)[0], below, next(self.volume.parameters()))

    def view(self, n: int, rng: Rng) -> CameraView:
        """Samples n cameras of the orbit, the colours of a random background, and ray jitter; see `Generator3D`."""
        streams, _ = per_item_streams(n, rng)  # one set of streams for all draws
        view = super().view(n, streams)
        return replace(view, jitter=rand((n, self.size, self.size), streams, torch.empty(0)))

    def forward(self, view: CameraView) -> Rendering3D:
        """Renders a view."""
        cameras = view.cameras.to(next(self.volume.parameters()))
        directions = cameras.rays(view.size)[1]
        rays = Rays.from_cameras(cameras, directions, self.samples, self.radius, view.jitter)
        rays, indices, mask = self._live_samples(rays)
        shape = (len(rays), self.samples)
        points = rays.points(indices)
        density, colour = self._evaluate(self.volume, points)
        density = _scatter(density, indices, shape)
        density = density if mask is None else density * mask
        weights, opacity = composite(density * rays.step[:, None])
        depth = normalize_by_opacity((weights * rays.distances()).sum(1) * rays.cosine, opacity)

        def normals() -> Float[Tensor, "m s 3"]:
            return _scatter(self._evaluate(self._normals, points)[0], indices, shape)

        columns = [_accumulate(weights, colour, indices), opacity[:, None], depth[:, None]]
        if view.normals:
            columns.append(normalize_by_opacity(accumulate_along_rays(weights, normals()), opacity))
        rows = torch.cat(columns, 1)
        n, side = len(cameras), view.size
        maps = rows.new_zeros(n * side**2, rows.shape[1]).index_copy(0, rays.ray, rows)
        maps = maps.view(n, side, side, -1).permute(0, 3, 1, 2)
        background = self.background(directions, view.backdrop)
        starts = rays.interval_starts()
        return Rendering3D(
            view,
            maps[:, :3] + (1 - maps[:, 3:4]) * background,
            maps[:, 3:4],
            maps[:, 4:5],
            maps[:, 5:] if view.normals else None,
            RaySamples(rays.ray, rays.direction, weights, starts, starts + rays.step[:, None], normals),
            self.volume.grids(),
        )

    def field(self, points: Float[Tensor, "m 3"]) -> tuple[Float[Tensor, "m"], Float[Tensor, "m 3"]]:
        """Returns density per world unit and colour at points in world units inside the ball; density 0 if pruned."""
        points = points / self.radius
        density, colour = self.volume(points)
        return (density if self.space.all_open else density * self.space.contains_points(points)), colour

    @property
    def density_field(self) -> DensityField:
        """Its density and colour."""
        return DensityField(self.field, self.radius, next(self.volume.parameters()).new_empty(0))

    @torch.no_grad()
    def _live_samples(self, rays: Rays) -> tuple[Rays, Int[Tensor, "q"] | None, Bool[Tensor, "m s"] | None]:
        """Returns rays to render, indices of samples to evaluate (None: all) and a mask of samples in open space."""
        if self.space.all_open:
            return rays, None, None
        if self.skip is None:
            return rays, None, self.space.contains_samples(rays)
        rows, indices = compact_samples(self.space.contains_samples(rays))
        rays = rays.select(rows)
        density = self._evaluate(self._density, rays.points(indices))[0]
        optical_depth = _scatter(density, indices, (len(rays), self.samples)) * rays.step[:, None]
        rows, indices = compact_samples(self.skip.contributing(optical_depth))
        return rays.select(rows), indices, None

    def _points_at_once(self) -> int | None:
        if self.chunk is not None:
            return self.chunk
        if self.size not in self._fitting:
            self._fitting[self.size] = points_that_fit(self.volume, next(self.volume.parameters()))
        return self._fitting[self.size]

    def _density(self, points: Tensor) -> tuple[Tensor]:
        return (self.volume.density(points),)

    def _normals(self, points: Tensor) -> tuple[Tensor]:
        return (density_normals(self.volume.density, points, self.volume.spacing),)

    def _evaluate(self, function: Callable[[Tensor], tuple[Tensor, ...]], points: Tensor) -> tuple[Tensor, ...]:
        """Evaluates a function of points in chunks, with gradient checkpointing."""
        if not len(points):  # evaluate one dummy point and drop it, so that the parameters get a zero gradient
            return tuple(output[:0] for output in function(points.new_zeros(1, 3)))
        chunk = self._points_at_once()
        if chunk is None or len(points) <= chunk:
            return function(points)
        outputs = [
            checkpoint(function, part, use_reentrant=False, preserve_rng_state=False) for part in points.split(chunk)
        ]
        return tuple(torch.cat(chunks) for chunks in zip(*outputs, strict=True))


def _accumulate(
    weights: Float[Tensor, "m s"], values: Float[Tensor, "q c"], indices: Tensor | None
) -> Float[Tensor, "m c"]:
    """Returns the weighted sum along each ray of the values of all samples, or of the indexed samples."""
    if indices is None:
        return accumulate_along_rays(weights, values.view(*weights.shape, values.shape[1]))
    terms = weights.flatten().index_select(0, indices)[:, None] * values
    return values.new_zeros(len(weights), values.shape[1]).index_add(0, indices // weights.shape[1], terms)


def _scatter(values: Tensor, indices: Tensor | None, shape: tuple[int, int]) -> Tensor:
    """Returns values of all samples as (m, s, ...); values of indexed samples are scattered into zeros."""
    if indices is not None:
        values = values.new_zeros(shape[0] * shape[1], *values.shape[1:]).index_copy(0, indices, values)
    return values.view(*shape, *values.shape[1:])
