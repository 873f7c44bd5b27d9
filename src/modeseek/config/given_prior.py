"""Prior of a run that is started in Python: a name, a path, a configuration, or a pipeline that is loaded already."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from modeseek.config.defaults import DEFAULT_PRIOR
from modeseek.config.loaded_prior import LoadedPrior, identified
from modeseek.config.priors import PipelinePriorConfig, PriorConfig
from modeseek.device import AUTO, resolve_device
from modeseek.io.paths import absolute_path
from modeseek.priors.pipeline import Pipeline


@dataclass(frozen=True)
class GivenPrior:
    """Prior of a run, and what of it is loaded already.

    Attributes:
        config: name, path or configuration, from which a resumed run loads it.
        device: device of the run, or auto.
        loaded: the loaded prior; None: the run loads it.
    """

    config: str | PriorConfig
    device: str
    loaded: LoadedPrior | None = None


def find_prior(
    prior: str | os.PathLike[str] | PriorConfig | Pipeline | None, device: str | torch.device | None = None
) -> GivenPrior:
    """Returns the prior that a name, a path, a configuration or a loaded pipeline stands for; None is scenes.

    Args:
        prior: name of a bundled prior, path or repository of a pipeline, configuration, or loaded pipeline.
        device: device of the run; None is that of a loaded pipeline, else the fastest of this machine.

    Raises:
        ValueError: another device than that of a loaded pipeline, or a pipeline that was built in Python.
        TypeError: a prior of another kind.
    """
    name = AUTO if device is None else str(device)
    if prior is None or isinstance(prior, str):
        return GivenPrior(DEFAULT_PRIOR if prior is None else prior, name)
    if isinstance(prior, os.PathLike):
        return GivenPrior(str(absolute_path(prior)), name)
    if isinstance(prior, Pipeline):
        if device is not None and resolve_device(device).type != prior.device.type:
            raise ValueError(
                f"device must be that of the loaded pipeline, {prior.device}, got {name}; try prior.to({name!r})"
            )
        return GivenPrior(PipelinePriorConfig.of(prior), str(prior.device), identified(prior))
    if isinstance(prior, type) or not isinstance(prior, PriorConfig):
        raise TypeError(
            "prior must be a name such as 'emoji', a folder, owner/name on the hub or a loaded ms.Pipeline, got "
            f"{type(prior).__name__}; other priors: ms.distill"
        )
    return GivenPrior(prior, name)
