"""PLY files of Gaussian splats, as viewers and other splat programs read and write them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.splats.starts import StartingSplats

SH_0 = 0.28209479177387814  # of degree 0: color = 0.5 + SH_0 f_dc
_NAMES = (
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)
_NEEDED = tuple(name for name in _NAMES if name[0] != "n")
_TYPES = {"float": "<f4", "float32": "<f4", "double": "<f8", "float64": "<f8", "uchar": "u1", "uint8": "u1"}
_TURN = torch.tensor([-1.0, -1.0, 1.0])  # of positions by 180 degrees about z
_MARGIN = 1e-6  # smallest distance of an opacity from 0 and 1, whose logits are infinite


def encode_splats(splats: StartingSplats) -> bytes:
    """Encodes splats as a binary PLY file: y down, front face +z, 17 floats a splat.

    Files of 3D Gaussian splatting have the axes of their cameras, and viewers turn them by 180 degrees about z; other
    files of modeseek have y up. Opacities are logits, scales logarithms, rotations quaternions w x y z, colours
    `f_dc = (color - 0.5) / 0.28209479`, normals 0: what SuperSplat, PlayCanvas, Spark and the viewers of 3D Gaussian
    splatting read.
    """
    table = torch.cat(
        [
            splats.means * _TURN.to(splats.means),
            torch.zeros_like(splats.means),
            (splats.colors - 0.5) / SH_0,
            splats.opacities.clamp(_MARGIN, 1 - _MARGIN).logit()[:, None],
            splats.scales.log(),
            _turned(splats.quats, 1.0),
        ],
        1,
    )
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}"]
    header = "\n".join([*lines, *(f"property float {name}" for name in _NAMES), "end_header", ""])
    return header.encode("ascii") + table.detach().cpu().numpy().astype("<f4").tobytes()


def read_splats(path: str | os.PathLike[str]) -> StartingSplats:
    """Reads the splats of a PLY file with y down, float32 on the CPU, y up.

    Colours that depend on the direction lose that part.

    Raises:
        OSError: the file cannot be read.
        ValueError: no binary little-endian PLY file of splats, a truncated one, or values that are not finite.
    """
    data = Path(path).read_bytes()
    end = data.find(b"end_header\n")
    lines = data[: max(end, 0)].decode("ascii", "replace").split("\n")
    if not data.startswith(b"ply\n") or end < 0 or "format binary_little_endian 1.0" not in lines:
        raise ValueError(f"splats must be a binary little-endian PLY file, got {path}; try a file of modeseek export")
    n, fields = _vertex_fields(lines, path)
    dtype = np.dtype([(name, kind) for name, kind in fields])
    body = data[end + len(b"end_header\n") :]
    missing = [name for name in _NEEDED if name not in dict(fields)]
    if missing:
        raise ValueError(f"a PLY file of splats must have {', '.join(_NEEDED)}, got {path} without {missing[0]}")
    if len(body) < n * dtype.itemsize:
        raise ValueError(f"{path} must have {n} splats of {dtype.itemsize} bytes, got {len(body)} bytes in all")
    rows = np.frombuffer(body, dtype, n)
    columns = torch.from_numpy(np.stack([rows[name].astype(np.float32) for name in _NEEDED], 1))
    if not columns.isfinite().all():
        raise ValueError(
            f"splats must be finite, got {path} with {int((~columns.isfinite()).any(1).sum())} that are not"
        )
    means, colors, logits, scales, quats = columns.split([3, 3, 1, 3, 4], 1)
    return StartingSplats(
        means * _TURN,
        _turned(torch.nn.functional.normalize(quats, dim=1), -1.0),
        scales.exp(),
        logits[:, 0].sigmoid(),
        (0.5 + SH_0 * colors).clamp(0, 1),
    )


def _turned(quats: Float[Tensor, "n 4"], sign: float) -> Float[Tensor, "n 4"]:
    """Rotations followed by one of 180 degrees about z, clockwise (-1) or not (1)."""
    w, x, y, z = quats.unbind(1)
    return sign * torch.stack([-z, -y, x, w], 1)


def _vertex_fields(lines: list[str], path: object) -> tuple[int, list[tuple[str, str]]]:
    """Number of vertices, and name and NumPy type of each of their properties, from a header."""
    elements = [i for i, line in enumerate(lines) if line.startswith("element ")]
    if not elements or not lines[elements[0]].startswith("element vertex "):
        raise ValueError(f"a PLY file of splats must begin with its vertices, got {path}")
    following = elements[1] if elements[1:] else len(lines)
    fields = []
    for line in lines[elements[0] + 1 : following]:
        words = line.split()
        if words[:1] != ["property"]:
            continue
        if len(words) != 3 or words[1] not in _TYPES:
            raise ValueError(f"properties of splats must be single numbers, got {line!r} in {path}")
        fields.append((words[2], _TYPES[words[1]]))
    count = lines[elements[0]].split()[-1]
    if not count.isdigit() or int(count) < 1:
        raise ValueError(f"a PLY file of splats must have at least one, got {count} in {path}")
    return int(count), fields
