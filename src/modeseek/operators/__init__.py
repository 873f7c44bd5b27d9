"""Linear operators of measurements: mask, blur, down-sampling, matrices, functions, and those of other libraries."""

from __future__ import annotations

from modeseek.operators.base import Operator, check_adjoint
from modeseek.operators.blur import Blur
from modeseek.operators.downsample import Downsample
from modeseek.operators.linear import Composition, Linear, Matrix, Physics
from modeseek.operators.mask import Mask

__all__ = ["Blur", "Composition", "Downsample", "Linear", "Mask", "Matrix", "Operator", "Physics", "check_adjoint"]
