"""Training of runs: interruption and resuming, failures, rollback, guard, checkpoints and trackers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from disk_faults import snapshot
from torch import Tensor

import modeseek as ms
from modeseek import runs
from modeseek.codec import RangeCodec
from modeseek.diffusion.noise_levels import Annealed
from modeseek.priors.wrapper import PriorWrapper
from modeseek.rundir.checkpoint import read_checkpoint
from modeseek.runs.api import create_run, iter_resume
from modeseek.runs.build import RunObjects, build
from modeseek.runs.render_guard import GuardState, detect_failure
from modeseek.runs.train import train

RING, DIGITS = runs.ToyPriorConfig("ring"), runs.ToyPriorConfig("digits")
OFTEN = runs.CheckpointConfig(steps=5)
CASES = {
    "msd-adaptive": ms.Config(RING, ms.MSD(ms.Adaptive(0.1)), optimizer=runs.SGDConfig(1.0, 0.9, True)),
    "msd-jitter": ms.Config(RING, ms.MSD(ms.Geometric(1.0, 0.1), jitter=ms.Fading())),
    "msd-common-noise": ms.Config(
        RING, ms.MSD(ms.Fixed(0.2), "product", steps=3, noise="common"), runs.PointsConfig(runs.NoiseStart(7))
    ),
    "sds": ms.Config(RING, ms.SDS(), runs.PointsConfig(runs.GridStart(4))),
    "sds-guided": ms.Config(RING, ms.SDS(), label=2, scale=2.0),
    "sdi": ms.Config(RING, ms.SDI(inversion_steps=3, inversion_eta=0.3), runs.PointsConfig(runs.NoiseStart(5))),
    "pixels": ms.Config(DIGITS, ms.SDS(ms.Uniform(0.3, 0.8)), runs.PixelsConfig(4), runs.AdamConfig(0.02), label=3),
    "inner-steps": ms.Config(
        DIGITS,
        ms.MSD(ms.Along(Annealed(0.9, 0.3)), weight=ms.weights.alpha_sigma, jitter=ms.Until(0.7)),
        runs.PixelsConfig(4),
        runs.AdamConfig(0.02),
        label=3,
        shift=2,
        inner_steps=3,
    ),
    "shifted": ms.Config(DIGITS, ms.MSD(ms.Fixed(0.5)), runs.PixelsConfig(4), runs.AdamConfig(0.02), label=3, shift=2),
}


def config(name: str, steps: int = 23) -> ms.Config:
    return replace(CASES[name], steps=steps, previews=3, saving=OFTEN, film="none")


@pytest.fixture(autouse=True)
def small_previews() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("modeseek.runs.previews._SIDE", 80)
        yield


def finish(run: ms.Run, objects: RunObjects, steps: int) -> None:
    for _ in train(run, objects, steps):
        pass


def close_early(run: ms.Run, objects: RunObjects, steps: int, at: int) -> None:
    """Closes the generator after `at` steps; no checkpoint is written for it."""
    training = train(run, objects, steps)
    for progress in training:
        if progress.done == at:
            training.close()
            return
    raise AssertionError("the run ended before it was closed")


def results(run: ms.Run) -> dict[str, Any]:
    """Everything that must not depend on interruptions."""
    rows = [{k: v for k, v in row.items() if k not in ("seconds", "memory_mb")} for row in run.metrics]
    checkpoint = read_checkpoint(run.checkpoints[-1])
    tensors = {k: v.numpy().tobytes() for k, v in checkpoint.tensors.items() if k != "state.torch_rng"}
    exports = {path.name: path.read_bytes() for path in (run.path / "exports").iterdir()}
    previews = {path.name: path.read_bytes() for path in (run.path / "previews").iterdir()}
    return {"rows": rows, "tensors": tensors, "exports": exports, "previews": previews, "calls": run.status.calls}


def test_only_the_optimisation_sees_the_shift() -> None:
    """Previews, exports and scores take the prior's own codec; building again does not shift twice."""
    objects = build(config("shifted"))
    assert objects.codec == ms.Shifted(objects.loaded.codec, 2) and isinstance(objects.loaded.codec, RangeCodec)
    assert objects.rebuild().codec == objects.codec and build(config("pixels")).codec == objects.loaded.codec
    with pytest.raises(ValueError, match="smaller than the image of 8 x 8 pixels, got 8; try fewer pixels"):
        build(replace(config("shifted"), shift=8))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_interrupted_and_resumed_equals_uninterrupted(name: str, tmp_path: Path) -> None:
    whole = ms.run(config(name), tmp_path / "whole")
    run, objects = create_run(config(name), ["test"], tmp_path / "pieces")
    for at in (3, 13, 19):  # before the first checkpoint, between two, just before one
        close_early(run, objects, 23, at)
        objects = build(run.config)
    ms.resume(run)
    assert results(run) == results(whole)
    assert [row["step"] for row in run.metrics] == list(range(23))
    assert run.status.state == "finished" and run.status.sessions == 4 and whole.status.sessions == 1


def test_inner_steps_cost_no_call_and_bring_images_closer_to_their_target(tmp_path: Path) -> None:
    base = ms.Config(
        DIGITS, ms.MSD(ms.Fixed(0.5)), runs.PixelsConfig(4), runs.SGDConfig(0.5), steps=5, label=3, previews=0
    )
    one, three = (ms.run(replace(base, inner_steps=n), tmp_path / f"{n}") for n in (1, 3))
    assert one.status.calls == three.status.calls == 4 * 5 and len(three.metrics) == 5
    first, second = (run.metrics for run in (one, three))
    assert first[0]["relative_shift"] == second[0]["relative_shift"]
    assert all(b["relative_shift"] < 0.9 * a["relative_shift"] for a, b in zip(first[1:], second[1:], strict=True))


def test_a_run_records_its_configuration_and_files(tmp_path: Path) -> None:
    filmed = replace(config("sds"), film="mp4")
    run = ms.run(filmed, tmp_path / "run")
    assert run.config == filmed.with_device()
    assert {path.name for path in run.path.iterdir() if not path.name.startswith(".")} == {
        "config.yaml", "command.txt", "env.json", "status.json", "metrics.jsonl", "log.txt", "report.html",
        "results.png", "checkpoints", "previews", "media", "exports",
    }  # fmt: skip
    status = run.status
    assert (status.state, status.step, status.steps, status.checkpoint) == ("finished", 23, 23, 23)
    assert status.calls == 16 * 23 and status.peak_memory_mb > 50 and status.rollbacks == 0
    assert [path.name for path in run.checkpoints] == ["step-00000020", "step-00000023"]
    assert run.environment["versions"]["torch"] == torch.__version__
    assert len(run.environment["prior"]["sha256"]) == 64
    assert len(list((run.path / "previews").iterdir())) == 4  # three before an update, one at the end
    assert {path.name for path in (run.path / "media").iterdir()} == {"before.png", "after.png", "optimisation.mp4"}


def test_the_exported_points_are_the_modes(tmp_path: Path) -> None:
    import numpy as np

    run = ms.run(replace(config("msd-adaptive"), steps=200), tmp_path / "run")
    z = torch.from_numpy(np.load(run.path / "exports" / "points.npy"))
    angle = torch.atan2(z[:, 1], z[:, 0]) * 8 / (2 * math.pi)
    assert (angle - angle.round()).abs().max() < 1e-3  # the ring's eight Gaussians sit at multiples of 45 degrees
    radius = 1.3 / math.sqrt((1.3**2 + 2 * 0.12**2) / 2)  # planes are scaled to unit variance
    assert (z.norm(dim=1) - radius).abs().max() < 1e-3
    assert run.metrics[-1]["relative_shift"] < 1e-6


def test_a_finished_run_is_extended(tmp_path: Path) -> None:
    run = ms.run(config("msd-adaptive"), tmp_path / "run")
    ms.resume(run)  # finished: nothing happens
    assert run.status.sessions == 1
    ms.resume(run, steps=31)
    assert run.status.step == run.status.steps == 31 and len(run.metrics) == 31
    with pytest.raises(ValueError, match="is already at step 31, got --steps 30"):
        ms.resume(run, steps=30)
    ms.resume(run)
    assert run.status.sessions == 2


def test_a_damaged_checkpoint_is_reported_and_the_previous_one_used(tmp_path: Path) -> None:
    whole = ms.run(config("msd-adaptive"), tmp_path / "whole")
    run, objects = create_run(config("msd-adaptive"), ["test"], tmp_path / "run")
    close_early(run, objects, 23, 18)
    newest = run.checkpoints[-1] / "tensors.safetensors"
    data = bytearray(newest.read_bytes())
    data[-3] ^= 4
    newest.write_bytes(bytes(data))
    ms.resume(run)
    assert results(run) == results(whole)
    log = "\n".join(run.log)
    assert "checkpoint step-00000015 is damaged: tensors.safetensors was altered" in log
    assert "resumed at step 10" in log


def test_torn_metrics_are_repeated(tmp_path: Path) -> None:
    whole = ms.run(config("sds"), tmp_path / "whole")
    run, objects = create_run(config("sds"), ["test"], tmp_path / "run")
    close_early(run, objects, 23, 13)
    path = run.path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    ms.resume(run)
    assert results(run)["rows"] == results(whole)["rows"]


def test_a_run_of_an_earlier_version_is_refused_in_one_line(tmp_path: Path) -> None:
    run, objects = create_run(config("sds"), ["test"], tmp_path / "run")
    close_early(run, objects, 23, 13)
    for path in run.checkpoints:
        manifest = json.loads((path / "manifest.json").read_text())
        (path / "manifest.json").write_text(json.dumps(manifest | {"format": "modeseek-checkpoint-1"}))
    before = snapshot(run.path)
    with pytest.raises(ValueError, match="made by an earlier version of modeseek and cannot be resumed") as caught:
        ms.resume(run)
    assert "\n" not in str(caught.value)
    after = snapshot(run.path)
    assert all(after[name] == contents for name, contents in before.items()), "the run is left as it was"


def test_a_checkpoint_that_does_not_fit_fails_the_run(tmp_path: Path) -> None:
    """The status says so, and keeps what was done."""
    run, objects = create_run(config("sds"), ["test"], tmp_path / "run")
    close_early(run, objects, 23, 13)
    path = run.path / "config.yaml"
    path.write_text(path.read_text().replace("side: 4", "side: 3"))
    before = run.status
    with pytest.raises(ValueError, match="step-00000010") as caught:
        ms.resume(run)
    status = run.status
    assert status.state == "failed" and status.reason == str(caught.value) and not run.running
    assert (status.step, status.calls, status.checkpoint) == (13, before.calls, 10) and status.sessions == 2
    path.write_text(path.read_text().replace("side: 3", "side: 4"))
    assert ms.resume(run).status.state == "finished"


def test_another_prior_is_refused(tmp_path: Path) -> None:
    import numpy as np

    points = tmp_path / "points.npy"
    np.save(points, np.random.default_rng(0).normal(size=(30, 2)))
    of_points = ms.Config(runs.SamplesPriorConfig(points), ms.MSD(ms.Fixed(0.5)), steps=20, saving=OFTEN, previews=2)
    run, objects = create_run(of_points, ["test"], tmp_path / "run")
    close_early(run, objects, 20, 12)
    np.save(points, np.random.default_rng(1).normal(size=(30, 2)))
    with pytest.raises(ValueError, match="the prior .* has changed since run began"):
        ms.resume(run)
    assert run.status.checkpoint == 10


@dataclass
class Broken(PriorWrapper):
    """Prior whose prediction has a NaN row while `calls` lies in a window."""

    prior: Any
    low: int
    high: int
    calls: int = 0

    def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: Any = None) -> ms.Prediction:
        self.calls += 1
        p = self.prior.at(z_t, alpha, sigma, cond)
        if not self.low <= self.calls <= self.high:
            return p
        eps = p.eps.clone()
        eps[2] = torch.nan
        return ms.Prediction.from_z_and_eps(z_t, alpha, sigma, p.z, eps, clamped=p.clamped)


def test_a_direction_that_is_not_finite_stops_the_run_and_names_step_and_row(tmp_path: Path) -> None:
    run, objects = create_run(config("sds"), ["test"], tmp_path / "run")
    objects.prior = Broken(objects.prior, 13, 13)
    with pytest.raises(runs.RunFailed, match=r"at step 12, row 2, t = 0.*last checkpoint at step 10.*rollback"):
        finish(run, objects, 23)
    assert run.status.state == "failed" and run.status.step == 12 and run.status.checkpoint == 10
    assert "not finite at step 12" in run.status.reason
    whole = ms.run(config("sds"), tmp_path / "whole")
    ms.resume(run)  # the cause is gone: nothing is lost
    assert results(run) == results(whole)


def test_a_rollback_halves_the_rate_and_changes_the_seed_once(tmp_path: Path) -> None:
    with_rollback = replace(config("sds"), on_failure="rollback")
    run, objects = create_run(with_rollback, ["test"], tmp_path / "run")
    objects.prior = Broken(objects.prior, 13, 13)
    finish(run, objects, 23)
    status = run.status
    assert status.state == "finished" and status.rollbacks == 1
    rows = run.metrics
    assert [row["step"] for row in rows] == list(range(23))
    assert [row["lr"] for row in rows] == [0.01] * 10 + [0.005] * 13
    whole = ms.run(config("sds"), tmp_path / "whole").metrics
    assert rows[9]["direction_norm"] == whole[9]["direction_norm"]
    assert rows[10]["direction_norm"] != whole[10]["direction_norm"]  # other noise from the same state
    run2, objects2 = create_run(with_rollback, ["test"], tmp_path / "twice")
    objects2.prior = Broken(objects2.prior, 13, 10**9)
    with pytest.raises(runs.RunFailed, match="not finite at step 10"):
        finish(run2, objects2, 23)
    assert run2.status.rollbacks == 1 and run2.status.state == "failed"


def test_rolling_back_before_any_checkpoint_starts_over(tmp_path: Path) -> None:
    run, objects = create_run(replace(config("sds"), on_failure="rollback"), ["test"], tmp_path / "run")
    objects.prior = Broken(objects.prior, 3, 3)
    finish(run, objects, 23)
    assert run.status.state == "finished" and {row["lr"] for row in run.metrics} == {0.005}
    assert run.status.calls == 16 * 23


def test_rolling_back_past_checkpoints_that_are_all_damaged_starts_over(tmp_path: Path) -> None:
    run, objects = create_run(replace(config("sds"), on_failure="rollback"), ["test"], tmp_path / "run")
    objects.prior = Broken(objects.prior, 13, 13)
    for progress in train(run, objects, 23):
        if progress.done == 12:
            for path in run.checkpoints:
                (path / "state.json").write_text("{}")
    assert [row["lr"] for row in run.metrics] == [0.005] * 23 and run.status.calls == 16 * 23
    fresh, broken = (ms.run(config("sds"), tmp_path / "fresh").metrics[0], run.metrics[0])
    assert broken["step"] == 0 and broken["direction_norm"] != fresh["direction_norm"]


def test_a_rolled_back_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    ends = []
    for pieces in (False, True):
        run, objects = create_run(replace(config("sds"), on_failure="rollback"), ["test"], tmp_path / str(pieces))
        objects.prior = Broken(objects.prior, 13, 13)
        if pieces:
            steps, n = train(run, objects, 23), 0
            for _ in steps:
                n += 1
                if n == 12 + 6:  # six steps after the rollback, one after its next checkpoint
                    steps.close()
            ms.resume(run)
        else:
            finish(run, objects, 23)
        ends.append(results(run))
    assert ends[0] == ends[1]


def test_parameters_that_overflow_are_never_saved(tmp_path: Path) -> None:
    wild = ms.Config(
        RING, ms.MSD(ms.Fixed(0.1)), optimizer=runs.SGDConfig(1.7e308), steps=20, saving=runs.CheckpointConfig(steps=1)
    )
    wild = replace(
        wild, generator=runs.PointsConfig(runs.NoiseStart(9, spread=5.0))
    )  # shifts above 1: infinite at once
    with pytest.raises(runs.RunFailed, match="z is not finite after step 0; lower the learning rate"):
        ms.run(wild, tmp_path / "run")
    run = ms.Run.load(tmp_path / "run")
    assert run.status.state == "failed" and run.checkpoints == []


GUARD = runs.GuardConfig(patience=3, grace=0.0)


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (torch.zeros(3, 8, 8), "vanished"),
        (torch.full((3, 8, 8), 0.4), "constant"),
        (torch.linspace(-5, 6, 192).reshape(3, 8, 8).sign().clamp(0, 1), "saturated"),
        (torch.linspace(0, 1, 192).reshape(3, 8, 8), ""),
        (torch.linspace(0.4, 0.41, 192).reshape(3, 8, 8), ""),
        (torch.full((3, 8, 8), 1.7), "constant"),
    ],
)
def test_failed_renderings_are_detected(image: Tensor, kind: str) -> None:
    healthy = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    both = torch.cat([healthy, image[None]])
    assert detect_failure(both, GUARD)[0] == kind
    if kind:
        assert detect_failure(both, GUARD)[1] == 1


def test_patience_and_grace() -> None:
    black, healthy = torch.zeros(1, 1, 4, 4), torch.linspace(0, 1, 16).reshape(1, 1, 4, 4)
    state = GuardState()
    for image in (healthy, black, black, healthy, black, black):
        state = state.update(image, GUARD, 5, 100)
    with pytest.raises(runs.RunFailed, match="the rendering vanished at step 7, item 0 .* for 3 steps in a row; lower"):
        state.update(black, GUARD, 7, 100)
    patient = replace(GUARD, grace=0.2)
    state = GuardState()
    for index in range(20):  # the initial rendering is black
        state = state.update(black, patient, index, 100)
    for index in (20, 21):
        state = state.update(black, patient, index, 100)
    with pytest.raises(runs.RunFailed, match="vanished at step 22"):
        state.update(black, patient, 22, 100)


def test_a_saturated_rendering_stops_the_run(tmp_path: Path) -> None:
    wild = replace(config("pixels", 60), optimizer=runs.SGDConfig(10.0))
    with pytest.raises(
        runs.RunFailed, match=r"the rendering is saturated at step \d+, item \d .* lower the guidance scale"
    ):
        ms.run(wild, tmp_path / "run")
    run = ms.Run.load(tmp_path / "run")
    assert run.status.state == "failed"
    calm = replace(wild, guard=runs.GuardConfig(active=False), steps=run.status.step + 2)
    assert ms.run(calm, tmp_path / "calm").status.state == "finished"


def test_suspicious_states_are_never_saved(tmp_path: Path) -> None:
    wild = replace(config("pixels", 60), optimizer=runs.SGDConfig(10.0), saving=runs.CheckpointConfig(steps=1))
    with pytest.raises(runs.RunFailed, match="saturated at step") as caught:
        ms.run(wild, tmp_path / "run")
    run = ms.Run.load(tmp_path / "run")
    last = int(run.checkpoints[-1].name.removeprefix("step-"))
    step = int(str(caught.value).split("at step ")[1].split(",")[0])
    assert last == step - 4  # after the last healthy step: five failures in a row, this one included
    assert read_checkpoint(run.checkpoints[-1]).plain["dict"][3][1]["fields"]["streak"] == 0


def test_checkpoints_follow_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modeseek.runs import run_state, train

    ticks = iter(float(i) for i in range(10**6))  # a second passes at every reading of the clock
    monkeypatch.setattr(train.time, "perf_counter", lambda: next(ticks))
    saved: list[int] = []
    real = run_state.write_checkpoint

    def write(folder: Path, step: int, *rest: object) -> Path:
        saved.append(step)
        return real(folder, step, *rest)

    monkeypatch.setattr(run_state, "write_checkpoint", write)
    ms.run(replace(config("sds"), steps=400, saving=runs.CheckpointConfig(seconds=30.0), previews=0), tmp_path / "run")
    gaps = [b - a for a, b in zip(saved, saved[1:], strict=False)]
    assert saved[-1] == 400 and len(saved) >= 3
    assert min(gaps[:-1]) >= 25  # a save takes one tick here: fifty of them pass, two a step


def test_a_full_disk_loses_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modeseek.io import atomic as disk

    whole = ms.run(config("msd-adaptive"), tmp_path / "whole")
    run, objects = create_run(config("msd-adaptive"), ["test"], tmp_path / "run")
    real, writes_left = disk.write_synced, [10]

    def write(path: Path, data: bytes) -> None:
        writes_left[0] -= 1
        if writes_left[0] < 0:
            path.write_bytes(data[: len(data) // 2])
            raise OSError(28, "No space left on device", str(path))
        real(path, data)

    monkeypatch.setattr(disk, "write_synced", write)
    monkeypatch.setattr("modeseek.rundir.checkpoint.write_synced", write)
    with pytest.raises(
        runs.RunInterrupted, match=r"No space left on device at step \d+ .*free some disk space, then: modeseek resume"
    ):
        finish(run, objects, 23)
    monkeypatch.undo()
    ms.resume(run)
    assert results(run) == results(whole)


def test_two_processes_do_not_work_on_one_run(tmp_path: Path) -> None:
    run, objects = create_run(config("sds"), ["test"], tmp_path / "run")
    training = train(run, objects, 23)
    next(training)
    assert run.running
    with pytest.raises(ValueError, match="is being worked on by another process"):
        next(iter_resume(run))
    training.close()
    assert not run.running


def test_every_metric_is_standard_json(tmp_path: Path) -> None:
    run = ms.run(config("msd-adaptive"), tmp_path / "run")
    for line in (run.path / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line, parse_constant=lambda word: pytest.fail(word))
        assert {"step", "seconds", "calls", "direction_norm", "lr", "memory_mb", "bandwidth", "relative_shift"} <= set(
            row
        )


def test_metrics_are_logged_to_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = ms.run(replace(config("msd-adaptive"), trackers=("tensorboard",)), tmp_path / "run")
    events = EventAccumulator(str(run.path / "tensorboard")).Reload()
    shifts = events.Scalars("relative_shift")
    assert [event.step for event in shifts] == list(range(23))
    expected = [row["relative_shift"] for row in run.metrics]
    assert [event.value for event in shifts] == pytest.approx(expected, rel=1e-6)


def test_a_missing_tracker_is_reported_before_the_folder_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ValueError, match=r"the tracker wandb is not installed: .* pip install 'modeseek\[wandb\]'"):
        ms.run(replace(config("sds"), trackers=("wandb",)), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_at_the_end_of_a_step_is_honoured_after_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop request is read once per step: a stop without its checkpoint would lose steps."""
    import os
    import signal

    from modeseek.runs import train as module

    real = module._set_learning_rate

    def signalling(objects: Any, state: Any, steps: int) -> None:  # the stop request was read before
        if state.step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        real(objects, state, steps)

    monkeypatch.setattr(module, "_set_learning_rate", signalling)
    run, objects = create_run(replace(config("sds"), saving=runs.CheckpointConfig()), ["test"], tmp_path / "run")
    with pytest.raises(runs.RunInterrupted, match="SIGTERM after step 8 of 23"):
        finish(run, objects, 23)
    assert run.status.state == "stopped" and run.status.checkpoint == run.status.step == 8
