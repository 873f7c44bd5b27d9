"""Section of a run's page for 3D generators: interactive mesh, turntable, depth and normals."""

from __future__ import annotations

from pathlib import Path

import torch

from modeseek.generators.mesh.read import read_mesh
from modeseek.reports.html import small
from modeseek.reports.mesh_viewer import MOST_FACES, model_view, script, styled
from modeseek.reports.preview_images import media_figure

_MESH = Path("exports") / "mesh.ply"


def object_section(run: Path, name: str) -> str:
    """Mesh, turntable and image strips in the folder of a run; empty if its generator is not 3D.

    Args:
        run: folder of the run.
        name: name of the object, for captions.

    Raises:
        ValueError: the mesh is damaged.
        OSError: a file cannot be read.
    """
    turntable = run / "media" / "turntable.gif"
    if not turntable.exists():
        return ""
    figures: list[str] = []
    if (run / _MESH).exists():
        mesh = read_mesh(run / _MESH, torch.empty(0))
        figures.append(
            styled(model_view(mesh, name))
            if len(mesh.faces) <= MOST_FACES
            else small(f"The mesh has {len(mesh.faces):,} faces, too many for a page: open {_MESH}.")
        )
    else:
        figures.append(small("No mesh could be extracted; log.txt gives the reason."))
    figures.append(media_figure(turntable, "Turntable"))
    figures.append(
        media_figure(run / "media" / "sides.png", "Colour, depth (near is bright) and normals from six sides")
    )
    return "".join(figures)


def scripts(run: Path, page_script: str) -> str:
    """Script of the page, preceded by that of the mesh viewer if the run has a mesh."""
    return f"{script()}\n{page_script}" if (run / _MESH).exists() else page_script
