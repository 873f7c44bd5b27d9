"""Mesh files of every format, in memory: GLB, OBJ, PLY and STL, with vertex colours or a texture."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from modeseek.generators.export import coloured_trimesh, encode_glb, encode_ply, plain_trimesh, set_unlit
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.read import import_trimesh
from modeseek.generators.mesh.texture import TexturedMesh
from modeseek.io.images import encode_png, to_pixels

MeshFormat = Literal["glb", "obj", "ply", "stl"]
MESH_FORMATS: tuple[MeshFormat, ...] = get_args(MeshFormat)
TEXTURED: tuple[MeshFormat, ...] = ("glb", "obj")


def encode_mesh(mesh: Mesh, form: MeshFormat, name: str = "mesh") -> dict[str, bytes]:
    """Returns the files of a mesh with vertex colours, the mesh file last.

    GLB: linear colours, unlit. OBJ: sRGB colours after each position, which MeshLab and Blender read. PLY: sRGB colours
    in 8 bits. STL: the shape alone.

    Args:
        mesh: mesh to encode.
        form: format.
        name: name of the files without suffix.

    Raises:
        ValueError: trimesh is missing.
    """
    encoders = {"glb": encode_glb, "obj": _encode_obj, "ply": encode_ply, "stl": _encode_stl}
    return {f"{name}.{form}": encoders[form](mesh)}


def encode_textured(mesh: TexturedMesh, form: MeshFormat, name: str = "mesh") -> dict[str, bytes]:
    """Returns the files of a mesh with a texture, the mesh file last: one GLB, or PNG, MTL and OBJ.

    Args:
        mesh: mesh to encode.
        form: format, glb or obj.
        name: name of the files without suffix.

    Raises:
        ValueError: a format without textures, or trimesh is missing.
    """
    check_textured(form)
    if form == "glb":
        model = _textured_trimesh(mesh)
        return {f"{name}.glb": model.export(file_type="glb", tree_postprocessor=_unlit_texture, include_normals=True)}
    text = _obj_text(mesh, name)
    material = f"newmtl {name}\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {name}.png\n"
    return {
        f"{name}.png": encode_png(mesh.image),
        f"{name}.mtl": material.encode(),
        f"{name}.obj": text.encode(),
    }


def check_textured(form: MeshFormat) -> None:
    """Raises ValueError if a format cannot hold a texture."""
    if form not in TEXTURED:
        raise ValueError(f"a texture needs the format glb or obj, got {form}; remove --texture for vertex colours")


def _encode_obj(mesh: Mesh) -> bytes:
    return coloured_trimesh(mesh).export(file_type="obj", include_normals=True).encode()


def _encode_stl(mesh: Mesh) -> bytes:
    return plain_trimesh(mesh).export(file_type="stl")


def _textured_trimesh(mesh: TexturedMesh) -> Any:
    from PIL import Image

    trimesh = import_trimesh()
    (pixels,) = to_pixels(mesh.image[None])
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.fromarray(pixels), metallicFactor=0.0, roughnessFactor=1.0, doubleSided=True
    )
    return trimesh.Trimesh(
        mesh.mesh.vertices.detach().cpu().numpy(),
        mesh.mesh.faces.cpu().numpy(),
        vertex_normals=mesh.normals.detach().cpu().numpy(),
        visual=trimesh.visual.TextureVisuals(uv=mesh.uv.cpu().numpy(), material=material),
        process=False,
    )


def _unlit_texture(tree: dict[str, Any]) -> None:
    set_unlit(tree, tree["materials"][0])


def _obj_text(mesh: TexturedMesh, name: str) -> str:
    """OBJ with one index for position, texture coordinate and normal of a corner."""
    rows = [f"mtllib {name}.mtl", f"usemtl {name}"]
    arrays = {"v": mesh.mesh.vertices, "vt": mesh.uv, "vn": mesh.normals}
    for keyword, values in arrays.items():
        rows += [f"{keyword} " + " ".join(f"{x:.7g}" for x in row) for row in values.detach().cpu().tolist()]
    corners = np.char.mod("%d", mesh.mesh.faces.cpu().numpy() + 1)
    rows += ["f " + " ".join(f"{k}/{k}/{k}" for k in row) for row in corners.tolist()]
    return "\n".join(rows) + "\n"
