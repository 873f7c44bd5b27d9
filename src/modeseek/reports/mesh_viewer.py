"""Interactive mesh viewer of HTML pages: inlined mesh data, drawn with WebGL by `templates/mesh_viewer.js`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.render import render_still
from modeseek.generators.mesh.texture import TexturedMesh
from modeseek.io.images import encode_webp

MOST_FACES = 150_000
"""Maximum number of faces; more would make a page of several megabytes."""
_SIDE = 384  # of the still image, pixels
_LEVELS = 2**16 - 1


@dataclass(frozen=True)
class MeshView:
    """Content of `templates/model.html.j2`; the page needs the scripts `mesh_viewer` and `model_viewer`.

    The mesh rotates by itself unless the reader's system prefers reduced motion, and stops at a touch.

    Attributes:
        name: name of the object, for the caption and for screen readers.
        n_faces: number of faces.
        arrays: in base64, by the key that the script reads: vertices as whole numbers of 16 bits between the two
            corners of their bounding box, these corners as 32-bit floats, colours of 8 bits, and faces of 16 bits if
            there are at most 65,536 vertices, else of 32. With a texture: no colours, but texture coordinates of 16
            bits, normals of 8, and the image as WebP.
        still: PNG that is shown without WebGL or scripts.
        side: side of the still image, pixels.
    """

    name: str
    n_faces: int
    arrays: Mapping[str, str]
    still: bytes
    side: int = _SIDE
    kind: ClassVar[str] = "mesh"

    @property
    def size(self) -> str:
        """Number of faces, in words."""
        return f"{self.n_faces:,} faces"

    @classmethod
    def of(cls, mesh: Mesh, name: str) -> MeshView:
        """The view of a mesh with vertex colours.

        Raises:
            ValueError: the mesh has more than `MOST_FACES` faces.
        """
        colours = mesh.colours.detach().double().cpu().numpy() * 255
        arrays = _encode_shape(mesh) | {"colours": encode_array(np.round(colours).astype(np.uint8))}
        return cls(name, len(mesh.faces), arrays, render_still(mesh))

    @classmethod
    def of_textured(cls, textured: TexturedMesh, name: str) -> MeshView:
        """The view of a mesh with a texture.

        Raises:
            ValueError: the mesh has more than `MOST_FACES` faces.
        """
        normals = np.round(textured.normals.detach().double().cpu().numpy() * 127)
        uv = np.round(textured.uv.detach().double().cpu().numpy().clip(0, 1) * _LEVELS)
        arrays = _encode_shape(textured.mesh) | {
            "normals": encode_array(normals.astype(np.int8)),
            "uv": encode_array(uv.astype("<u2")),
            "texture": base64.b64encode(encode_webp(textured.image)).decode("ascii"),
        }
        still = render_still(textured.mesh, colours=textured.colours)
        return cls(name, len(textured.mesh.faces), arrays, still)


def _encode_shape(mesh: Mesh) -> dict[str, str]:
    """Positions and faces of a mesh; ValueError for too many faces."""
    if len(mesh.faces) > MOST_FACES:
        raise ValueError(
            f"a mesh must have at most {MOST_FACES:,} faces, got {len(mesh.faces):,}; try extracting on a coarser grid"
        )
    indices = "<u2" if len(mesh.vertices) <= _LEVELS + 1 else "<u4"
    places = encode_places(mesh.vertices.detach().double().cpu().numpy())
    return places | {"faces": encode_array(mesh.faces.cpu().numpy().astype(indices))}


def encode_array(values: np.ndarray) -> str:
    """Base64 of the bytes of an array."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def encode_places(places: np.ndarray) -> dict[str, str]:
    """Points, (n, 3), as whole numbers of 16 bits between the corners of their bounding box, and the corners."""
    low, high = places.min(0), places.max(0)
    steps = (places - low) / np.where(high > low, high - low, 1) * _LEVELS
    return {
        "places": encode_array(np.round(steps).astype("<u2")),
        "corners": encode_array(np.stack([low, high]).astype("<f4")),
    }
