"""Algorithms of the toy benchmarks, at equal prior calls: descent along a method, sampling, mode search."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.distill import distill
from modeseek.experiments.toy2d.clouds import Clouds
from modeseek.experiments.toy2d.entries import Algorithm, Reference, ToyEntry, ToyOutcome, ToyTask
from modeseek.experiments.toy2d.settings import DDIM, OptimizerSetting, ddim_lengths
from modeseek.io.progress import Progress
from modeseek.meanshift.mean_shift import mean_shift
from modeseek.meanshift.modes import merge_modes
from modeseek.methods.base import ConvergingMethod, Method, TrainingMethod, block_size
from modeseek.priors.base import Conditions, DensityPrior
from modeseek.priors.guidance import Guided
from modeseek.priors.wrapper import Counting
from modeseek.pytree import Cond
from modeseek.rng import Streams
from modeseek.runs.count_calls import count_prior_calls
from modeseek.sampling.samplers import ddim

_MAX_FRAMES = 160  # of a trajectory


@dataclass(frozen=True)
class Descent(Algorithm):
    """Gradient descent along the direction of a method.

    Attributes:
        method: the method.
        setting: optimizer of the points, its learning rate and its fall.
        guided: whether the method uses a guided prior.
        needs: see `Algorithm`.
        flows: whether its noise is fixed while its annealed times fall, so that DDIM's step lengths are a setting.
        trials: settings of one optimizer that take the place of `setting`, each for an equal share of the clouds.
    """

    method: Method  # pyright: ignore[reportIncompatibleVariableOverride]
    setting: OptimizerSetting = OptimizerSetting()  # pyright: ignore[reportIncompatibleVariableOverride]
    guided: bool = True
    needs: tuple[str, ...] = ()
    flows: bool = False
    trials: tuple[OptimizerSetting, ...] = ()

    @property
    def couples(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return isinstance(self.method, TrainingMethod) or block_size(self.method) is None

    def trying(self, settings: tuple[OptimizerSetting, ...]) -> Descent:
        return replace(self, trials=settings)

    def prior_calls(self, task: ToyTask) -> tuple[int, int]:
        one, null = torch.tensor([1]), torch.tensor([-1])
        labels = Conditions(torch.tensor([0]), null=null, negative=one, source=one)
        conditions = self.needed(None if task.conditions is None else labels)
        return count_prior_calls(self.method, task.scale, self.guided, conditions)

    def needed(self, conditions: Conditions | None) -> Conditions | None:
        """The target class, its null, and of negative and source what the method needs.

        Raises:
            ValueError: the method compares conditions, and there are none.
        """
        if self.needs and conditions is None:
            raise ValueError(
                f"{type(self.method).__name__} compares conditions: got a task without classes; add --label or remove "
                "it from the methods"
            )
        unused = {part: None for part in ("negative", "source") if part not in self.needs}
        return None if conditions is None else replace(conditions, **unused)

    def run(self, entry: ToyEntry, task: ToyTask, calls: tuple[int, int]) -> Generator[Progress, None, ToyOutcome]:
        began = time.thread_time()
        counting = Counting(task.prior)
        prior = Guided(counting, task.scale) if self.guided and task.conditions is not None else counting
        settings, n = self.trials or (self.setting,), len(task.starts)
        generator = Clouds(task.starts, task.clouds, len(settings))
        first, each = calls
        steps = (task.budget - first) // each if task.steps is None else task.steps
        method = self.method_at(settings[0], task, steps)
        optimizer = settings[0].config.make([{"params": [part]} for part in generator.parts])
        _set_rates(optimizer, settings, 0.0)
        trajectory, state = [task.starts], None
        for step in distill(
            generator,
            prior,
            method,
            optimizer,
            steps=steps,
            conditions=self.needed(task.conditions),
            rng=Streams(task.seed),
        ):
            z, state = generator.z.detach().clone(), step.state
            _set_rates(optimizer, settings, min(1.0, (step.index + 1) / max(1, steps - 1)))
            if _is_kept(step.index + 1, steps):
                trajectory.append(z)
            yield Progress(entry.name, step.index + 1, steps)
            if step.index + 1 < steps and counting.calls + each * n > task.budget * n:  # steps above the mean cost
                trajectory.append(z)
                break
        converged = method.done(state).double().mean().item() if isinstance(method, ConvergingMethod) else None
        updates = steps * method.updates + method.warmup if isinstance(method, TrainingMethod) else 0
        walk, seconds = torch.stack(trajectory), time.thread_time() - began
        return ToyOutcome(entry, walk[-1], walk, counting.calls / n, seconds, converged, updates)

    def method_at(self, setting: OptimizerSetting, task: ToyTask, steps: int) -> Method:
        """The method; with DDIM's step lengths as its weight where the setting asks for them."""
        if setting.optimizer != DDIM:
            return self.method
        method: Any = self.method
        return replace(method, weight=ddim_lengths(task.prior.schedule, method.times, steps))


@dataclass(frozen=True)
class Sampling(Reference):
    """DDIM sampling from noise, with `steps` steps or what the budget allows."""

    steps: int = 128

    def prior_calls(self, task: ToyTask) -> tuple[int, int]:
        return 0, 2 if task.conditions is not None and task.scale != 1 else 1

    def run(self, entry: ToyEntry, task: ToyTask, calls: tuple[int, int]) -> Generator[Progress, None, ToyOutcome]:
        began = time.thread_time()
        counting = Counting(task.prior)
        prior = counting if task.conditions is None else Guided(counting, task.scale)
        n, steps = len(task.starts), min(self.steps, task.budget // calls[1])
        z, times = prior.start(n, Streams(task.seed, items=task.clouds)).to(task.starts), prior.grid(steps)
        trajectory = [z]
        for index in range(steps):
            z = ddim(prior, z, times[index : index + 2], task.conditions)
            if _is_kept(index + 1, steps):
                trajectory.append(z)
            yield Progress(entry.name, index + 1, steps)
        return ToyOutcome(entry, z, torch.stack(trajectory), counting.calls / n, time.thread_time() - began)


@dataclass(frozen=True)
class ModeSearch(Reference):
    """Mean shift from `n_starts` samples of the prior until convergence, merged into distinct modes."""

    n_starts: int = 2000
    tol: float = 1e-6
    max_steps: int = 2000
    couples: ClassVar[bool] = True

    def prior_calls(self, task: ToyTask) -> tuple[int, int]:
        if task.conditions is not None and task.scale != 1:
            raise ValueError(
                f"find-modes climbs a density and a guided prior has none: got scale {task.scale:g}; use scale 1 or "
                "remove find-modes from the methods"
            )
        return 0, 1

    def run(self, entry: ToyEntry, task: ToyTask, calls: tuple[int, int]) -> Generator[Progress, None, ToyOutcome]:
        began = time.thread_time()
        counting, rng = Counting(task.prior), Streams(task.seed, items=task.clouds)
        cond: Cond = None
        if task.conditions is not None:
            cond = task.conditions.positive
            cond = cond.repeat(-(-self.n_starts // len(cond)))[: self.n_starts]
        if isinstance(task.prior, DensityPrior):
            starts = task.prior.sample(self.n_starts, rng, cond).to(task.starts)
        else:
            starts = counting.start(self.n_starts, rng).to(task.starts)
            starts = ddim(counting, starts, counting.grid(32), cond)
        yield Progress(entry.name, 1, 2)
        ended = mean_shift(task.prior, starts, task.bandwidth, tol=self.tol, max_steps=self.max_steps, cond=cond)
        modes = merge_modes(ended, 0.1 * task.bandwidth)
        z = modes.z[apportion(modes.weight, len(task.starts))]
        yield Progress(entry.name, 2, 2)
        spent = (counting.calls + int(ended.steps.sum())) / self.n_starts
        converged = ended.converged.double().mean().item()
        return ToyOutcome(entry, z, z[None], spent, time.thread_time() - began, converged)


def apportion(weight: Float[Tensor, "m"], n: int) -> Tensor:
    """Indices (n,), each repeated in proportion to its weight (largest remainder method)."""
    ideal = n * weight / weight.sum()
    count = ideal.floor().long()
    missing = n - int(count.sum())
    count[(ideal - count).argsort(descending=True, stable=True)[:missing]] += 1
    return torch.arange(len(weight)).repeat_interleave(count)


def _is_kept(index: int, steps: int) -> bool:
    return index == steps or (index * _MAX_FRAMES) // steps > ((index - 1) * _MAX_FRAMES) // steps


def _set_rates(optimizer: torch.optim.Optimizer, settings: tuple[OptimizerSetting, ...], progress: float) -> None:
    """Sets the learning rate of each group of parameters by its own setting."""
    for group, setting in zip(optimizer.param_groups, settings, strict=True):
        group["lr"] = setting.config.rate(progress)
