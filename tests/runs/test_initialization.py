"""Initial parameters that depend on the prior: computed by one process, taken over by the others, counted once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import modeseek as ms
from modeseek.codec import Identity
from modeseek.config.built_generator import BuiltGenerator, StartContext
from modeseek.config.generators import PointsConfig
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.distributed import Distributed
from modeseek.io.progress import Progress
from modeseek.runs.api import create_run
from modeseek.runs.initialization import initialize
from modeseek.runs.interrupts import RunInterrupted, StopRequest
from modeseek.runs.process_group import ProcessGroup
from modeseek.runs.recorder import NullRecorder
from modeseek.runs.run_state import RunContext
from modeseek.runs.train import train


@dataclass(frozen=True)
class SampledPoints(PointsConfig):
    """Points that start from one denoised draw of the prior."""

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[ms.Points]:
        points = ms.Points(torch.zeros(4, 2, dtype=loaded.prior.dtype))

        def start(context: StartContext) -> Iterator[Progress]:
            ones = torch.ones(4, dtype=points.z.dtype)
            yield Progress("sampling", 0, 1)
            with torch.no_grad():
                z = torch.randn(4, 2, generator=torch.Generator().manual_seed(context.seed), dtype=points.z.dtype)
                points.z.copy_(context.prior.at(z, ones, ones).z)
            yield Progress("sampling", 1, 1)

        return BuiltGenerator(points, Identity(), 1, pixels=False, initialize=start)


@dataclass(frozen=True)
class OtherProcess(ProcessGroup):
    """Rank 1 of 2, which gets what rank 0 sent."""

    sent: dict[str, Any] = field(default_factory=dict)
    distributed: Distributed = field(default_factory=lambda: Distributed(1, 2))

    def broadcast(self, value: Any) -> Any:
        return self.sent


def config(**changes: Any) -> ms.Config:
    plain = ms.Config(ms.runs.ToyPriorConfig("ring"), ms.MSD(0.3), steps=3, previews=0)
    return replace(plain, generator=SampledPoints(), **changes)


def context(tmp_path: Path) -> RunContext:
    run, objects = create_run(replace(config(), generator=PointsConfig()), ["test"], tmp_path / "run")
    built = SampledPoints().make(objects.loaded, 0)
    objects = replace(objects, generator=built.module, initialize=built.initialize)
    return RunContext(run, objects, NullRecorder(), ProcessGroup())


def test_rank_0_computes_them_and_counts_their_calls_once(tmp_path: Path) -> None:
    run = context(tmp_path)
    stages = [progress.done for progress in initialize(run, StopRequest())]
    z = run.objects.generator.state_dict()["z"]
    assert stages == [0, 1] and run.state.calls == 4 and run.objects.counting.calls == 4 and z.abs().sum() > 0
    before = z.clone()
    run.state.step = 1
    assert not list(initialize(run, StopRequest())) and torch.equal(before, z) and run.state.calls == 4


def test_the_other_processes_take_them_over_without_the_prior(tmp_path: Path) -> None:
    run = context(tmp_path)
    sent = {"z": torch.full((4, 2), 7.0)}
    run.process_group = OtherProcess(sent=sent)
    assert not list(initialize(run, StopRequest()))
    assert (run.objects.generator.state_dict()["z"] == 7).all()
    assert run.objects.counting.calls == 0 and run.state.calls == 0


def test_a_request_to_stop_ends_it(tmp_path: Path) -> None:
    job = initialize(context(tmp_path), request := StopRequest())
    next(job)
    request.signal = "SIGTERM"
    with pytest.raises(RunInterrupted, match="SIGTERM before the first step; to start again: modeseek resume"):
        next(job)


def test_a_rollback_to_the_start_computes_them_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = context(tmp_path)
    run.objects.config = replace(run.objects.config, on_failure="rollback")
    built: list[Any] = []
    make, step, failures = SampledPoints.make, ms.MSD.step, [True]

    def rebuild(self: Any) -> Any:
        built.append(make(SampledPoints(), self.loaded, 0))
        return replace(
            self,
            generator=built[-1].module,
            initialize=built[-1].initialize,
            optimizer=self.config.optimizer.make(built[-1].module.parameter_groups()),
        )

    def fail_once(self: ms.MSD, *args: Any, **options: Any) -> Any:
        if failures:
            failures.pop()
            raise FloatingPointError("broken")
        return step(self, *args, **options)

    monkeypatch.setattr("modeseek.runs.build.RunObjects.rebuild", rebuild)
    monkeypatch.setattr(ms.MSD, "step", fail_once)
    stages = []
    for progress in train(run.run, run.objects, 3):
        stages.append(progress.stage)
        if len(stages) == 4:  # the second start has ended
            assert built[0].module.z.abs().sum() > 0
    assert stages == [*["sampling"] * 4, *["optimising"] * 3]
    assert len(built) == 1 and run.run.status.rollbacks == 1
