"""Tuned entries of `modeseek toy`, a table for each kind of problem."""

from __future__ import annotations

from modeseek.diffusion.noise_levels import Annealed, Uniform
from modeseek.diffusion.weighting import sigma_over_alpha
from modeseek.experiments.toy2d.algorithms import Descent, ModeSearch, Sampling
from modeseek.experiments.toy2d.entries import ToyEntry, ToyTask
from modeseek.experiments.toy2d.settings import OptimizerSetting
from modeseek.meanshift.bandwidth import Adaptive, Geometric
from modeseek.methods.msd import MSD
from modeseek.methods.sdi import SDI
from modeseek.methods.sds import SDS
from modeseek.ramp import Fading


def adam(lr: float) -> OptimizerSetting:
    """Adam with betas (0.9, 0.99)."""
    return OptimizerSetting("adam", lr)


def sgd(lr: float) -> OptimizerSetting:
    """Gradient descent; at rate 1, MSD is the mean-shift iteration."""
    return OptimizerSetting("sgd", lr)


NESTEROV = OptimizerSetting("nesterov", 1.0)
"""Gradient descent at rate 1 with Nesterov momentum: mean shift, accelerated along flat ridges."""


def _adaptive(task: ToyTask, settle: float, hold: float) -> Adaptive:
    """Bandwidth from the measured scale of the prior down to the last bandwidth of the task."""
    return Adaptive(task.bandwidth, settle=settle, hold=hold)


def _sdi(task: ToyTask, times: Annealed, steps: int = 10) -> SDI:
    """SDI with unguided inversion, better here than the authors' negative scale at half the cost."""
    return SDI(times, scale=task.scale, inversion_scale=1.0, inversion_steps=steps)


def _sdi_on_digits(task: ToyTask) -> Descent:
    if task.scale == 1:
        return Descent(_sdi(task, Annealed(0.98, 0.25), 4), sgd(0.3), guided=False)
    return Descent(_sdi(task, Annealed(0.8, 0.1), 2), sgd(1.0), guided=False)


TOY2D_ENTRIES = {
    entry.name: entry
    for entry in (
        ToyEntry("ddim", "DDIM", lambda task: Sampling(), "DDIM from noise: samples, not modes; the reference.",
                 also=("ddim",)),
        ToyEntry("sds", "SDS", lambda task: Descent(SDS(Uniform(), sigma_over_alpha), adam(0.01)),
                 "Uniform noise levels; Adam 0.01.", SDS),
        ToyEntry("sds-annealed", "SDS, annealed",
                 lambda task: Descent(SDS(Annealed(0.98, 0.02), sigma_over_alpha), adam(0.01)),
                 "Noise levels that fall along the run; Adam 0.01.", SDS),
        ToyEntry("sdi", "SDI", lambda task: Descent(_sdi(task, Annealed(0.98, 0.02)), sgd(1.0), guided=False),
                 "10 inversion steps, falling noise levels; SGD 1.", SDI),
        ToyEntry("msd", "MSD", lambda task: Descent(MSD(_adaptive(task, 0.2, 0.4)), NESTEROV),
                 "One call per step, bandwidth adapted to each point; SGD 1 with Nesterov momentum.", MSD),
        ToyEntry("msd-jitter", "MSD, fading jitter",
                 lambda task: Descent(MSD(_adaptive(task, 0.3, 0.15), jitter=Fading()), NESTEROV),
                 "With jitter that fades out by 60 % of the run: explores like SDS, refines like MSD.", MSD),
        ToyEntry("msd-product", "MSD, product",
                 lambda task: Descent(MSD(Geometric(1.0, task.bandwidth), "product", steps=8), sgd(1.0)),
                 "Target sampled from the exact product prior, 8 Heun steps; SGD 1.", MSD, ("edm",)),
        ToyEntry("msd-kernel-score", "MSD, kernel score",
                 lambda task: Descent(MSD(Geometric(1.0, task.bandwidth), "kernel-score", steps=16), sgd(1.0)),
                 "Target sampled as in the paper, 16 DDIM steps with the kernel's score; SGD 1.", MSD, ("ddim",)),
        ToyEntry("find-modes", "find_modes", lambda task: ModeSearch(), "Mean shift from 2,000 samples of the prior, "
                 "merged; modes repeated in proportion to their basin mass.", also=("meanshift", "meanshift-review")),
    )
}  # fmt: skip
"""Entries on 2-D distributions, tuned at 800 prior calls per point on the fractal with the exact prior."""

DIGITS_ENTRIES = {
    entry.name: entry
    for entry in (
        TOY2D_ENTRIES["ddim"],
        ToyEntry("sds", "SDS", lambda task: Descent(SDS(Uniform(), sigma_over_alpha), adam(0.03)),
                 "Uniform noise levels; Adam 0.03.", SDS),
        ToyEntry("sds-annealed", "SDS, annealed",
                 lambda task: Descent(SDS(Annealed(0.98, 0.4), sigma_over_alpha), sgd(0.1)),
                 "Noise levels that fall along the run; SGD 0.1.", SDS),
        ToyEntry("sdi", "SDI", _sdi_on_digits,
                 "Falling noise levels; 4 inversion steps and SGD 0.3, guided 2 steps and SGD 1.", SDI),
        ToyEntry("msd", "MSD",
                 lambda task: Descent(MSD(Geometric(5.0, task.bandwidth)), sgd(1.0) if task.scale == 1 else adam(0.05)),
                 "One call per step, bandwidth 5 falling to 0.3; SGD 1, guided Adam 0.05.", MSD),
        ToyEntry("msd-jitter", "MSD, fading jitter",
                 lambda task: Descent(MSD(Geometric(5.0, task.bandwidth), jitter=Fading()), adam(0.05)),
                 "With jitter that fades out by 60 % of the run; Adam 0.05.", MSD),
        ToyEntry("msd-product", "MSD, product",
                 lambda task: Descent(MSD(Geometric(5.0, 0.8), "product", steps=4), sgd(0.3)),
                 "Target sampled from the exact product prior, 4 Heun steps, bandwidth down to 0.8; SGD 0.3.", MSD,
                 ("edm",)),
        ToyEntry("msd-kernel-score", "MSD, kernel score",
                 lambda task: Descent(MSD(Geometric(5.0, task.bandwidth), "kernel-score", steps=16), sgd(1.0)),
                 "Target sampled as in the paper, 16 DDIM steps with the kernel's score; SGD 1.", MSD, ("ddim",)),
    )
}  # fmt: skip
"""Entries on digits, tuned by held-out log-likelihood of the digit 3 at 200 calls per image, scales 1 and 3."""
