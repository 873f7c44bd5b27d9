"""A contest: methods that start from the same points and may ask the prior equally often."""

from __future__ import annotations

import math
import time
from collections.abc import Generator

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.distill import distill
from modeseek.experiments.toy2d.entries import Descent, ModeSearch, Sampling, ToyEntry, ToyFrame, ToyOutcome, ToyTask
from modeseek.generators.points import Points
from modeseek.io.progress import Progress
from modeseek.meanshift.mean_shift import mean_shift
from modeseek.meanshift.modes import merge_modes
from modeseek.methods.msd import MSD
from modeseek.methods.vsd import VSD
from modeseek.priors.base import Conditions, DensityPrior
from modeseek.priors.guidance import Guided
from modeseek.priors.wrapper import Counting
from modeseek.pytree import Cond
from modeseek.rng import Streams
from modeseek.runs.count_calls import count_prior_calls
from modeseek.sampling.samplers import ddim

_KEPT = 160  # frames of a trajectory


def prior_calls(algorithm: Descent, task: ToyTask) -> tuple[int, int]:
    """Prior calls a point, guidance included: once before the first step, and each step."""
    labels = Conditions(torch.tensor([0]), null=torch.tensor([-1]))
    return count_prior_calls(
        algorithm.method,
        task.scale,
        algorithm.guided,
        None if task.conditions is None else algorithm.complete_conditions(labels, 2),
    )


def run_entry(entry: ToyEntry, task: ToyTask) -> Generator[ToyFrame, None, ToyOutcome]:
    """Plays one contestant, a frame a step.

    Raises:
        ValueError: a budget below one step, or modes sought under guidance, where no density is climbed.
    """
    algorithm = entry.algorithm(task)
    if isinstance(algorithm, Descent):
        return (yield from _descend(entry, algorithm, task))
    if isinstance(algorithm, Sampling):
        return (yield from _sample(entry, algorithm, task))
    return (yield from _climb(entry, algorithm, task))


def check_entry(entry: ToyEntry, task: ToyTask) -> None:
    """What `run_entry` would refuse, before any work is done."""
    if not 0 < task.bandwidth < math.inf:
        raise ValueError(f"a bandwidth is positive and finite: got {task.bandwidth}; leave it out for the default")
    algorithm = entry.algorithm(task)
    if isinstance(algorithm, ModeSearch) and task.conditions is not None and task.scale != 1:
        raise ValueError(
            f"{entry.name} climbs a density and a guided prior has none: got scale {task.scale:g}; use scale 1 "
            f"or leave {entry.name} out of the methods"
        )
    least = 2
    if isinstance(algorithm, Descent):
        algorithm.complete_conditions(task.conditions, 2)
        first, each = prior_calls(algorithm, task)
        least = first + 2 * each
    if task.budget < least:
        raise ValueError(
            f"a budget of {task.budget} prior calls a point is too small: two steps of {entry.name} take {least}; "
            f"pass at least {least}"
        )


def _descend(entry: ToyEntry, algorithm: Descent, task: ToyTask) -> Generator[ToyFrame, None, ToyOutcome]:
    check_entry(entry, task)
    began = time.thread_time()
    counting = Counting(task.prior)
    prior = Guided(counting, task.scale) if algorithm.guided and task.conditions is not None else counting
    generator = Points(task.starts)
    method, n = algorithm.method, len(task.starts)
    first, each = prior_calls(algorithm, task)
    steps = (task.budget - first) // each
    kept, state = [task.starts], None
    walk = distill(
        generator,
        prior,
        method,
        algorithm.optimizer(generator.parameters()),
        steps=steps,
        conditions=algorithm.complete_conditions(task.conditions, task.classes),
        rng=Streams(task.seed),
    )
    for step in walk:
        z, state = generator.z.detach().clone(), step.state
        if _worth_keeping(step.index + 1, steps):
            kept.append(z)
        yield ToyFrame(step.index + 1, steps, z)
        if step.index + 1 < steps and counting.calls + each * n > task.budget * n:  # its steps cost more than the mean
            kept.append(z)
            break
    done = method.done(state).double().mean().item() if isinstance(method, MSD) and state is not None else None
    seconds = time.thread_time() - began
    lessons = steps * method.updates + method.warmup if isinstance(method, VSD) else 0
    told = (counting.calls / n, steps, seconds, done, None, lessons)
    return ToyOutcome(entry, kept[-1], torch.stack(kept), *told)


def _sample(entry: ToyEntry, algorithm: Sampling, task: ToyTask) -> Generator[ToyFrame, None, ToyOutcome]:
    check_entry(entry, task)
    began = time.thread_time()
    counting = Counting(task.prior)
    prior = counting if task.conditions is None else Guided(counting, task.scale)
    branches = 2 if task.conditions is not None and task.scale != 1 else 1
    n, steps = len(task.starts), min(algorithm.steps, task.budget // branches)
    z, times = prior.start(n, Streams(task.seed)).to(task.starts), prior.grid(steps)
    kept = [z]
    for index in range(steps):
        z = ddim(prior, z, times[index : index + 2], task.conditions)
        if _worth_keeping(index + 1, steps):
            kept.append(z)
        yield ToyFrame(index + 1, steps, z)
    return ToyOutcome(entry, z, torch.stack(kept), counting.calls / n, steps, time.thread_time() - began)


def _climb(entry: ToyEntry, algorithm: ModeSearch, task: ToyTask) -> Generator[ToyFrame, None, ToyOutcome]:
    check_entry(entry, task)
    began = time.thread_time()
    counting, rng = Counting(task.prior), Streams(task.seed)
    cond: Cond = None
    if task.conditions is not None:
        cond = task.conditions.positive
        cond = cond.repeat(-(-algorithm.n_starts // len(cond)))[: algorithm.n_starts]
    if isinstance(task.prior, DensityPrior):
        starts = task.prior.sample(algorithm.n_starts, rng, cond).to(task.starts)
    else:
        starts = counting.start(algorithm.n_starts, rng).to(task.starts)
        starts = ddim(counting, starts, counting.grid(32), cond)
    yield ToyFrame(1, 2, starts)
    ended = mean_shift(task.prior, starts, task.bandwidth, tol=algorithm.tol, max_steps=algorithm.max_steps, cond=cond)
    modes = merge_modes(ended, 0.1 * task.bandwidth)
    z = modes.z[apportion(modes.weight, len(task.starts))]
    yield ToyFrame(2, 2, z)
    calls = (counting.calls + int(ended.steps.sum())) / algorithm.n_starts
    done = ended.converged.double().mean().item()
    seconds = time.thread_time() - began
    return ToyOutcome(entry, z, z[None], calls, int(ended.steps.max()), seconds, done, modes)


def follow_entries(
    playing: Generator[tuple[str, ToyFrame], None, dict[str, ToyOutcome]],
) -> Generator[Progress, None, dict[str, ToyOutcome]]:
    """Where each contestant stands, while they play in threads."""
    while True:
        try:
            name, frame = next(playing)
        except StopIteration as end:
            return end.value
        yield Progress(name, frame.index, frame.steps)


def apportion(weight: Float[Tensor, "m"], n: int) -> Tensor:
    """Indices (n,) in which each appears in proportion to its weight, by largest remainders."""
    ideal = n * weight / weight.sum()
    count = ideal.floor().long()
    missing = n - int(count.sum())
    count[(ideal - count).argsort(descending=True, stable=True)[:missing]] += 1
    return torch.arange(len(weight)).repeat_interleave(count)


def _worth_keeping(index: int, steps: int) -> bool:
    return index == steps or (index * _KEPT) // steps > ((index - 1) * _KEPT) // steps
