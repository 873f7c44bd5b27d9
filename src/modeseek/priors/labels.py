"""Checks of the data and class labels that priors are made of."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from modeseek.device import on_host

_BLOCK_NUMBERS = 2**22  # numbers per block of data that is checked or copied at once


def check_data(data: Tensor, noun: str) -> None:
    """Raises ValueError unless data are finite floating point (n, *d), n >= 1."""
    if data.ndim < 2 or len(data) == 0 or not data.is_floating_point():
        raise ValueError(
            f"{noun} must be floating point (n, *d), n >= 1, got {tuple(data.shape)} {data.dtype}; reshape or convert"
        )
    if not all(bool(part.isfinite().all()) for part in data.split(rows_per_block(data))):
        raise ValueError(f"{noun} must be finite: got NaN or infinity; drop those rows")


def check_classes(labels: Tensor | None, n: int, noun: str) -> None:
    """Raises ValueError unless there are no labels, or n integers >= 0."""
    if labels is not None and (labels.shape != (n,) or labels.is_floating_point() or (labels < 0).any()):
        raise ValueError(
            f"labels must be non-negative integers, one per {noun} ({n},), got {tuple(labels.shape)} {labels.dtype}"
        )


def check_labels(labels: Int[Tensor, "b"], classes: Int[Tensor, "k"]) -> Int[Tensor, "b"]:
    """Returns the labels; raises ValueError where one is neither a class nor -1, if it can be read without waiting."""
    if not on_host(labels):
        return labels
    unknown = labels[~torch.isin(labels, classes) & (labels != -1)]
    if len(unknown):
        known = sorted(set(classes.tolist()))
        raise ValueError(f"unknown label {int(unknown[0])}: known are {known}, and -1 for no condition")
    return labels


def rows_per_block(data: Tensor) -> int:
    """Number of rows of data per block."""
    return max(1, _BLOCK_NUMBERS // max(1, data[0].numel()))
