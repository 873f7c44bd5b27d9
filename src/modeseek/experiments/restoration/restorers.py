"""Entries of the experiment on restoration: mean shift, published posterior samplers and references."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.restoration.annealing import anneal
from modeseek.experiments.restoration.exact import ExactPosterior
from modeseek.experiments.restoration.problem import Problem
from modeseek.meanshift.bandwidth import Along, Bandwidth, Geometric
from modeseek.rng import Rng
from modeseek.sampling.posterior import daps, diffpir, dps, pigdm, red_diff

SAMPLES = 8
"""Number of posterior samples that are averaged, and whose diversity is measured."""
_FLOW_STEPS = 4  # of DAPS


Restore = Callable[[Problem, int, float, Rng], Tensor]
"""Function of a problem, a number of prior calls, a setting and random numbers that returns z."""


@dataclass(frozen=True)
class Restorer:
    """Method of restoration.

    Attributes:
        name: name on the command line, in files and tables.
        title: display title.
        note: description, one sentence.
        restore: the method; None leaves the degraded image.
        settings: settings that are tried, the default first.
        references: citation keys.
        jacobians: vector-Jacobian products of the prior for a number of prior calls.
        samples: number of runs, each with random numbers of its own; their mean is scored if `averages`.
        averages: whether the mean of the samples is scored, not the first one.
        tuned_as: name of the entry whose chosen setting it takes; empty for its own.
        reference: whether it is a reference, which is never marked best.
        exact_only: whether it needs a prior whose posterior is known.
    """

    name: str
    title: str
    note: str
    restore: Restore | None
    settings: tuple[float, ...] = (1.0,)
    references: tuple[str, ...] = ()
    jacobians: Callable[[int], int] = lambda calls: 0
    samples: int = 1
    averages: bool = False
    tuned_as: str = ""
    reference: bool = False
    exact_only: bool = False

    def run(self, problem: Problem, calls: int, setting: float, samples: int | None = None) -> Float[Tensor, "k n *d"]:
        """z of each run; the degraded image is one of them."""
        if self.restore is None:
            return problem.start[None]
        runs = range(self.samples if samples is None else samples)
        return torch.stack([self.restore(problem, calls, setting, problem.rng(f"run {k}")) for k in runs])


def _levels(problem: Problem, end: float, rng: Rng) -> Bandwidth:
    """The prior's own noise levels, as in `modeseek restore`, down to a share of the prior's spread."""
    return Along(end=end * problem.space.spread).on(problem.space.prior.schedule, rng)


def _mode(problem: Problem, calls: int, setting: float, rng: Rng) -> Tensor:
    return anneal(problem, calls, _levels(problem, setting, rng), rng, noisy=0.0)


def _narrow(problem: Problem, calls: int, setting: float, rng: Rng) -> Tensor:
    spread = problem.space.spread
    return anneal(problem, calls, Geometric(spread, setting * spread), rng, noisy=0.0)


def _msd(problem: Problem, calls: int, setting: float, rng: Rng) -> Tensor:
    return anneal(problem, calls, _levels(problem, setting, rng), rng, noisy=0.7)


def _dps(problem: Problem, calls: int, setting: float, rng: Rng) -> Tensor:
    prior = problem.space.prior
    times, start = prior.grid(calls), problem.noised_start(rng)
    return dps(prior, problem.measurement, start, times, problem.truth.cond, rng=rng, step=setting)


def _diffpir(problem: Problem, calls: int, setting: float, rng: Rng) -> Tensor:
    prior = problem.space.prior
    times, start = prior.grid(calls), problem.noised_start(rng)
    return diffpir(prior, problem.measurement, start, times, problem.truth.cond, rng=rng, weight=setting)


def _pigdm(problem: Problem, calls: int, setting: float, rng: Rng) -> Tensor:
    prior, spread = problem.space.prior, problem.space.spread
    times, start = prior.grid(calls), problem.noised_start(rng)
    cond = problem.truth.cond
    return pigdm(prior, problem.measurement, start, times, cond, rng=rng, spread=spread, step=setting)


def _red_diff(problem: Problem, calls: int, setting: float, rng: Rng) -> Tensor:
    prior = problem.space.prior
    times, cond = prior.grid(calls), problem.truth.cond
    return red_diff(prior, problem.measurement, problem.start, times, cond, rng=rng, weight=setting, rate=0.1)


def _daps(problem: Problem, calls: int, setting: float, rng: Rng) -> Tensor:
    prior = problem.space.prior
    times, start = prior.grid(calls // _FLOW_STEPS), problem.noised_start(rng)
    spread = None if problem.space.pixels else problem.space.spread  # an image of unbounded noise cannot be encoded
    cond, k = problem.truth.cond, _FLOW_STEPS
    return daps(prior, problem.measurement, start, times, cond, rng=rng, flow_steps=k, spread=spread, step=setting)


def _exact(problem: Problem, calls: int, setting: float, rng: Rng, mean: bool) -> Tensor:
    density = problem.space.density
    if density is None:
        raise ValueError("the exact posterior needs a kernel density estimate, got another prior; try --prior digits")
    posterior = ExactPosterior(density, problem.measurement)
    return posterior.mean() if mean else posterior.sample(rng)


RESTORERS = {
    entry.name: entry
    for entry in (
        Restorer("degraded", "Degraded image", "The measurement as an image: hidden pixels grey, enlarged, or blurred.",
                 None, reference=True),
        Restorer("mean-shift", "Mean shift", "Annealed mean shift on the measured prior, without noise: EM steps "
                 "towards the posterior's mode, the bandwidth falling along the prior's noise levels to a tuned share "
                 "of the prior's spread.", _mode, (0.05, 0.15, 0.4, 0.8, 1.6, 3.2, 6.4), ("msd",)),
        Restorer("mean-shift-narrow", "Mean shift, narrow start", "The same from the prior's spread geometrically to a "
                 "tuned share of it: it stays nearer to the degraded image.", _narrow, (0.05, 0.15, 0.4, 0.8, 1.6),
                 ("msd",)),
        Restorer("msd", "MSD", "Mean shift with noise at each bandwidth (jitter 1) until 70 % of the run, and none "
                 "after it.", _msd, (0.05, 0.15, 0.4, 0.8, 1.6, 3.2, 6.4), ("msd",)),
        Restorer("dps", "DPS", "Ancestral sampling with gradient steps on the norm of the residual, of tuned size.",
                 _dps, (0.3, 1.0, 2.0, 4.0, 8.0), ("dps",), lambda calls: calls),
        Restorer("diffpir", "DiffPIR", "Half-quadratic splitting along a sampler, the prior's weight tuned.",
                 _diffpir, (7.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003), ("diffpir",)),
        Restorer("pigdm", "PiGDM", "Guidance by the score of the measurement, its factor tuned; one sample.",
                 _pigdm, (1.0, 0.5, 2.0, 4.0), ("pigdm",), lambda calls: calls),
        Restorer("red-diff", "RED-diff", "Adam on the data term and the denoiser's regulariser, its weight tuned.",
                 _red_diff, (0.25, 0.05, 1.0, 0.01, 0.002, 0.0005), ("red-diff",)),
        Restorer("daps", "DAPS", f"Decoupled annealing, {_FLOW_STEPS} steps of the flow a level, the factor of its "
                 "width tuned; one sample.", _daps, (1.0, 0.3, 0.6, 2.0, 4.0), ("daps",)),
        Restorer("pigdm-mean", f"PiGDM, mean of {SAMPLES}", f"Mean of {SAMPLES} samples of PiGDM, an estimate of the "
                 f"posterior mean at {SAMPLES} times the calls.", _pigdm, references=("pigdm",),
                 jacobians=lambda calls: SAMPLES * calls, samples=SAMPLES, averages=True, tuned_as="pigdm"),
        Restorer("daps-mean", f"DAPS, mean of {SAMPLES}", f"Mean of {SAMPLES} samples of DAPS, at {SAMPLES} times the "
                 "calls.", _daps, references=("daps",), samples=SAMPLES, averages=True, tuned_as="daps"),
        Restorer("exact-mean", "Exact posterior mean", "Posterior mean in closed form.", partial(_exact, mean=True),
                 reference=True, exact_only=True),
        Restorer("exact-sample", "Exact posterior sample", "A draw of the posterior in closed form.",
                 partial(_exact, mean=False), samples=SAMPLES, reference=True, exact_only=True),
    )
}  # fmt: skip
OURS = "mean-shift"
"""Entry that all others are compared with."""
