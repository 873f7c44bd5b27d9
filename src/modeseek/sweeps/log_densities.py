"""Log-density of results under priors with a known density."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch

from modeseek.config.config import Config
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.priors import ToyPriorConfig
from modeseek.io.errors import one_line
from modeseek.priors.base import DensityPrior
from modeseek.rundir.run_dir import Run


def mean_log_density(run: Run, config: Config) -> float | None:
    """Mean over rows of `log p_h(z)`, h the finest kernel worth a run; None where no density is known.

    `p_h = p * N(0, h^2 I)` rather than p, so that a prior of data points has a density as well.

    Raises:
        ValueError: the exported file is damaged or of another shape.
    """
    if not isinstance(config.prior, ToyPriorConfig):
        return None
    path = next((p for name in ("points", "images") if (p := run.path / "exports" / f"{name}.npy").is_file()), None)
    loaded = _load(config.prior)
    prior = loaded.prior
    if path is None or not isinstance(prior, DensityPrior):
        return None
    z = loaded.codec.encode(_read(path).to(prior.dtype))
    if z.shape[1:] != torch.Size(prior.shape):
        shape = tuple(prior.shape)
        raise ValueError(f"{path} must hold rows of shape {shape}, got {tuple(z.shape[1:])}; try running it again")
    cond = None if config.label is None else torch.full((len(z),), config.label)
    ones = torch.ones(len(z), dtype=z.dtype)
    with torch.no_grad():
        _, log_density = prior.evaluate(z, ones, ones * config.prior.bandwidth(), cond)
    return log_density.mean().item()


@cache
def _load(config: ToyPriorConfig) -> LoadedPrior:
    return config.load("cpu")


def _read(path: Path) -> torch.Tensor:
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False))
    except (ValueError, EOFError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {one_line(error, 100)}; run it again") from error
