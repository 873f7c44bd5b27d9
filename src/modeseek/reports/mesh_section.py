"""The part of a run's page that shows a thing: its model to turn, its turntable, its depth and normals."""

from __future__ import annotations

from pathlib import Path

import torch

from modeseek.generators.mesh.read import read_mesh
from modeseek.reports.html import small
from modeseek.reports.mesh_viewer import MOST_FACES, model_view, script, styled
from modeseek.reports.preview_images import media_figure

_MESH = Path("exports") / "mesh.ply"


def object_section(run: Path, name: str) -> str:
    """The model, the turntable and the strips of a run's folder; empty where it made no thing.

    Raises:
        ValueError: the mesh is damaged, or too large for a page.
        OSError: a file cannot be read.
    """
    turned = run / "media" / "turntable.gif"
    if not turned.exists():
        return ""
    parts: list[str] = []
    if (run / _MESH).exists():
        mesh = read_mesh(run / _MESH, torch.empty(0))
        parts.append(
            styled(model_view(mesh, name))
            if len(mesh.faces) <= MOST_FACES
            else small(f"The mesh has {len(mesh.faces):,} faces, too many for a page: open {_MESH}.")
        )
    else:
        parts.append(small("It has no surface that a mesh could follow; log.txt says why."))
    parts.append(media_figure(turned, "From all sides"))
    parts.append(
        media_figure(run / "media" / "sides.png", "Picture, depth (near is bright) and normals from six sides")
    )
    return "".join(parts)


def scripts(run: Path, usual: str) -> str:
    """The page's scripts."""
    return f"{script()}\n{usual}" if (run / _MESH).exists() else usual
