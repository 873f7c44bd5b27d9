"""Learned prior of a toy benchmark: training and checks."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from modeseek.io.progress import Progress
from modeseek.io.thread_pool import single_threaded
from modeseek.priors.base import Prior
from modeseek.priors.network import Network


@dataclass(frozen=True)
class PriorRecipe:
    """Training recipe of a network.

    Attributes:
        steps: number of training steps, >= 1.
        width: width of the hidden layers.
        batch: batch size.
        lr: peak learning rate.
    """

    steps: int
    width: int
    batch: int
    lr: float


def train_network(
    data: Tensor, labels: Tensor | None, recipe: PriorRecipe, seed: int
) -> Generator[Progress, None, Network]:
    """Trains a network in float32 on one core; yields the progress with the loss.

    A second core brings little for matrices this small, and blocks where it is busy.
    """
    rng, every, network = torch.Generator().manual_seed(seed), max(1, recipe.steps // 50), None
    yield Progress("training the prior", 0, recipe.steps)
    with single_threaded():
        for step, trained in Network.training(data, labels, rng=rng, every=every, **vars(recipe)):
            network = trained
            yield Progress("training the prior", step.index, recipe.steps, f"loss {step.loss:.3f}")
    if network is None:
        raise ValueError(f"training needs at least one step, got {recipe.steps}; raise it")
    return network


def check_network(network: Prior, path: Path, shape: tuple[int, ...], labelled: bool) -> None:
    """Raises a ValueError if a saved network has another shape, or no classes where a label is given."""
    if network.shape != shape:
        raise ValueError(
            f"{path} was trained on items of shape {network.shape}, but the problem has {shape}; retrain it"
        )
    if labelled and network.n_classes == 0:
        raise ValueError(f"{path} was trained without classes: got a label; retrain it on a problem that has them")
