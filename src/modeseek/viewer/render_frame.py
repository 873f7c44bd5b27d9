"""What a thing shows to one camera: colours, depth, normals or opacity, and a section before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.export import depth_colours
from modeseek.generators.nerf import NeRF
from modeseek.generators.rendering3d import Generator3D
from modeseek.viewer.section import DensitySection, overlay, section_density
from modeseek.viewer.viser_camera import Pose

RenderMode = Literal["colour", "depth", "normal", "opacity"]


@dataclass(frozen=True)
class RenderStyle:
    """How a thing is shown.

    Attributes:
        mode: colour; depth (viridis, near is bright); normal (x, y, z in world axes as red, green, blue); opacity
            (black is all of it).
        section: a plane of density before it, or None; of volumes only.
    """

    mode: RenderMode = "colour"
    section: DensitySection | None = None


def render_frame(thing: Generator3D, pose: Pose, size: int, look: RenderStyle) -> np.ndarray:
    """What the window shows, (h, w, 3) bytes, of which `size` pixels lie along its shorter side."""
    side = pose.side(size)
    rows, columns = pose.window(side)
    with torch.inference_mode():
        image = _shown(thing, pose, side, look)[0, :, rows, columns]
        return (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()


def _shown(thing: Generator3D, pose: Pose, side: int, look: RenderStyle) -> Float[Tensor, "1 3 s s"]:
    cameras = pose.cameras()
    solid = thing(thing.view_from(cameras, side, normals=look.mode == "normal"))
    if look.mode == "depth":
        image = _on_white(depth_colours(solid.depth, solid.opacity), solid.opacity)
    elif look.mode == "normal" and solid.normal is not None:
        image = _on_white(torch.nn.functional.normalize(solid.normal, dim=1) / 2 + 0.5, solid.opacity)
    elif look.mode == "opacity":
        image = (1 - solid.opacity).expand(-1, 3, -1, -1)
    else:
        image = solid.image
    if look.section is None or not isinstance(thing, NeRF):
        return image
    return overlay(image, *section_density(thing, cameras, side, look.section))


def _on_white(colour: Tensor, opacity: Tensor) -> Tensor:
    return 1 - opacity * (1 - colour)
