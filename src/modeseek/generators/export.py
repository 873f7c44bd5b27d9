"""Export of 3D results, in memory: meshes as GLB and PLY, depth and normal strips.

Pixels and mesh colours are sRGB. PLY stores them as sRGB, which programs expect. glTF defines vertex colours as
linear, so `encode_glb` writes linear 32-bit floats (8 bits quantise dark linear colours too coarsely). Shading is baked
into the colours, so the GLB material is unlit (KHR_materials_unlit); programs without that extension fall back to a
matte, two-sided material. trimesh reads colours beside a material as `mesh.visual.vertex_attributes["color"]`, linear;
without a material, whose default is metal, other programs would show them dark. A PLY file, or a GLB with a texture,
gives `mesh.visual.vertex_colors` and `mesh.visual.to_color()`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.read import import_trimesh
from modeseek.generators.rendering3d import Rendering3D

_COLOUR_ATTRIBUTE = "_COLOUR"  # trimesh writes custom attributes unchanged, but vertex colours in 8 bits


def encode_glb(mesh: Mesh) -> bytes:
    """Encodes a mesh as a binary glTF 2.0 file, y up, front face +z, linear colours.

    Raises:
        ValueError: trimesh is missing.
    """
    model = plain_trimesh(mesh)
    model.vertex_attributes[_COLOUR_ATTRIBUTE] = (
        srgb_to_linear(mesh.colours.detach().double().cpu()).numpy().astype(np.float32)
    )
    return model.export(file_type="glb", tree_postprocessor=_unlit, include_normals=True)


def encode_ply(mesh: Mesh) -> bytes:
    """Encodes a mesh as a binary PLY file, sRGB colours in 8 bits.

    Raises:
        ValueError: trimesh is missing.
    """
    return coloured_trimesh(mesh).export(file_type="ply", vertex_normal=False)


def srgb_to_linear(colour: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Converts sRGB values to linear light, both in [0, 1] (IEC 61966-2-1)."""
    return torch.where(colour <= 0.04045, colour / 12.92, ((colour.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def depth_normal_strips(rendering: Rendering3D) -> Float[Tensor, "b 3 h w_all"]:
    """Returns image, depth map and normal map side by side, in [0, 1]; no normal map if normals were not rendered.

    Depth uses the viridis colour map, near is bright, with one scale for the whole batch; normals are
    (x, y, z) / 2 + 1/2 as red, green, blue, in world axes. Both are composited over white by the opacity.
    """
    depth = depth_colours(rendering.depth.detach(), rendering.opacity.detach())
    panels = [rendering.image.detach(), _over_white(depth, rendering)]
    if rendering.normal is not None:
        normal = torch.nn.functional.normalize(rendering.normal.detach(), dim=1)
        panels.append(_over_white(normal / 2 + 0.5, rendering))
    return torch.cat(panels, -1).clamp(0, 1)


def depth_colours(depth: Float[Tensor, "b 1 h w"], opacity: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Maps depth to viridis colours, nearest brightest; the range is that of all pixels with opacity >= 1/2."""
    from matplotlib import colormaps

    covered = depth[opacity >= 0.5]
    near, far = (covered.min(), covered.max()) if len(covered) else (depth.min(), depth.max())
    closeness = ((far - depth) / (far - near).clamp(min=1e-6)).clamp(0, 1)
    rgb = colormaps["viridis"](closeness[:, 0].double().cpu().numpy())[..., :3]
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).to(depth)


def _over_white(colour: Tensor, rendering: Rendering3D) -> Tensor:
    return 1 - rendering.opacity.detach() * (1 - colour)


def plain_trimesh(mesh: Mesh, colours: np.ndarray | None = None) -> Any:
    """Returns a mesh as one of trimesh, without colours unless given; ValueError if trimesh is missing."""
    return import_trimesh().Trimesh(
        mesh.vertices.detach().cpu().numpy(), mesh.faces.cpu().numpy(), vertex_colors=colours, process=False
    )


def coloured_trimesh(mesh: Mesh) -> Any:
    """Returns a mesh as one of trimesh, sRGB colours in 8 bits; ValueError if trimesh is missing."""
    return plain_trimesh(mesh, (mesh.colours.detach().float().cpu() * 255).round().byte().numpy())


def _unlit(tree: dict[str, Any]) -> None:
    """Renames the colour attribute to glTF's COLOR_0 and sets the unlit material."""
    (primitive,) = tree["meshes"][0]["primitives"]
    primitive["attributes"]["COLOR_0"] = primitive["attributes"].pop(_COLOUR_ATTRIBUTE)
    primitive["material"] = 0
    matte = {"baseColorFactor": [1.0, 1.0, 1.0, 1.0], "metallicFactor": 0.0, "roughnessFactor": 1.0}
    tree["materials"] = [{"pbrMetallicRoughness": matte, "doubleSided": True}]
    set_unlit(tree, tree["materials"][0])


def set_unlit(tree: dict[str, Any], material: dict[str, Any]) -> None:
    """Makes a material of a glTF file unlit: its colours are shown as they are, with the shading baked into them."""
    unlit = {"KHR_materials_unlit": {}}
    material["extensions"] = unlit
    tree["extensionsUsed"] = sorted({*tree.get("extensionsUsed", ()), *unlit})
