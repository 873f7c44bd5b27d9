"""Log-density of results under priors with a known density."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from modeseek.config.config import Config
from modeseek.config.priors import LoadedPrior, PriorConfig, ToyPriorConfig
from modeseek.priors.base import DensityPrior
from modeseek.rundir.run_dir import Run


class LogDensityEvaluator:
    """Mean log-densities of runs on toy problems; each problem is built once."""

    def __init__(self) -> None:
        self._loaded: dict[PriorConfig, LoadedPrior] = {}

    def mean_log_density(self, run: Run, config: Config) -> float | None:
        """Mean over rows of `log p_h(z)`, h the finest kernel worth a run; None where no density is known.

        `p_h = p * N(0, h^2 I)` rather than p, so that a prior of data points has a density as well.

        Raises:
            ValueError: the exported file is damaged or of another shape.
        """
        if not isinstance(config.prior, ToyPriorConfig):
            return None
        path = next((p for name in ("points", "images") if (p := run.path / "exports" / f"{name}.npy").is_file()), None)
        loaded = self._load(config.prior)
        if path is None or loaded.bandwidth is None or not isinstance(loaded.prior, DensityPrior):
            return None
        z = loaded.codec.encode(_read(path).to(loaded.prior.dtype))
        if z.shape[1:] != torch.Size(loaded.prior.shape):
            shape = tuple(loaded.prior.shape)
            raise ValueError(f"{path} must hold rows of shape {shape}, got {tuple(z.shape[1:])}; try running it again")
        cond = None if config.label is None else torch.full((len(z),), config.label)
        ones = torch.ones(len(z), dtype=z.dtype)
        with torch.no_grad():
            _, log_density = loaded.prior.evaluate(z, ones, ones * loaded.bandwidth, cond)
        return log_density.mean().item()

    def _load(self, source: ToyPriorConfig) -> LoadedPrior:
        if source not in self._loaded:
            self._loaded[source] = source.load("cpu")
        return self._loaded[source]


def _read(path: Path) -> torch.Tensor:
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False))
    except (ValueError, EOFError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {' '.join(str(error).split())[:100]}; run it again") from error
