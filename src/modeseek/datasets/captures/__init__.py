"""Captures: photographs of an object with the poses and lenses of their cameras, as nerfstudio and COLMAP give them."""

from __future__ import annotations

from modeseek.datasets.captures.capture import Capture, PosedPhotograph
from modeseek.datasets.captures.framing import Framing
from modeseek.datasets.captures.lens import Lens
from modeseek.datasets.captures.rectify import Rectified, rectify
from modeseek.datasets.captures.transforms import read_transforms

__all__ = ["Capture", "Framing", "Lens", "PosedPhotograph", "Rectified", "read_transforms", "rectify"]
