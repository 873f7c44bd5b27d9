"""How probable what a run found is, under priors whose density is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from modeseek.config.config import Config
from modeseek.config.priors import LoadedPrior, PriorConfig, ToyPriorConfig
from modeseek.priors.base import DensityPrior
from modeseek.rundir.run_dir import Run


class LogDensityEvaluator:
    """Log-densities of runs on problems with known truth; each problem is built once."""

    def __init__(self) -> None:
        self._loaded: dict[PriorConfig, LoadedPrior] = {}

    def mean_log_density(self, run: Run, config: Config) -> float | None:
        """Mean over rows of `log p_h(z)`, h the finest kernel worth a run; None where no density is known.

        `p_h = p * N(0, h^2 I)` rather than p, so that a prior of data points, too, has a density.

        Raises:
            ValueError: what the run left is damaged.
        """
        if not isinstance(config.prior, ToyPriorConfig):
            return None
        path = next((p for name in ("points", "images") if (p := run.path / "exports" / f"{name}.npy").is_file()), None)
        loaded = self._load(config.prior)
        if path is None or loaded.bandwidth is None or not isinstance(loaded.prior, DensityPrior):
            return None
        z = loaded.codec.encode(_read(path).to(loaded.prior.dtype))
        if z.shape[1:] != torch.Size(loaded.prior.shape):
            raise ValueError(f"{path} holds rows of shape {tuple(z.shape[1:])}; run it again")
        cond = None if config.label is None else torch.full((len(z),), config.label)
        one = torch.ones(len(z), dtype=z.dtype)
        with torch.no_grad():
            _, log_density = loaded.prior.evaluate(z, one, one * loaded.bandwidth, cond)
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
