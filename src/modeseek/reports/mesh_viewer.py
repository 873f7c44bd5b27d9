"""Interactive mesh viewer for HTML pages: inlined mesh data, drawn with WebGL by `mesh_viewer.js`."""

from __future__ import annotations

import base64
import io
from functools import cache
from importlib.resources import files

import numpy as np
import torch

from modeseek.generators.camera import Cameras
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.surface import Surface
from modeseek.reports.html import data_uri, safe

MOST_FACES = 150_000
"""Maximum number of faces; more would make a page of several megabytes."""
_SIDE = 384  # of the still image, pixels

CSS = """
.model .stage { max-width: 640px; margin: 0 auto; aspect-ratio: 1; max-height: 76vh; border-radius: 8px;
  overflow: hidden;
  background: radial-gradient(circle, color-mix(in srgb, var(--card), var(--ink) 16%), var(--card) 72%); }
.model canvas { display: block; width: 100%; height: 100%; cursor: grab; touch-action: pan-y; outline-offset: -3px; }
.model canvas:active { cursor: grabbing; } .model img { width: 100%; height: 100%; object-fit: contain; }
.model [hidden] { display: none !important; }
.model .tools { display: flex; flex-wrap: wrap; align-items: center; justify-content: center; gap: 8px;
  margin-top: 12px; }
.model button { min-height: 34px; padding: 0 14px; border: 1.5px solid var(--line); border-radius: 99px;
  cursor: pointer; font: inherit; font-size: .9rem; color: var(--ink); background: var(--card); }
.model button[aria-pressed=true] { border-color: var(--mark); color: var(--mark); font-weight: 600; }
.model output { min-width: 15em; color: var(--soft); font-size: .86rem; font-variant-numeric: tabular-nums; }
"""


@cache
def script() -> str:
    """JavaScript for `html.page`, for pages with mesh viewers; another script may follow it."""
    return files("modeseek.reports").joinpath("mesh_viewer.js").read_text(encoding="utf-8")


def model_view(mesh: Mesh, name: str, still: bytes | None = None) -> str:
    """A figure with the mesh, rotated by mouse, finger or arrow keys; a still image without WebGL or scripts.

    The page needs `CSS` in its style (or `styled`) and `script()`. The mesh rotates by itself unless the reader's
    system prefers reduced motion, and stops at a touch.

    Args:
        mesh: mesh with at most `MOST_FACES` faces.
        name: name of the object, for the caption and for screen readers.
        still: PNG of the still image; None renders one.

    Raises:
        ValueError: the mesh is too large for a page.
    """
    if len(mesh.faces) > MOST_FACES:
        raise ValueError(
            f"a mesh must have at most {MOST_FACES:,} faces, got {len(mesh.faces):,}; try extracting on a coarser grid"
        )
    colours = mesh.colours.detach().double().cpu().numpy() * 255
    data = {
        "places": _text(mesh.vertices.detach().cpu().numpy().astype("<f4")),
        "colours": _text(np.round(colours).astype(np.uint8)),
        "faces": _text(mesh.faces.cpu().numpy().astype("<u4")),
    }
    attributes = " ".join(f"data-{key}='{value}'" for key, value in data.items())
    image = data_uri(render_still(mesh) if still is None else still, "image/png")
    tools = "".join(
        f"<button type='button' data-do='{key}'{pressed}>{text}</button>"
        for key, pressed, text in (
            ("turn", " aria-pressed='false'", "Turn"),
            ("light", " aria-pressed='true'", "Light"),
            ("shape", " aria-pressed='false'", "Shape only"),
            ("home", "", "First view"),
        )
    )
    return (
        f"<figure class='model' {attributes}><div class='stage'>"
        f"<img src='{image}' width='{_SIDE}' height='{_SIDE}' alt='{safe(name)}'>"
        f"<canvas hidden tabindex='0' role='application' aria-label='{safe(name)}: 3D model; rotate with the arrow "
        "keys, zoom with plus and minus, Home for the first view, Space for automatic rotation'></canvas></div>"
        f"<div class='tools' hidden>{tools}<output aria-live='off'></output></div>"
        f"<figcaption>{safe(name)}, {len(mesh.faces):,} faces. <span class='how' hidden>Drag or use the arrow keys to "
        "rotate; pinch, + and −, or the wheel after a click to zoom.</span><span class='nothing' hidden>This browser "
        "has no WebGL: a still image is shown instead.</span></figcaption></figure>"
    )


def styled(figure: str) -> str:
    """The figure with its own style element, for pages whose style sheet does not include `CSS`."""
    return f"<style>{CSS}</style>{figure}"


def render_still(mesh: Mesh, size: int = _SIDE) -> bytes:
    """PNG of the mesh on white, from the viewer's first camera: azimuth 30, elevation 20 degrees.

    Args:
        mesh: mesh to render.
        size: side of the image, pixels.
    """
    from PIL import Image

    middle = (mesh.vertices.amax(0) + mesh.vertices.amin(0)) / 2
    centred = Mesh(mesh.vertices.detach() - middle, mesh.faces, mesh.colours.detach())
    radius = centred.vertices.norm(dim=-1).max()
    distance = 1.08 * radius / torch.tensor(20.0).deg2rad().sin().to(radius)
    azimuth, elevation, fov = (torch.tensor([value]).to(distance) for value in (30.0, 20.0, 40.0))
    surface = Surface(centred, size=size)
    with torch.no_grad():
        image = surface(surface.view_from(Cameras(azimuth, elevation, distance[None], fov))).image[0]
    pixels = (image.float().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
