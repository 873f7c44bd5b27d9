"""GLB files of Gaussian splats, with the glTF extension KHR_gaussian_splatting."""

from __future__ import annotations

import json
import struct

import torch
from torch import Tensor

from modeseek.generators.export import srgb_to_linear
from modeseek.generators.splats.ply import SH_0
from modeseek.generators.splats.starts import StartingSplats

_EXTENSION = "KHR_gaussian_splatting"
_KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}


def encode_glb_splats(splats: StartingSplats) -> bytes:
    """Encodes splats as a binary glTF 2.0 file: y up, front face +z, points with KHR_gaussian_splatting.

    By the ratified text scales are standard deviations (its review drafts had logarithms), opacities lie in [0, 1],
    rotations are quaternions x y z w, colours spherical harmonics of degree 0 in sRGB. Programs that do not know the
    extension show points in the colours of COLOR_0, which glTF defines as linear.
    """
    named = {
        "POSITION": splats.means,
        "COLOR_0": torch.cat([srgb_to_linear(splats.colors), splats.opacities[:, None]], 1),
        f"{_EXTENSION}:ROTATION": splats.quats.roll(-1, 1),
        f"{_EXTENSION}:SCALE": splats.scales,
        f"{_EXTENSION}:OPACITY": splats.opacities[:, None],
        f"{_EXTENSION}:SH_DEGREE_0_COEF_0": (splats.colors - 0.5) / SH_0,
    }
    columns = [column.detach().float().cpu() for column in named.values()]
    body = b"".join(column.numpy().astype("<f4").tobytes() for column in columns)
    views, offset = [], 0
    for column in columns:
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": 4 * column.numel(), "target": 34962})
        offset += 4 * column.numel()
    settings = {
        "kernel": "ellipse",
        "colorSpace": "srgb_rec709_display",
        "projection": "perspective",
        "sortingMethod": "cameraDistance",
    }
    tree = {
        "asset": {"version": "2.0", "generator": f"modeseek, {_EXTENSION} with standard deviations as scales"},
        "extensionsUsed": [_EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "splats"}],
        "meshes": [
            {
                "primitives": [
                    {
                        "mode": 0,
                        "attributes": {name: i for i, name in enumerate(named)},
                        "extensions": {_EXTENSION: settings},
                    }
                ]
            }
        ],
        "accessors": [_accessor(i, column) for i, column in enumerate(columns)],
        "bufferViews": views,
        "buffers": [{"byteLength": len(body)}],
    }
    text = json.dumps(tree, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(body), b"BIN\0") + body
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _accessor(index: int, column: Tensor) -> dict[str, object]:
    """Description of one attribute; positions must have bounds."""
    accessor: dict[str, object] = {
        "bufferView": index,
        "componentType": 5126,
        "count": len(column),
        "type": _KINDS[column.shape[1]],
    }
    return accessor | ({"min": column.amin(0).tolist(), "max": column.amax(0).tolist()} if index == 0 else {})
