"""3D generator of a run without its prior, which can take minutes to load and gigabytes of memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.config.config import Config
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import VE, Schedule
from modeseek.generators.ensemble import Ensemble
from modeseek.generators.generator3d import Generator3D
from modeseek.priors.base import BasePrior
from modeseek.pytree import Cond
from modeseek.rundir.checkpoint import Checkpoint

_PREFIX = "state.generator"  # of the generator's tensors in a checkpoint


@dataclass(frozen=True)
class AbsentPrior(BasePrior):
    """Placeholder that describes a prior to a generator's constructor and cannot be evaluated.

    Attributes:
        shape: shape of one item, (c, h, w).
        dtype: dtype of the generator's parameters.
        device: device of the generator's parameters.
        schedule: placeholder, unused.
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
        """Raises RuntimeError."""
        raise RuntimeError("the viewer holds no prior: it cannot be evaluated")


def absent_prior(size: int | None, dtype: torch.dtype, device: str) -> AbsentPrior:
    """Returns a placeholder for the prior of a 3D generator whose images have that side, None if it is the prior's."""
    side = size or 64
    return AbsentPrior((3, side, side), dtype, torch.device(device))


def load_generator(config: Config, checkpoint: Checkpoint, device: str = "cpu") -> Generator3D | Ensemble:
    """The generator with the parameters of a checkpoint.

    What a run takes from its prior at the start is in the checkpoint (parameters and their dtype) or does not matter
    here (the side of its images). The cameras' orbit is that of the configuration, or the default.

    Raises:
        ValueError: the checkpoint does not match, or the generator is not 3D.
        OSError: the mesh named by the configuration cannot be read.
    """
    settings = config.generator.as_3d
    if settings is None:
        raise ValueError(f"a generator must be 3D to be viewed, got {type(config.generator).__name__}")
    prior = absent_prior(settings.size, _dtype(checkpoint), device)
    generator = settings.make(LoadedPrior(prior, ""), config.seed).module
    restore_generator(generator, checkpoint, device)
    return generator.requires_grad_(False)


def restore_generator(module: torch.nn.Module, checkpoint: Checkpoint, device: str = "cpu") -> None:
    """Loads only the generator's part of a checkpoint.

    Raises:
        ValueError: the checkpoint holds no generator, or one that does not match.
    """
    pairs = checkpoint.plain.get("dict", ()) if isinstance(checkpoint.plain, dict) else ()
    own = [pair for pair in pairs if pair[0] == "generator"]
    if not own:
        raise ValueError(f"{checkpoint.path.name} holds no generator; use the version that wrote it")
    part = Checkpoint(checkpoint.path, checkpoint.step, {"dict": own}, checkpoint.tensors)
    part.restore({"generator": module}, device)


def _dtype(checkpoint: Checkpoint) -> torch.dtype:
    """The dtype of the generator's first floating-point tensor."""
    dtypes = [tensor.dtype for name, tensor in checkpoint.tensors.items() if name.startswith(_PREFIX)]
    return next((dtype for dtype in dtypes if dtype.is_floating_point), torch.float32)
