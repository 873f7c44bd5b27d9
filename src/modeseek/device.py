"""Choice of a device where none is given."""

from __future__ import annotations

import torch


def best_device() -> torch.device:
    """Fastest device of this machine: cuda, else mps (Apple), else cpu."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
