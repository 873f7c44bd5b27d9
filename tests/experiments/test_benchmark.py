"""`modeseek benchmark`, `methods` and `cite`: equal budgets, and a table of the outcomes."""

from __future__ import annotations

import csv
import os
import re
import time
from collections.abc import Generator
from pathlib import Path

import pytest
import torch
from terminal import cli_error

from modeseek.citations.bibtex import read_sources
from modeseek.cli import main
from modeseek.datasets.toy2d import ring
from modeseek.experiments.known_density.jobs import select_clouds
from modeseek.experiments.known_density.plan import Benchmark
from modeseek.experiments.toy2d.benchmark import run_entries
from modeseek.experiments.toy2d.entries_all import ALL_ENTRIES
from modeseek.experiments.toy2d.toy2d import Toy2DPlan
from modeseek.experiments.toy2d.toy2d_metrics import METRICS, EndPoints, GroundTruth
from modeseek.io.process_pool import run_in_processes
from modeseek.meanshift.modes import Modes
from modeseek.methods import METHODS
from modeseek.reports.metric import evaluate

F64 = torch.float64


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "exports" / "results.csv").open() as file:
        return {row["method"]: row for row in csv.DictReader(file)}


def last(job: Generator) -> object:
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value


@pytest.mark.slow
def test_clouds_move_side_by_side_as_alone() -> None:
    """Every entry, a cloud per stream: what one draws does not depend on the others, nor does its rate."""
    for name, entry in ALL_ENTRIES.items():
        plan = Benchmark(Toy2DPlan(ring(), (entry,), side=2, budget=1, label="each"), steps=8)
        task = plan.task("steps", entry, (3, 8))
        if entry.algorithm(task).couples:
            continue
        together = last(entry.run(task)).z
        alone = torch.cat([last(entry.run(select_clouds(task, [index]))).z for index in range(2)])
        torch.testing.assert_close(together, alone, rtol=0, atol=1e-12, msg=name)


def test_classes_are_assigned_in_turn() -> None:
    plan = Toy2DPlan(ring(), (ALL_ENTRIES["msd"],), side=4, budget=60, label="each")
    task = plan.task(plan.problem.prior)
    assert task.conditions.positive.tolist() == [*range(8)] * 2 and task.classes == 8 and plan.cond is None
    outcome = last(ALL_ENTRIES["msd"].run(task))
    angle = torch.atan2(outcome.z[:, 1], outcome.z[:, 0]).rad2deg().remainder(360)
    assert torch.allclose(
        angle, 45.0 * task.conditions.positive.double(), atol=2.0
    )  # every point at the mode of its class


def test_spread_and_modes_of_known_points() -> None:
    """True samples have the spread of the ground truth; points on modes have none, and cover just those."""
    problem = ring()
    modes = Modes(problem.prior.means, torch.full((8,), 0.125, dtype=F64), torch.zeros(1, dtype=torch.long), None)
    truth = GroundTruth.draw(problem, None, problem.bandwidth, modes, seed=0)
    samples = problem.prior.sample(4000, torch.Generator().manual_seed(0))
    assert EndPoints(samples, truth, None, problem.prior).spread == pytest.approx(1, rel=0.07)
    variance = 2 * problem.bandwidth**2
    moved = EndPoints(modes.z + torch.tensor([variance**0.5, 0], dtype=F64), truth, None, problem.prior)
    assert moved.spread == pytest.approx(1, rel=0.07)  # so far from its mode is a true sample in the mean square
    placed = EndPoints(modes.z[[0, 0, 0, 3, 3, 5, 5, 5]], truth, None, problem.prior)
    values = {key: estimate.value for key, estimate in evaluate(METRICS, placed).items()}
    assert values["found"] == 3 and values["spread"] == 0 and values["coverage"] == pytest.approx(3 / 8)


@pytest.mark.slow
def test_entries_in_processes_end_as_here() -> None:
    """Bit for bit, with all that a table and a figure show."""
    entries = [ALL_ENTRIES[name] for name in ("sds", "msd", "vsd", "find-modes")]
    task = Toy2DPlan(ring(), (), side=3, budget=30, label="each").task(ring().prior)
    outcomes, others = last(run_entries(entries, task, {"other": lambda: counting(0)}))
    assert list(outcomes) == [entry.name for entry in entries] and others == {"other": 0}
    for entry in entries:
        here, there = last(entry.run(task)), outcomes[entry.name]
        assert torch.equal(here.z, there.z) and torch.equal(here.trajectory, there.trajectory)
        assert (here.entry, here.calls, here.updates) == (there.entry, there.calls, there.updates)
        assert here.converged == there.converged and there.seconds > 0
    assert outcomes["vsd"].updates == 30 and outcomes["msd"].converged is not None


def counting(n: int) -> Generator[int, None, int]:
    for i in range(n):
        time.sleep(0.01)
        yield i
    return n * n


def broken() -> Generator[int, None, int]:
    yield 0
    raise ValueError("a mistake of one job")


def dying() -> Generator[int, None, int]:
    yield 0
    os._exit(7)


def test_jobs_in_processes_return_in_order() -> None:
    job, seen = (
        run_in_processes({"slow": lambda: counting(30), "fast": lambda: counting(3), "none": lambda: counting(0)}, 2),
        [],
    )
    while True:
        try:
            seen.append(next(job))
        except StopIteration as end:
            assert list(end.value.items()) == [("slow", 900), ("fast", 9), ("none", 0)]
            break
    assert {name for name, _ in seen} == {"slow", "fast"} and ("slow", 0) in seen


@pytest.mark.slow
def test_a_job_that_fails_or_dies_stops_the_others() -> None:
    with pytest.raises(ValueError, match="a mistake of one job"):
        last(run_in_processes({"long": lambda: counting(10**6), "broken": broken}, 2))
    with pytest.raises(RuntimeError, match=r"dying ended without a result \(exit code 7\)"):
        last(run_in_processes({"long": lambda: counting(10**6), "dying": dying}, 2))


@pytest.mark.slow
def test_methods_are_listed_with_paper_and_cost(capsys: pytest.CaptureFixture[str]) -> None:
    main(["methods"])
    output = capsys.readouterr().out
    assert all(f"\n{name} " in f"\n{output}" for name in METHODS)
    lines = output.splitlines()
    pairs = zip(lines, lines[1:], strict=False)
    cost = {name.split()[0]: line.strip() for name, line in pairs if name[:1].isalpha() and line[:1] == " "}
    assert cost["sds"] == "1 call per step, 2 guided" and cost["csd"] == "2 calls per step"
    assert cost["msd"] == "1 call per step, 2 guided, 16 before the first step"
    assert "arXiv 2305.16213" in output


def test_methods_are_cited(capsys: pytest.CaptureFixture[str]) -> None:
    main(["cite", "msd", "vsd", "vsd", "kid"])
    output = capsys.readouterr().out
    assert len(re.findall(r"^@\w+{", output, re.M)) == 5  # MSD stands on mean shift, too
    assert "2502.15989" in output and "2305.16213" in output and "1801.01401" in output
    assert "did you mean" in cli_error(["cite", "vssd"], capsys)
    assert {"msd", "perp-neg", "jsd", "dreamtime"} <= read_sources().keys()
