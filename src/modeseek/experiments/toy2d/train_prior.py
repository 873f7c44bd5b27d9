"""Learned prior of a toy benchmark: training, saving and loading."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from modeseek.io.progress import Progress
from modeseek.io.thread_pool import single_threaded
from modeseek.priors.network import Network
from modeseek.rundir.run_dir import Run


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


TOY2D_RECIPE = PriorRecipe(steps=3000, width=96, batch=768, lr=4e-3)
DIGITS_RECIPE = PriorRecipe(steps=1500, width=256, batch=256, lr=2e-3)


def train_network(
    data: Tensor, labels: Tensor | None, recipe: PriorRecipe, seed: int
) -> Generator[Progress, None, Network]:
    """Trains a network in float32 on one core; yields the progress with the loss.

    A second core brings little for matrices this small, and blocks where it is busy.
    """
    rng = torch.Generator().manual_seed(seed)
    total, network = recipe.steps, None
    yield Progress("training the prior", 0, total)
    training = Network.training(
        data,
        labels,
        steps=total,
        rng=rng,
        width=recipe.width,
        batch=recipe.batch,
        lr=recipe.lr,
        every=max(1, total // 50),
    )
    with single_threaded():
        for step, trained in training:
            network = trained
            yield Progress("training the prior", step.index, total, f"loss {step.loss:.3f}")
    if network is None:
        raise ValueError(f"training needs at least one step, got {total}; raise it")
    return network


def save_network(network: Network, run: Run, save: Path | None) -> Network:
    """Saves a trained network to `exports/network` of its run, and to `save` if given; returns it."""
    for folder in (run.path / "exports" / "network", save):
        if folder is not None:
            network.save(folder)
    return network


def load_network(path: Path, shape: tuple[int, ...], labelled: bool) -> Network:
    """Loads a saved network and checks that it fits the problem.

    Raises:
        ValueError: no network, of another shape, or without classes where a label is given.
    """
    network = Network.load(path)
    if network.shape != shape:
        raise ValueError(
            f"{path} was trained on items of shape {network.shape}, but the problem has {shape}; retrain it"
        )
    if labelled and network.architecture.n_classes == 0:
        raise ValueError(f"{path} was trained without classes: got a label; retrain it on a problem that has them")
    return network
