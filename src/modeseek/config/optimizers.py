"""Configurations of optimizers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

Parameters = Iterable[nn.Parameter] | Iterable[dict[str, Any]]


@runtime_checkable
class OptimizerConfig(Protocol):
    """Configuration of an optimizer and its learning-rate schedule."""

    def make(self, parameters: Parameters) -> torch.optim.Optimizer:
        """Builds the optimizer for parameters, or for groups of them; a group may have a `relative` learning rate."""
        ...

    def rate(self, progress: float) -> float:
        """Learning rate at a progress in [0, 1]."""
        ...


@dataclass(frozen=True)
class AdamConfig:
    """Adam (Kingma and Ba 2014, arXiv 1412.6980); with weight decay, decoupled (AdamW, arXiv 1711.05101).

    Attributes:
        lr: initial learning rate, > 0.
        betas: decay rates of the first and second moments, in [0, 1); DreamFusion: 0.9 and 0.99.
        eps: constant added to the denominator, in (0, 1).
        weight_decay: decoupled weight decay, in [0, 1); each step multiplies parameters by 1 - lr * weight_decay.
        fall: final learning rate relative to `lr`, in [0, 1]; the decay is geometric, 1 is constant, 0 a half cosine.
    """

    lr: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.0
    fall: float = 1.0

    def __post_init__(self) -> None:
        _check_lr("Adam", self.lr)
        _check_fall("Adam", self.fall)
        if not all(0 <= b < 1 for b in self.betas) or not 0 < self.eps < 1 or not 0 <= self.weight_decay < 1:
            raise ValueError(f"Adam needs betas in [0, 1), eps in (0, 1), weight_decay in [0, 1), got {self}")

    def make(self, parameters: Parameters) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            parameters, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay, fused=True
        )

    def rate(self, progress: float) -> float:
        return _fallen(self.lr, self.fall, progress)


@dataclass(frozen=True)
class SGDConfig:
    """Stochastic gradient descent. With learning rate 1 on points, MSD is the mean-shift iteration.

    Attributes:
        lr: learning rate, > 0.
        momentum: momentum coefficient, in [0, 1).
        nesterov: whether to use Nesterov momentum; needs momentum > 0.
        fall: final learning rate relative to `lr`, in [0, 1]; the decay is geometric, 1 is constant, 0 a half cosine.
    """

    lr: float = 1.0
    momentum: float = 0.0
    nesterov: bool = False
    fall: float = 1.0

    def __post_init__(self) -> None:
        _check_lr("SGD", self.lr)
        _check_fall("SGD", self.fall)
        if not 0 <= self.momentum < 1 or (self.nesterov and self.momentum == 0):
            raise ValueError(f"SGD needs momentum in [0, 1), above 0 for Nesterov, got {self}; try 0.9")

    def make(self, parameters: Parameters) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov)

    def rate(self, progress: float) -> float:
        return _fallen(self.lr, self.fall, progress)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of the next step: that of each group of parameters is `rate` times its `relative` rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("relative", 1.0)


def _check_lr(name: str, lr: float) -> None:
    if not 0 < lr < float("inf"):
        raise ValueError(f"{name} needs a learning rate above 0, got {lr}; try 0.01")


def _check_fall(name: str, fall: float) -> None:
    if not 0 <= fall <= 1:
        raise ValueError(f"{name} needs fall in [0, 1], got {fall}; 1 is a constant learning rate, 0 a cosine to zero")


def _fallen(lr: float, fall: float, progress: float) -> float:
    """Learning rate at a progress: `lr fall^progress`; where it falls to 0, `lr (1 + cos(pi progress)) / 2`."""
    return lr * fall**progress if fall > 0 else lr * (1 + math.cos(math.pi * progress)) / 2
