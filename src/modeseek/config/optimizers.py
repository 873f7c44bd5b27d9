"""What follows a direction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import nn


@runtime_checkable
class OptimizerConfig(Protocol):
    """A frozen description of an optimizer."""

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Over these parameters."""
        ...

    def rate(self, progress: float) -> float:
        """The learning rate at that point of the run."""
        ...


@dataclass(frozen=True)
class AdamConfig:
    """Adam (Kingma and Ba 2014, arXiv 1412.6980); with weight decay, decoupled (AdamW, arXiv 1711.05101).

    Attributes:
        lr: learning rate, units of the parameters a step.
        betas: memory of the mean and of the squares; DreamFusion's are 0.9 and 0.99.
        eps: added to the root of the squares.
        weight_decay: share of a parameter lost a step, over lr.
        fall: share of the rate that is left at the end; it falls geometrically.
    """

    lr: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.0
    fall: float = 1.0

    def __post_init__(self) -> None:
        _positive("Adam", self.lr)
        if not 0 < self.fall <= 1:
            raise ValueError(f"Adam's rate falls to a share in (0, 1]: got fall {self.fall}; 1 keeps it")
        if not all(0 <= b < 1 for b in self.betas) or not 0 < self.eps < 1 or not 0 <= self.weight_decay < 1:
            raise ValueError(f"Adam needs betas in [0, 1), eps in (0, 1), weight_decay in [0, 1): got {self}; fix them")

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            parameters, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay, fused=True
        )

    def rate(self, progress: float) -> float:
        return self.lr * self.fall**progress


@dataclass(frozen=True)
class SGDConfig:
    """Plain gradient descent. With rate 1 on free points, MSD is the mean-shift iteration.

    Attributes:
        lr: learning rate.
        momentum: share of the last move that is kept.
        nesterov: look ahead before turning.
    """

    lr: float = 1.0
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        _positive("SGD", self.lr)
        if not 0 <= self.momentum < 1 or (self.nesterov and self.momentum == 0):
            raise ValueError(f"SGD needs momentum in [0, 1), above 0 for Nesterov: got {self}; 0.9 is usual")

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov)

    def rate(self, progress: float) -> float:
        return self.lr


def _positive(name: str, lr: float) -> None:
    if not 0 < lr < float("inf"):
        raise ValueError(f"{name} needs a learning rate above 0: got {lr}; 0.01 is a start")
