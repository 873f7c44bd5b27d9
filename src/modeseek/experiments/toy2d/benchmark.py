"""A contest: methods that start from the same points and may ask the prior equally often."""

from __future__ import annotations

import math
import time
from collections.abc import Generator

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.distill import distill
from modeseek.experiments.toy2d.entries import Climb, Contestant, Descent, Frame, Outcome, Sampling, Task
from modeseek.generators.points import Points
from modeseek.io.progress import Progress
from modeseek.meanshift.mean_shift import mean_shift
from modeseek.meanshift.modes import merged
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


def costs(play: Descent, task: Task) -> tuple[int, int]:
    """Prior calls a point, guidance included: once before the first step, and each step."""
    labels = Conditions(torch.tensor([0]), null=torch.tensor([-1]))
    return count_prior_calls(
        play.method, task.scale, play.guided, None if task.conditions is None else play.told(labels, 2)
    )


def run(contestant: Contestant, task: Task) -> Generator[Frame, None, Outcome]:
    """Plays one contestant, a frame a step.

    Raises:
        ValueError: a budget below one step, or modes sought under guidance, where no density is climbed.
    """
    play = contestant.make(task)
    if isinstance(play, Descent):
        return (yield from _descend(contestant, play, task))
    if isinstance(play, Sampling):
        return (yield from _sample(contestant, play, task))
    return (yield from _climb(contestant, play, task))


def check(contestant: Contestant, task: Task) -> None:
    """What `run` would refuse, before any work is done."""
    if not 0 < task.bandwidth < math.inf:
        raise ValueError(f"a bandwidth is positive and finite: got {task.bandwidth}; leave it out for the default")
    play = contestant.make(task)
    if isinstance(play, Climb) and task.conditions is not None and task.scale != 1:
        raise ValueError(
            f"{contestant.name} climbs a density and a guided prior has none: got scale {task.scale:g}; use scale 1 "
            f"or leave {contestant.name} out of the methods"
        )
    least = 2
    if isinstance(play, Descent):
        play.told(task.conditions, 2)
        first, each = costs(play, task)
        least = first + 2 * each
    if task.budget < least:
        raise ValueError(
            f"a budget of {task.budget} prior calls a point is too small: two steps of {contestant.name} take {least}; "
            f"pass at least {least}"
        )


def _descend(contestant: Contestant, play: Descent, task: Task) -> Generator[Frame, None, Outcome]:
    check(contestant, task)
    began = time.thread_time()
    counting = Counting(task.prior)
    prior = Guided(counting, task.scale) if play.guided and task.conditions is not None else counting
    generator = Points(task.starts)
    method, n = play.method, len(task.starts)
    first, each = costs(play, task)
    steps = (task.budget - first) // each
    kept, state = [task.starts], None
    walk = distill(
        generator,
        prior,
        method,
        play.optimizer(generator.parameters()),
        steps=steps,
        conditions=play.told(task.conditions, task.classes),
        rng=Streams(task.seed),
    )
    for step in walk:
        z, state = generator.z.detach().clone(), step.state
        if _worth_keeping(step.index + 1, steps):
            kept.append(z)
        yield Frame(step.index + 1, steps, z)
        if step.index + 1 < steps and counting.calls + each * n > task.budget * n:  # its steps cost more than the mean
            kept.append(z)
            break
    done = method.done(state).double().mean().item() if isinstance(method, MSD) and state is not None else None
    seconds = time.thread_time() - began
    lessons = steps * method.updates + method.warmup if isinstance(method, VSD) else 0
    told = (counting.calls / n, steps, seconds, done, None, lessons)
    return Outcome(contestant, kept[-1], torch.stack(kept), *told)


def _sample(contestant: Contestant, play: Sampling, task: Task) -> Generator[Frame, None, Outcome]:
    check(contestant, task)
    began = time.thread_time()
    counting = Counting(task.prior)
    prior = counting if task.conditions is None else Guided(counting, task.scale)
    branches = 2 if task.conditions is not None and task.scale != 1 else 1
    n, steps = len(task.starts), min(play.steps, task.budget // branches)
    z, times = prior.start(n, Streams(task.seed)).to(task.starts), prior.grid(steps)
    kept = [z]
    for index in range(steps):
        z = ddim(prior, z, times[index : index + 2], task.conditions)
        if _worth_keeping(index + 1, steps):
            kept.append(z)
        yield Frame(index + 1, steps, z)
    return Outcome(contestant, z, torch.stack(kept), counting.calls / n, steps, time.thread_time() - began)


def _climb(contestant: Contestant, play: Climb, task: Task) -> Generator[Frame, None, Outcome]:
    check(contestant, task)
    began = time.thread_time()
    counting, rng = Counting(task.prior), Streams(task.seed)
    cond: Cond = None
    if task.conditions is not None:
        cond = task.conditions.positive
        cond = cond.repeat(-(-play.n_starts // len(cond)))[: play.n_starts]
    if isinstance(task.prior, DensityPrior):
        starts = task.prior.sample(play.n_starts, rng, cond).to(task.starts)
    else:
        starts = counting.start(play.n_starts, rng).to(task.starts)
        starts = ddim(counting, starts, counting.grid(32), cond)
    yield Frame(1, 2, starts)
    ended = mean_shift(task.prior, starts, task.bandwidth, tol=play.tol, max_steps=play.max_steps, cond=cond)
    modes = merged(ended, 0.1 * task.bandwidth)
    z = modes.z[apportion(modes.weight, len(task.starts))]
    yield Frame(2, 2, z)
    calls = (counting.calls + int(ended.steps.sum())) / play.n_starts
    done = ended.converged.double().mean().item()
    seconds = time.thread_time() - began
    return Outcome(contestant, z, z[None], calls, int(ended.steps.max()), seconds, done, modes)


def told(
    playing: Generator[tuple[str, Frame], None, dict[str, Outcome]],
) -> Generator[Progress, None, dict[str, Outcome]]:
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
