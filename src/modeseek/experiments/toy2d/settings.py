"""Optimizer settings of an entry on points, and steps of DDIM's length for methods that follow the probability flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.config.optimizers import AdamConfig, OptimizerConfig, SGDConfig
from modeseek.diffusion.noise_levels import Annealed
from modeseek.diffusion.schedule import Schedule, log_snr
from modeseek.diffusion.weighting import Weight

DDIM = "ddim"
_CONFIGS: Mapping[str, Callable[..., OptimizerConfig]] = MappingProxyType(
    {
        "adam": AdamConfig,
        "sgd": SGDConfig,
        "nesterov": partial(SGDConfig, momentum=0.9, nesterov=True),
        DDIM: SGDConfig,
    }
)
_TITLES = {"adam": "Adam", "sgd": "SGD", "nesterov": "SGD with Nesterov momentum", DDIM: "DDIM's step lengths, SGD"}


@dataclass(frozen=True)
class OptimizerSetting:
    """Optimizer of the points with its learning rate and its fall.

    Attributes:
        optimizer: adam, sgd, nesterov (SGD with momentum 0.9), or ddim: SGD along a direction weighted by DDIM's step
            lengths, for methods whose noise is fixed.
        lr: initial learning rate, > 0.
        fall: final learning rate relative to the initial one; 1 is constant, 0 is half a cosine down to 0.
    """

    optimizer: str = "adam"
    lr: float = 0.01
    fall: float = 1.0

    @property
    def config(self) -> OptimizerConfig:
        """Configuration of the optimizer; at SGD 1, MSD is the mean-shift iteration."""
        return _CONFIGS[self.optimizer](lr=self.lr, fall=self.fall)

    @property
    def title(self) -> str:
        """Display title, such as `Adam 0.03, cosine to 0`."""
        falls = {1.0: "", 0.0: ", cosine to 0"}
        return f"{_TITLES[self.optimizer]} {self.lr:g}{falls.get(self.fall, f', falling to {self.fall:g}')}"


def ddim_lengths(schedule: Schedule, times: Annealed, steps: int) -> Weight:
    """Weight of a direction `eps - n` with fixed noise n under which SGD at rate 1 takes the steps of DDIM.

    With `h = sigma / alpha` the step from t to the next time s has the length `h(t) - h(s)`, so that z follows the
    probability flow. At other rates z leaves it: near a component of variance s^2, `eps(z + h n) = n` holds at
    `mean + n s^2 / h`, which diverges as h falls.

    Args:
        schedule: noise schedule of the prior.
        times: times of the method.
        steps: number of steps of the run.
    """
    clean, noisy = log_snr(*schedule(torch.tensor([0.0, 1.0], dtype=torch.float64))).tolist()
    span, stride = times.end - times.start, 1 / max(1, steps - 1)

    def length(alpha: Float[Tensor, "b"], sigma: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
        level = log_snr(alpha, sigma).clamp(noisy, clean)  # prior calls are counted on a prior of another schedule
        progress = ((schedule.t_of(level) - times.start) / span).clamp(min=0) ** (1 / times.power)
        later = times.start + span * (progress + stride) ** times.power
        cleaner, less = schedule(later.clamp(min=0))
        return sigma / alpha - less / cleaner

    return length
