"""Reader of transforms.json, the photographs with poses of nerfstudio, instant-ngp and the synthetic NeRF data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.captures.capture import Capture, PosedPhotograph
from modeseek.datasets.captures.lens import Lens
from modeseek.io.errors import reason
from modeseek.io.image_files import image_file_size

_MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
_TOLERANCE = 1e-3  # of the rotation of a pose


def read_transforms(path: Path) -> Capture:
    """Reads a transforms.json.

    Each frame has `file_path` and `transform_matrix`, from OpenGL's camera axes (x to the right, y up, z backwards) to
    the world. The lens is `fl_x, fl_y, cx, cy, w, h` with `k1` to `k4`, `p1` and `p2`, or `camera_angle_x` alone, of
    the file or of a frame. `mask_path` is black where a photograph does not count. A path without an ending is a PNG,
    and all are relative to the file.

    Raises:
        ValueError: the file is damaged or has no frame, a pose is no rotation, a lens lacks its focal length or is not
            perspective.
        OSError: a file cannot be read.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        frames = [dict(frame) for frame in table["frames"]]
        shared = {key: value for key, value in table.items() if key != "frames"}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        text = f"no {error}" if isinstance(error, KeyError) else reason(error)
        raise ValueError(
            f"{path} must be a transforms.json of nerfstudio, JSON with a list of frames, got {text}"
        ) from error
    if not frames:
        raise ValueError(f"{path} must have one frame or more, got none")
    return Capture(path, tuple(_photograph(path, k, shared | frame) for k, frame in enumerate(frames)))


def _photograph(path: Path, index: int, frame: Mapping[str, Any]) -> PosedPhotograph:
    name = f"frame {index} of {path}"
    try:
        file = path.parent / frame["file_path"]
        mask = path.parent / frame["mask_path"] if frame.get("mask_path") else None
        matrix = torch.tensor(frame["transform_matrix"], dtype=torch.float64)
    except (TypeError, ValueError, KeyError) as error:
        text = f"no {error}" if isinstance(error, KeyError) else reason(error)
        raise ValueError(f"{name} must have a file_path and a transform_matrix of numbers, got {text}") from error
    if not file.suffix:
        file = file.with_suffix(".png")
    rotation, position = _pose(name, matrix)
    return PosedPhotograph(file, mask, _lens(name, frame, file), rotation, position)


def _pose(name: str, matrix: Tensor) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "3"]]:
    """Axes right, down and forward as columns, and position, of a matrix in OpenGL's axes."""
    if matrix.shape not in ((4, 4), (3, 4)) or not matrix.isfinite().all():
        raise ValueError(f"transform_matrix of {name} must be 4 x 4 finite numbers, got shape {tuple(matrix.shape)}")
    rotation = matrix[:3, :3]
    error = (rotation.T @ rotation - torch.eye(3, dtype=matrix.dtype)).abs().max().item()
    if error > _TOLERANCE or torch.linalg.det(rotation) < 0:
        raise ValueError(
            f"transform_matrix of {name} must be a rotation and a position, got axes that are no rotation (off by "
            f"{error:.2g}); try a pose without a scale"
        )
    return rotation * torch.tensor([1.0, -1.0, -1.0], dtype=matrix.dtype), matrix[:3, 3]


def _lens(name: str, frame: Mapping[str, Any], file: Path) -> Lens:
    model = frame.get("camera_model", "OPENCV")
    if model not in _MODELS:
        raise ValueError(
            f"camera_model of {name} must be perspective ({', '.join(_MODELS)}), got {model!r:.40}; "
            "try undistorted images"
        )
    if "w" in frame and "h" in frame:
        width, height = frame["w"], frame["h"]
    else:
        height, width = image_file_size(file)
    try:
        if "fl_x" in frame:
            focal = float(frame["fl_x"])
        else:
            focal = width / (2 * math.tan(frame["camera_angle_x"] / 2))
        return Lens(
            int(width),
            int(height),
            (focal, float(frame.get("fl_y", focal))),
            (float(frame.get("cx", width / 2)), float(frame.get("cy", height / 2))),
            (*(float(frame.get(key, 0)) for key in ("k1", "k2", "k3", "k4")),),  # pyright: ignore[reportArgumentType]
            (float(frame.get("p1", 0)), float(frame.get("p2", 0))),
        )
    except KeyError as error:
        raise ValueError(f"{name} must have a focal length, fl_x or camera_angle_x, got neither") from error
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"the lens of {name} must be numbers, got {reason(error)}") from error
