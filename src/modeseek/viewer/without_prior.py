"""A run's generator without its prior, which may take minutes to load and gigabytes to hold."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.config.config import Config
from modeseek.config.generators3d import MeshConfig, NeRFConfig
from modeseek.config.priors import LoadedPrior
from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import VE, Schedule
from modeseek.generators.rendering3d import Generator3D
from modeseek.priors.base import BasePrior
from modeseek.pytree import Cond
from modeseek.rundir.checkpoint import Checkpoint

_PLACE = "state.generator"


@dataclass(frozen=True)
class AbsentPrior(BasePrior):
    """Stands where a generator asks what its prior is like; it answers nothing else.

    Attributes:
        shape: of one item.
        dtype: of the generator's parameters.
        device: where they shall lie.
        schedule: of no meaning.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    schedule: Schedule = VE(0.01, 1.0)

    def at(
        self,
        z_t: Float[Tensor, "b *d"],
        alpha: Float[Tensor, "b"],
        sigma: Float[Tensor, "b"],
        cond: Cond = None,
    ) -> Prediction:
        """Raises RuntimeError: nothing is optimised here."""
        raise RuntimeError("the viewer holds no prior: nothing can be asked of it")


def is_3d(config: Config) -> bool:
    """Whether the run makes a thing that can be seen from anywhere."""
    return isinstance(config.generator, NeRFConfig | MeshConfig)


def load_generator(config: Config, checkpoint: Checkpoint, device: str = "cpu") -> Generator3D:
    """The generator as the checkpoint left it.

    What it takes from the prior at a run's start is in the checkpoint (the numbers and their dtype) or does not matter
    here (the side of its pictures). The cameras' orbit is the configuration's, or else the usual one.

    Raises:
        ValueError: the checkpoint does not fit, or the generator is none that can be turned.
        OSError: a mesh that cannot be read.
    """
    if not isinstance(config.generator, NeRFConfig | MeshConfig):
        raise ValueError(f"only volumes and surfaces can be turned: got {type(config.generator).__name__}")
    side = config.generator.size or 64
    prior = AbsentPrior((3, side, side), _dtype(checkpoint), torch.device(device))
    made = config.generator.make(LoadedPrior(prior, ""), config.seed).module
    restore_generator(made, checkpoint, device)
    if not isinstance(made, Generator3D):
        raise TypeError(f"a thing that can be turned has look and orbit: got {type(made).__name__}; give it both")
    return made.requires_grad_(False)


def restore_generator(module: torch.nn.Module, checkpoint: Checkpoint, device: str = "cpu") -> None:
    """Loads the generator's part of a checkpoint alone.

    Raises:
        ValueError: it has none, or one that does not fit.
    """
    pairs = checkpoint.plain.get("dict", ()) if isinstance(checkpoint.plain, dict) else ()
    mine = [pair for pair in pairs if pair[0] == "generator"]
    if not mine:
        raise ValueError(f"{checkpoint.path.name} holds no generator; use the version that wrote it")
    part = Checkpoint(checkpoint.path, checkpoint.step, {"dict": mine}, checkpoint.tensors)
    part.restore({"generator": module}, device)


def _dtype(checkpoint: Checkpoint) -> torch.dtype:
    """Of the first parameters that are no whole numbers."""
    kinds = [held.dtype for place, held in checkpoint.tensors.items() if place.startswith(_PLACE)]
    return next((kind for kind in kinds if kind.is_floating_point), torch.float32)
