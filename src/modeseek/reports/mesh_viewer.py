"""Interactive mesh viewer of HTML pages: inlined mesh data, drawn with WebGL by `templates/mesh_viewer.js`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.render import render_still

MOST_FACES = 150_000
"""Maximum number of faces; more would make a page of several megabytes."""
_SIDE = 384  # of the still image, pixels


@dataclass(frozen=True)
class MeshView:
    """Content of `templates/model.html.j2`; the page needs the script `mesh_viewer`.

    The mesh rotates by itself unless the reader's system prefers reduced motion, and stops at a touch.

    Attributes:
        name: name of the object, for the caption and for screen readers.
        n_faces: number of faces.
        arrays: vertices, colours and faces in base64, by the key that the script reads.
        still: PNG that is shown without WebGL or scripts.
        side: side of the still image, pixels.
    """

    name: str
    n_faces: int
    arrays: Mapping[str, str]
    still: bytes
    side: int = _SIDE

    @classmethod
    def of(cls, mesh: Mesh, name: str) -> MeshView:
        """The view of a mesh.

        Raises:
            ValueError: the mesh has more than `MOST_FACES` faces.
        """
        if len(mesh.faces) > MOST_FACES:
            raise ValueError(
                f"a mesh must have at most {MOST_FACES:,} faces, got {len(mesh.faces):,}; try extracting on a coarser "
                "grid"
            )
        colours = mesh.colours.detach().double().cpu().numpy() * 255
        arrays = {
            "places": _encode(mesh.vertices.detach().cpu().numpy().astype("<f4")),
            "colours": _encode(np.round(colours).astype(np.uint8)),
            "faces": _encode(mesh.faces.cpu().numpy().astype("<u4")),
        }
        return cls(name, len(mesh.faces), arrays, render_still(mesh))


def _encode(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
