"""Example states for serialization tests: nested dataclasses, a small network, and a round trip through a file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from modeseek.rundir.state_serialization import pack, unpack


def round_trip(value: Any, template: Any = None) -> Any:
    """Value after serialization to JSON and safetensors and back."""
    tensors: dict[str, Tensor] = {}
    plain = json.loads(json.dumps(pack(value, tensors), allow_nan=False))
    return unpack(plain, safetensors.torch.load(safetensors.torch.save(tensors)), template)


@dataclass(frozen=True)
class Inner:
    """Nested state."""

    h: Tensor | None = None
    seen: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Other:
    """Another nested state."""

    n: int = 0


@dataclass(frozen=True)
class Outer:
    """State that holds other states."""

    inner: Inner | None = None
    either: Inner | Other | None = None
    any: Any = None
    counts: dict[str, int] = field(default_factory=dict)
    cache: dict[str, int] = field(default_factory=dict, init=False)


class Net(nn.Module):
    """Module with parameters of two dtypes, buffers, a tied weight and batch normalisation."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.a, self.b, self.norm = nn.Linear(3, 3), nn.Linear(3, 3).double(), nn.BatchNorm1d(3)
        self.tied = self.a.weight
        self.register_buffer("flags", torch.tensor([True, False]))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.norm(self.a(x)).double()).square().sum()
