"""Frames of a 3D generator from one camera pose: colour, depth, normals or opacity, and a density section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.export import depth_colours
from modeseek.generators.generator3d import Generator3D
from modeseek.viewer.density_section import DensitySection, overlay, section_density
from modeseek.viewer.viser_camera import Pose

RenderMode = Literal["colour", "depth", "normal", "opacity"]


@dataclass(frozen=True)
class RenderStyle:
    """Rendering style of a frame.

    Attributes:
        mode: colour; depth (viridis, near is bright); normal (x, y, z in world axes as red, green, blue); opacity
            (black is opaque).
        section: plane on which to overlay the density, if it has one; None for none.
    """

    mode: RenderMode = "colour"
    section: DensitySection | None = None


def render_frame(generator: Generator3D, pose: Pose, size: int, style: RenderStyle) -> np.ndarray:
    """Pixels of the window, (h, w, 3) bytes, with `size` pixels along its shorter side."""
    side = pose.side(size)
    rows, columns = pose.window(side)
    with torch.inference_mode():
        image = _render(generator, pose, side, style)[0, :, rows, columns]
        return (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()


def _render(generator: Generator3D, pose: Pose, side: int, style: RenderStyle) -> Float[Tensor, "1 3 s s"]:
    cameras = pose.cameras()
    rendering = generator(generator.view_from(cameras, side, normals=style.mode == "normal"))
    if style.mode == "depth":
        image = _on_white(depth_colours(rendering.depth, rendering.opacity), rendering.opacity)
    elif style.mode == "normal" and rendering.normal is not None:
        image = _on_white(torch.nn.functional.normalize(rendering.normal, dim=1) / 2 + 0.5, rendering.opacity)
    elif style.mode == "opacity":
        image = (1 - rendering.opacity).expand(-1, 3, -1, -1)
    else:
        image = rendering.image
    density = generator.density_field
    if style.section is None or density is None:
        return image
    return overlay(image, *section_density(density, cameras, side, style.section))


def _on_white(colour: Tensor, opacity: Tensor) -> Tensor:
    return 1 - opacity * (1 - colour)
