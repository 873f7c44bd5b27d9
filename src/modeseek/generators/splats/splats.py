"""3D Gaussian splats: an explicit 3D generator of fixed capacity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.background import Background
from modeseek.generators.base import Artifact
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.generator3d import MESH_RESOLUTION, Generator3D
from modeseek.generators.mesh.extract import extract
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.orbit import Orbit
from modeseek.generators.relocation import Relocation
from modeseek.generators.rendering3d import Rendering3D
from modeseek.generators.splats.compositing import composite, median_values
from modeseek.generators.splats.fusion import SURFACE, fuse_depths
from modeseek.generators.splats.gltf import encode_glb_splats
from modeseek.generators.splats.gsplat import composite_gsplat, uses_gsplat
from modeseek.generators.splats.pairs import Pairs, find_pairs
from modeseek.generators.splats.ply import encode_splats
from modeseek.generators.splats.projection import ProjectedSplats, project, rotation_matrices
from modeseek.generators.splats.relocate import RelocateSplats
from modeseek.generators.splats.starts import Ball, SplatStart, StartingSplats
from modeseek.io.video import FilmFormat
from modeseek.rng import Rng

RATES = {"means": 1.0, "colors": 10.0, "logits": 50.0, "log_scales": 20.0, "quats": 10.0}
"""Learning rates of the parameters relative to that of the means: those of 3D Gaussian splatting and DreamGaussian, but
larger ones of scales and rotations, since runs are short."""

_RELOCATE = RelocateSplats()
_FUSED_VIEWS = ((14, 0.0), (12, 35.0), (12, -35.0), (4, 75.0), (4, -75.0))  # of a mesh: number, elevation in degrees
_FUSED_SIZE = 128  # side of their images, pixels


class Splats(Generator3D):
    """Generator of 3D Gaussian splats (Kerbl et al. 2023, arXiv 2308.04079), rendered on any device without CUDA code.

    Each splat is a 3D Gaussian with a colour and an opacity. It is projected by the local affine approximation, drawn
    where its opacity is at least 1 / 255, sorted by depth and composited front to back. Their number is fixed: splats
    that have become transparent are relocated onto opaque ones after the step, such that the image does not change
    (Kheradmand et al. 2024, arXiv 2404.09591), so that tensors never change their shapes and a run can be resumed to
    the bit. Colours are sigmoids of the parameters, the same from every direction. On CUDA gsplat renders them where it
    is installed, faster but not equal to the bit.

    Args:
        capacity: number of splats, >= 1.
        start: initial splats: `Ball()`, or those of a point cloud, a mesh or a volume.
        rng: source of the initial splats' random numbers.
        orbit: distribution of the training cameras.
        size: side of the rendered images, pixels, >= 1.
        background: background; white by default.
        relocate: policy of relocation; None keeps all splats where they are.
        normals: whether the views of `view` render normal maps.
        like: tensor whose dtype and device the parameters take; default float32 on the CPU.

    Attributes:
        means: centres, world units, (n, 3).
        quats: rotations, quaternions w, x, y, z of any norm, (n, 4).
        log_scales: logarithms of the standard deviations along the rotated axes, world units, (n, 3).
        logits: logits of the peak opacities, (n,).
        colors: logits of the colours, (n, 3).

    Raises:
        ValueError: a capacity or a size below 1.
    """

    means: nn.Parameter
    quats: nn.Parameter
    log_scales: nn.Parameter
    logits: nn.Parameter
    colors: nn.Parameter

    def __init__(
        self,
        capacity: int,
        start: SplatStart | None = None,
        *,
        rng: Rng,
        orbit: Orbit | None = None,
        size: int = 64,
        background: Background | None = None,
        relocate: RelocateSplats | None = _RELOCATE,
        normals: bool = False,
        like: Tensor | None = None,
    ) -> None:
        super().__init__()
        if capacity < 1 or size < 1:
            raise ValueError(f"splats need a capacity and a size of at least 1, got {capacity} and {size}; try 2000")
        like = torch.empty(0) if like is None else like
        first = (Ball() if start is None else start).splats(capacity, rng, like)
        self.orbit = Orbit() if orbit is None else orbit
        self.background = Background(like=like) if background is None else background
        self.size, self.normals, self.policy = size, normals, relocate
        for name, value in _parameters(first).items():
            self.register_parameter(name, nn.Parameter(value))
        self._progress = 0.0

    @property
    def capacity(self) -> int:
        """Number of splats."""
        return len(self.means)

    @property
    def splats(self) -> StartingSplats:
        """The splats with their present values, detached."""
        with torch.no_grad():
            quats = nn.functional.normalize(self.quats, dim=-1)
            return StartingSplats(
                self.means.clone(), quats, self.log_scales.exp(), self.logits.sigmoid(), self.colors.sigmoid()
            )

    @torch.no_grad()
    def set(self, splats: StartingSplats) -> None:
        """Sets the parameters to those of as many splats."""
        for name, value in _parameters(splats).items():
            self.get_parameter(name).copy_(value)

    def parameter_groups(self) -> list[dict[str, Any]]:
        groups = [{"params": [getattr(self, name)], "relative": rate} for name, rate in RATES.items()]
        background = list(self.background.parameters())
        return [*groups, {"params": background, "relative": RATES["colors"]}] if background else groups

    def advance(self, progress: float) -> None:
        """Notes the completed share of the run, from which relocation ends."""
        self._progress = progress

    def extract_mesh(self, resolution: int | None = None, level: float | None = None) -> tuple[Mesh, str]:
        """Returns the mesh of depth images of 46 views, fused, and a one-line summary; the level is its own."""
        reach = float((self.means.detach().norm(dim=-1) + 2 * self.log_scales.detach().exp().amax(1)).max())
        resolution = MESH_RESOLUTION if resolution is None else resolution
        rings = [self.orbit.ring(n, elevation) for n, elevation in _FUSED_VIEWS]
        field = fuse_depths(
            lambda camera: self.with_median_depth(self.view_from(camera, _FUSED_SIZE)),
            Cameras.concatenate(rings),
            reach,
            4 * reach / resolution,
            self.means.detach(),
        )
        with torch.no_grad():
            extracted = extract(field, resolution, SURFACE)
        return extracted.mesh, extracted.summary

    @torch.no_grad()
    def with_median_depth(self, view: CameraView) -> Rendering3D:
        """Renders a view, its depth that at which half of the light is absorbed: a mean mixes front and back."""
        projected, opacity, pairs = self._seen_by(view)
        depth = median_values(projected.conic.flatten(0, 1), opacity.flatten(), projected.depth.flatten(), pairs)
        rendering = self._render(view, projected, opacity, pairs)
        return replace(rendering, depth=depth.view_as(rendering.depth))

    def _seen_by(self, view: CameraView) -> tuple[ProjectedSplats, Tensor, Pairs]:
        """The splats as the cameras of a view see them, their peak opacities, and the pixels that each covers."""
        cameras = view.cameras.to(self.means)
        projected = project(self.means, self.quats, self.log_scales.exp(), cameras, view.size)
        opacity = self.logits.sigmoid() * projected.share
        return projected, opacity, find_pairs(projected, opacity, view.size)

    def exports(
        self, decode: Callable[[Tensor], Tensor] | None = None, films: Sequence[FilmFormat] = ()
    ) -> Iterator[Artifact]:
        """Yields what every 3D generator exports, and the splats as PLY and GLB files."""
        yield from super().exports(decode, films)
        yield Artifact("exports/splats.glb", encode_glb_splats(self.splats))
        yield Artifact("exports/splats.ply", encode_splats(self.splats), f"{self.capacity:,} splats written")

    def forward(self, view: CameraView) -> Rendering3D:
        """Renders a view, by gsplat where it is installed and the splats are on CUDA."""
        if not uses_gsplat(self.means):
            return self._render(view, *self._seen_by(view))
        cameras, opacity = view.cameras.to(self.means), self.logits.sigmoid()
        frame = cameras.frame
        depth = ((self.means - frame.position[:, None]) * frame.forward[:, None]).sum(-1)
        values = self._values(depth, frame.position if view.normals else None)
        scales = self.log_scales.exp()
        maps = composite_gsplat(self.means, self.quats, scales, opacity, values, cameras, view.size)
        return self._rendering(view, maps.permute(0, 3, 1, 2))

    def _render(self, view: CameraView, projected: ProjectedSplats, opacity: Tensor, pairs: Pairs) -> Rendering3D:
        """Renders a view of projected splats."""
        values = self._values(projected.depth, view.cameras.to(self.means).frame.position if view.normals else None)
        maps = composite(
            projected.center.flatten(0, 1),
            projected.conic.flatten(0, 1),
            opacity.flatten(),
            values.flatten(0, 1),
            pairs,
        )
        return self._rendering(view, maps.view(len(values), view.size, view.size, -1).permute(0, 3, 1, 2))

    def _values(self, depth: Float[Tensor, "b n"], position: Float[Tensor, "b 3"] | None) -> Float[Tensor, "b n c"]:
        """What is composited of each splat: colour, 1, depth and, for cameras at these positions, its normal."""
        colors = self.colors.sigmoid().expand(*depth.shape, 3)
        normals = [] if position is None else [self._normals(position)]
        return torch.cat([colors, torch.ones_like(depth)[..., None], depth[..., None], *normals], -1)

    def _rendering(self, view: CameraView, maps: Float[Tensor, "b c s s"]) -> Rendering3D:
        """Rendering of composited values, in front of the background."""
        color, covered, rest = maps[:, :3], maps[:, 3:4], maps[:, 4:]
        foreground = rest / covered.clamp(min=0.01)  # the mean over the foreground, fading to 0 below
        background = self.background(view.cameras.to(self.means).rays(view.size)[1], view.backdrop)
        image = color + (1 - covered) * background
        normal = foreground[:, 1:] if view.normals else None
        return Rendering3D(view, image, covered, foreground[:, :1], normal)

    def _normals(self, position: Float[Tensor, "b 3"]) -> Float[Tensor, "b n 3"]:
        """Axes of the smallest scale, towards each camera."""
        axis = self.log_scales.argmin(1)[:, None, None].expand(-1, 3, 1)
        normal = rotation_matrices(self.quats).gather(2, axis).squeeze(2)
        towards = ((position[:, None] - self.means.detach()) * normal.detach()).sum(-1, keepdim=True)
        return normal * torch.where(towards < 0, -1.0, 1.0).to(normal)

    def relocate(self, optimizer: torch.optim.Optimizer, step: int, rng: Rng) -> Relocation | None:
        """Relocates transparent splats onto opaque ones by the policy, and moves centres by its noise."""
        if self.policy is None or self._progress >= self.policy.until:
            return None
        return self.policy.apply(self, optimizer, step, rng)


def _parameters(splats: StartingSplats) -> dict[str, Tensor]:
    """Values of the parameters of splats, by their names."""
    return {
        "means": splats.means.clone(),
        "quats": splats.quats.clone(),
        "log_scales": splats.scales.log(),
        "logits": splats.opacities.logit(),
        "colors": splats.colors.logit(),
    }
