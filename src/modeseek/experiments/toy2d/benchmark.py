"""Benchmark at equal prior calls: every entry starts from the same points with the same call budget."""

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

_MAX_FRAMES = 160  # of a trajectory


def prior_calls(algorithm: Descent, task: ToyTask) -> tuple[int, int]:
    """Prior calls per point, guidance included: before the first step, and in each step."""
    labels = Conditions(torch.tensor([0]), null=torch.tensor([-1]))
    return count_prior_calls(
        algorithm.method,
        task.scale,
        algorithm.guided,
        None if task.conditions is None else algorithm.complete_conditions(labels, 2),
    )


def run_entry(entry: ToyEntry, task: ToyTask) -> Generator[ToyFrame, None, ToyOutcome]:
    """Runs one entry and yields a frame per step.

    Raises:
        ValueError: the budget is below two steps, or a mode search is run with guidance.
    """
    algorithm = entry.algorithm(task)
    if isinstance(algorithm, Descent):
        return (yield from _descend(entry, algorithm, task))
    if isinstance(algorithm, Sampling):
        return (yield from _sample(entry, algorithm, task))
    return (yield from _find_modes(entry, algorithm, task))


def check_entry(entry: ToyEntry, task: ToyTask) -> None:
    """Raises the ValueError that `run_entry` would raise, without any work."""
    if not 0 < task.bandwidth < math.inf:
        raise ValueError(f"bandwidth must be positive and finite, got {task.bandwidth}; leave it out for the default")
    algorithm = entry.algorithm(task)
    if isinstance(algorithm, ModeSearch) and task.conditions is not None and task.scale != 1:
        raise ValueError(
            f"{entry.name} climbs a density and a guided prior has none: got scale {task.scale:g}; use scale 1 or "
            f"remove {entry.name} from the methods"
        )
    least = 2
    if isinstance(algorithm, Descent):
        algorithm.complete_conditions(task.conditions, 2)
        first, each = prior_calls(algorithm, task)
        least = first + 2 * each
    if task.budget < least:
        raise ValueError(
            f"a budget of {task.budget} prior calls per point is too small: two steps of {entry.name} take {least}; "
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
    trajectory, state = [task.starts], None
    run = distill(
        generator,
        prior,
        method,
        algorithm.optimizer(generator.parameters()),
        steps=steps,
        conditions=algorithm.complete_conditions(task.conditions, task.classes),
        rng=Streams(task.seed),
    )
    for step in run:
        z, state = generator.z.detach().clone(), step.state
        if _is_kept(step.index + 1, steps):
            trajectory.append(z)
        yield ToyFrame(step.index + 1, steps, z)
        if step.index + 1 < steps and counting.calls + each * n > task.budget * n:  # steps cost more than on average
            trajectory.append(z)
            break
    converged = method.done(state).double().mean().item() if isinstance(method, MSD) and state is not None else None
    seconds = time.thread_time() - began
    updates = steps * method.updates + method.warmup if isinstance(method, VSD) else 0
    costs = (counting.calls / n, steps, seconds, converged, None, updates)
    return ToyOutcome(entry, trajectory[-1], torch.stack(trajectory), *costs)


def _sample(entry: ToyEntry, algorithm: Sampling, task: ToyTask) -> Generator[ToyFrame, None, ToyOutcome]:
    check_entry(entry, task)
    began = time.thread_time()
    counting = Counting(task.prior)
    prior = counting if task.conditions is None else Guided(counting, task.scale)
    branches = 2 if task.conditions is not None and task.scale != 1 else 1
    n, steps = len(task.starts), min(algorithm.steps, task.budget // branches)
    z, times = prior.start(n, Streams(task.seed)).to(task.starts), prior.grid(steps)
    trajectory = [z]
    for index in range(steps):
        z = ddim(prior, z, times[index : index + 2], task.conditions)
        if _is_kept(index + 1, steps):
            trajectory.append(z)
        yield ToyFrame(index + 1, steps, z)
    return ToyOutcome(entry, z, torch.stack(trajectory), counting.calls / n, steps, time.thread_time() - began)


def _find_modes(entry: ToyEntry, algorithm: ModeSearch, task: ToyTask) -> Generator[ToyFrame, None, ToyOutcome]:
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
    converged = ended.converged.double().mean().item()
    seconds = time.thread_time() - began
    return ToyOutcome(entry, z, z[None], calls, int(ended.steps.max()), seconds, converged, modes)


def follow_entries(
    runs: Generator[tuple[str, ToyFrame], None, dict[str, ToyOutcome]],
) -> Generator[Progress, None, dict[str, ToyOutcome]]:
    """Yields the progress of entries that run in threads; returns their outcomes."""
    while True:
        try:
            name, frame = next(runs)
        except StopIteration as end:
            return end.value
        yield Progress(name, frame.index, frame.steps)


def apportion(weight: Float[Tensor, "m"], n: int) -> Tensor:
    """Indices (n,), each repeated in proportion to its weight (largest remainder method)."""
    ideal = n * weight / weight.sum()
    count = ideal.floor().long()
    missing = n - int(count.sum())
    count[(ideal - count).argsort(descending=True, stable=True)[:missing]] += 1
    return torch.arange(len(weight)).repeat_interleave(count)


def _is_kept(index: int, steps: int) -> bool:
    return index == steps or (index * _MAX_FRAMES) // steps > ((index - 1) * _MAX_FRAMES) // steps
