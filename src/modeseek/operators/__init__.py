"""Measurements: linear operators (mask, blur, down-sampling, matrices, functions) and the likelihoods of their data."""

from __future__ import annotations

from modeseek.operators.base import Operator, check_adjoint
from modeseek.operators.blur import Blur
from modeseek.operators.data_term import DataTerm
from modeseek.operators.downsample import Downsample
from modeseek.operators.gaussian import GaussianLikelihood
from modeseek.operators.least_squares import LeastSquares
from modeseek.operators.likelihood import Likelihood
from modeseek.operators.linear import Composition, Linear, Matrix, Physics
from modeseek.operators.mask import Mask, RowMask

__all__ = [
    "Blur",
    "check_adjoint",
    "Composition",
    "DataTerm",
    "Downsample",
    "GaussianLikelihood",
    "LeastSquares",
    "Likelihood",
    "Linear",
    "Mask",
    "Matrix",
    "Operator",
    "Physics",
    "RowMask",
]
