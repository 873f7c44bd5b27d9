"""What other programs open: meshes as GLB, PLY and OBJ, turntables as GIF, strips of depth and normals. All in memory.

An image's pixels, and a mesh's colours, are what a screen is sent: sRGB. PLY and OBJ keep them so, as programs expect.
glTF says that vertex colours are linear light, so `glb` writes them linear, in 32-bit floats, for 8 bits would leave a
dark colour a handful of steps. Light and shade are already in the colours: the GLB asks that no more be added
(KHR_materials_unlit); programs that do not know that see a matt, two-sided material.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.rendering3d import Rendering3D

_CARRIED = "_COLOUR"  # trimesh writes own attributes as they are, its colours in 8 bits


def encode_glb(mesh: Mesh) -> bytes:
    """The mesh as one binary glTF 2.0 file, y up, front +z, colours linear.

    Raises:
        ValueError: trimesh is missing.
    """
    built = _trimesh(mesh)
    built.vertex_attributes[_CARRIED] = srgb_to_linear(mesh.colours.detach().double().cpu()).numpy().astype(np.float32)
    return built.export(file_type="glb", tree_postprocessor=_unlit, include_normals=True)


def encode_ply(mesh: Mesh) -> bytes:
    """The mesh as a binary PLY, colours sRGB in 8 bits.

    Raises:
        ValueError: trimesh is missing.
    """
    return _coloured(mesh).export(file_type="ply", vertex_normal=False)


def encode_obj(mesh: Mesh) -> bytes:
    """The mesh as an OBJ, colours sRGB behind the places of the vertices.

    Raises:
        ValueError: trimesh is missing.
    """
    return _coloured(mesh).export(file_type="obj", include_normals=False).encode("ascii")


def srgb_to_linear(colour: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Light of an sRGB value, both in [0, 1] (IEC 61966-2-1)."""
    return torch.where(colour <= 0.04045, colour / 12.92, ((colour.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def encode_gif(frames: Float[Tensor, "n c h w"], seconds: float = 4.0) -> bytes:
    """Frames, clipped to [0, 1], as a GIF without end, one palette of 256 colours a frame.

    Args:
        frames: at least one; c is 1 or 3.
        seconds: of all of them. GIF counts in hundredths, at least two a frame.

    Raises:
        ValueError: no frames, or no time.
    """
    from PIL import Image

    if not len(frames) or not 0 < seconds < float("inf"):
        raise ValueError(f"a GIF needs frames and a time: got {len(frames)} and {seconds} seconds; mend them")
    ends = [round(100 * seconds * (k + 1) / len(frames)) for k in range(len(frames))]
    lasting = [10 * max(2, end - begin) for begin, end in zip([0, *ends], ends, strict=False)]
    pictures = [Image.fromarray(pixels) for pixels in _bytes(frames)]
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=lasting, loop=0, disposal=2)
    return out.getvalue()


def encode_pngs(frames: Float[Tensor, "n c h w"]) -> list[bytes]:
    """Frames, clipped to [0, 1], as PNGs: what `runs.film.mp4` takes. c is 1 or 3."""
    from PIL import Image

    files: list[bytes] = []
    for pixels in _bytes(frames):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        files.append(out.getvalue())
    return files


def depth_normal_strips(solid: Rendering3D) -> Float[Tensor, "b 3 h w_all"]:
    """Image, depth and normal side by side, [0, 1]; the normal is left out where it was not rendered.

    Depth is bright where it is near, in the even steps of viridis, on one scale for the whole batch; normals
    are (x, y, z) / 2 + 1/2 as red, green, blue, in world axes. Both lie on white as far as the pixel is background.
    """
    shown = [solid.image.detach(), _over_white(depth_colours(solid.depth.detach(), solid.opacity.detach()), solid)]
    if solid.normal is not None:
        normal = torch.nn.functional.normalize(solid.normal.detach(), dim=1)
        shown.append(_over_white(normal / 2 + 0.5, solid))
    return torch.cat(shown, -1).clamp(0, 1)


def depth_colours(depth: Float[Tensor, "b 1 h w"], opacity: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Depth in viridis, nearest brightest; from the nearest to the farthest of all pixels at least half covered."""
    from matplotlib import colormaps

    there = depth[opacity >= 0.5]
    near, far = (there.min(), there.max()) if len(there) else (depth.min(), depth.max())
    share = ((far - depth) / (far - near).clamp(min=1e-6)).clamp(0, 1)
    rgb = colormaps["viridis"](share[:, 0].double().cpu().numpy())[..., :3]
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).to(depth)


def _over_white(colour: Tensor, solid: Rendering3D) -> Tensor:
    return 1 - solid.opacity.detach() * (1 - colour)


def _bytes(frames: Tensor) -> Sequence[np.ndarray]:
    pixels = (frames.detach().float().cpu().clamp(0, 1) * 255).round().byte()
    if pixels.shape[1] not in (1, 3):
        raise ValueError(f"pictures have 1 or 3 channels: got {pixels.shape[1]}; choose which to show")
    return list(pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy())


def _trimesh(mesh: Mesh, colours: np.ndarray | None = None) -> Any:
    if find_spec("trimesh") is None:
        raise ValueError("a mesh file needs the package trimesh: got none; pip install 'modeseek[mesh]'")
    import trimesh

    return trimesh.Trimesh(
        mesh.vertices.detach().cpu().numpy(), mesh.faces.cpu().numpy(), vertex_colors=colours, process=False
    )


def _coloured(mesh: Mesh) -> Any:
    return _trimesh(mesh, (mesh.colours.detach().float().cpu() * 255).round().byte().numpy())


def _unlit(tree: dict[str, Any]) -> None:
    """Names the carried attribute as glTF's colour and gives the mesh its material."""
    (part,) = tree["meshes"][0]["primitives"]
    part["attributes"]["COLOR_0"] = part["attributes"].pop(_CARRIED)
    part["material"] = 0
    matt = {"baseColorFactor": [1.0, 1.0, 1.0, 1.0], "metallicFactor": 0.0, "roughnessFactor": 1.0}
    unlit = {"KHR_materials_unlit": {}}
    tree["materials"] = [{"pbrMetallicRoughness": matt, "doubleSided": True, "extensions": unlit}]
    tree["extensionsUsed"] = sorted({*tree.get("extensionsUsed", ()), *unlit})
