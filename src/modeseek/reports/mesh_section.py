"""Section of a run's page for 3D generators: interactive mesh and splats, turntable, depth and normals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from modeseek.generators.mesh.read import read_mesh, read_textured
from modeseek.generators.splats.ply import read_splats
from modeseek.reports.mesh_viewer import MOST_FACES, MeshView
from modeseek.reports.page import read_script
from modeseek.reports.preview_images import Media, read_film, read_media
from modeseek.reports.splat_viewer import MOST_SPLATS, SplatView

_MESH, _SPLATS = Path("exports") / "mesh.ply", Path("exports") / "splats.ply"
_TEXTURED = Path("exports") / "textured.glb"


@dataclass(frozen=True)
class ObjectSection:
    """Content of the section.

    Attributes:
        model: the mesh; None if there is none, or it is too large.
        no_model: why there is no model.
        turntable: turntable film; None if missing.
        sides: images of six sides; None if missing.
        splats: the Gaussian splats; None of other generators, or if they are too many.
    """

    model: MeshView | None
    no_model: str
    turntable: Media | None
    sides: Media | None
    splats: SplatView | None = None


def read_object(run: Path, name: str) -> ObjectSection | None:
    """Mesh with its texture, splats, turntable and image strips in the folder of a run; None if it is not 3D.

    Args:
        run: folder of the run.
        name: name of the object, for captions.

    Raises:
        ValueError: the mesh or the splats are damaged.
        OSError: a file cannot be read.
    """
    turntable, sides = read_film(run / "media", "turntable"), read_media(run / "media" / "sides.png")
    if turntable is None and sides is None:
        return None
    model, reason = None, "No mesh could be extracted; log.txt gives the reason."
    if (run / _TEXTURED).exists():
        textured = read_textured(run / _TEXTURED)
        reason = f"The mesh has {len(textured.mesh.faces):,} faces, too many for a page: open {_TEXTURED}."
        model = MeshView.of_textured(textured, name) if len(textured.mesh.faces) <= MOST_FACES else None
    elif (run / _MESH).exists():
        mesh = read_mesh(run / _MESH, torch.empty(0))
        reason = f"The mesh has {len(mesh.faces):,} faces, too many for a page: open {_MESH}."
        model = MeshView.of(mesh, name) if len(mesh.faces) <= MOST_FACES else None
    splats = read_splats(run / _SPLATS) if (run / _SPLATS).exists() else None
    shown = None if splats is None or len(splats.means) > MOST_SPLATS else SplatView.of(splats, name)
    return ObjectSection(model, reason, turntable, sides, shown)


def scripts(run: Path) -> str:
    """Script of the page: viewers of the mesh and the splats if there are any, slider, tooltips, curves and films."""
    models = [name for name, file in (("mesh_viewer", _MESH), ("splat_viewer", _SPLATS)) if (run / file).exists()]
    names = [*models, *(["model_viewer"] if models else []), "slider", "terms", "curves", "films"]
    return "\n".join(map(read_script, names))
