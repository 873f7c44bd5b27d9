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
from modeseek.io.image_files import stored_image_size

_MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
_FLAGS = ("is_fisheye", "ftheta_p0", "latlong", "equirectangular")  # lenses of instant-ngp that are not perspective
_TOLERANCE = 1e-3  # of the rotation of a pose
_DAMAGED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


def read_transforms(path: Path) -> Capture:
    """Reads a transforms.json.

    Each frame has `file_path` and `transform_matrix`, from OpenGL's camera axes (x to the right, y up, z backwards) to
    the world. The lens is `fl_x, fl_y, cx, cy, w, h` with `k1` to `k4`, `p1` and `p2`, or `camera_angle_x` and
    `camera_angle_y`, of the file or of a frame. `mask_path` is black where a photograph does not count. A path without
    the ending of a file that exists is a PNG, and all are relative to the file.

    Raises:
        ValueError: the file is damaged or has no frame, a pose is no rotation, a lens lacks its focal length or is not
            perspective.
        OSError: a file cannot be read.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8-sig"))
        frames = [dict(frame) for frame in table["frames"]]
        shared = {key: value for key, value in table.items() if key != "frames"}
    except _DAMAGED as error:
        raise ValueError(
            f"{path} must be a transforms.json of nerfstudio, JSON with a list of frames, got {_cause(error)}; "
            "try ns-process-data"
        ) from error
    if not frames:
        raise ValueError(f"{path} must have one frame or more, got none; try ns-process-data")
    return Capture(path, tuple(_photograph(path, k, shared | frame) for k, frame in enumerate(frames)))


def _photograph(path: Path, index: int, frame: Mapping[str, Any]) -> PosedPhotograph:
    name = f"frame {index} of {path}"
    file = _file(name, path.parent, frame.get("file_path"), "file_path")
    mask = _file(name, path.parent, frame["mask_path"], "mask_path") if frame.get("mask_path") else None
    try:
        matrix = torch.tensor(frame["transform_matrix"], dtype=torch.float64)
    except _DAMAGED as error:
        raise ValueError(f"transform_matrix of {name} must be 4 x 4 numbers, got {_cause(error)}") from error
    rotation, position = _pose(name, matrix)
    return PosedPhotograph(file, mask, _lens(name, frame, file), rotation, position)


def _file(name: str, folder: Path, value: object, key: str) -> Path:
    """File of a frame: as written, else with the ending of a PNG, else with slashes for Windows' backslashes."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} of {name} must be the path of an image, got {value!r:.40}; try images/0001.png")
    plain = value.replace("\\", "/")
    choices = [folder / value, folder / f"{value}.png", folder / plain, folder / f"{plain}.png"]
    return next((choice for choice in choices if choice.is_file()), choices[0])


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
    model = next((flag for flag in _FLAGS if frame.get(flag)), frame.get("camera_model", "OPENCV"))
    if model not in _MODELS:
        raise ValueError(
            f"camera_model of {name} must be perspective ({', '.join(_MODELS)}), got {model!r:.40}; "
            "try undistorted images"
        )
    height, width = (frame["h"], frame["w"]) if "w" in frame and "h" in frame else stored_image_size(file)
    try:
        x = _focal(frame, "fl_x", "camera_angle_x", float(width))
        y = _focal(frame, "fl_y", "camera_angle_y", float(height))
        if x is None and y is None:
            raise ValueError("no focal length; try fl_x or camera_angle_x")
        focal = (y if x is None else x, x if y is None else y)
        return Lens(
            int(width),
            int(height),
            focal,  # pyright: ignore[reportArgumentType]  # one of the two is a number
            (float(frame.get("cx", width / 2)), float(frame.get("cy", height / 2))),
            (*(float(frame.get(key, 0)) for key in ("k1", "k2", "k3", "k4")),),  # pyright: ignore[reportArgumentType]
            (float(frame.get("p1", 0)), float(frame.get("p2", 0))),
        )
    except (*_DAMAGED, ZeroDivisionError) as error:
        raise ValueError(f"the lens of {name} must be that of a camera, got {_cause(error)}") from error


def _focal(frame: Mapping[str, Any], length: str, angle: str, size: float) -> float | None:
    """Focal length in pixels, from itself or a field of view in radians; None without both."""
    if length in frame:
        return float(frame[length])
    return size / (2 * math.tan(float(frame[angle]) / 2)) if angle in frame else None


def _cause(error: BaseException) -> str:
    return f"no {error}" if isinstance(error, KeyError) else reason(error)
