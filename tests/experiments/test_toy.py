"""Toy benchmarks end to end on small budgets, and their parts."""

from __future__ import annotations

import csv
import json
import os
import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import cases
import numpy as np
import pytest
import torch
from PIL import Image

import modeseek as ms
from modeseek.cli import main
from modeseek.datasets import toy2d as plane
from modeseek.experiments.toy2d.algorithms import ModeSearch, apportion
from modeseek.experiments.toy2d.direction_error import at_bandwidth, measure_direction
from modeseek.experiments.toy2d.entries import ToyOutcome, ToyTask
from modeseek.experiments.toy2d.entries_tuned import DIGITS_ENTRIES, TOY2D_ENTRIES
from modeseek.experiments.toy2d.objective_grid import landscape, minima
from modeseek.io.thread_pool import run_in_threads, single_threaded

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_process")]
FILES = {
    "config.yaml", "command.txt", "env.json", "status.json", "metrics.jsonl", "log.txt", "report.html",
    "checkpoints", "previews", "media", "exports",
}  # fmt: skip


def finish(job: Generator) -> ToyOutcome:
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value


def task(budget: int = 70, scale: float = 1.0, label: int | None = None) -> ToyTask:
    problem = plane.ring()
    starts = problem.grid(4)
    conditions = None
    if label is not None:
        rows = torch.full((len(starts),), label)
        conditions = ms.Conditions(rows, null=torch.full_like(rows, -1))
    return ToyTask(problem.prior, starts, budget, problem.bandwidth, 0, conditions, scale)


@pytest.fixture(scope="module")
def ring(one_process: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of everything on a small problem."""
    out = tmp_path_factory.mktemp("toy") / "ring"
    main(["toy", "--problem", "ring", "--side", "6", "--budget", "60", "--out", str(out)])
    return out


def test_a_run_writes_all_its_files_and_nothing_else(ring: Path) -> None:
    assert {path.name for path in ring.iterdir() if path.name != ".lock"} == FILES
    assert {path.name for path in (ring / "media").iterdir()} == {"panels.png", "landscape.png", "points.gif"}
    assert {path.name for path in (ring / "exports").iterdir()} == {"results.json", "results.csv"}
    status = ms.Run.load(ring).status
    assert status.state == "finished" and status.seconds > 0
    assert [row["method"] for row in map(json.loads, (ring / "metrics.jsonl").read_text().splitlines())] == list(
        TOY2D_ENTRIES
    )
    assert [path.name for path in ring.parent.iterdir()] == ["ring"]


def test_the_results_hold_every_method_and_measure(ring: Path) -> None:
    results = json.loads((ring / "exports" / "results.json").read_text())
    assert list(results["methods"]) == list(TOY2D_ENTRIES)
    assert results["settings"]["seed"] == 0 and results["settings"]["budget"] == 60
    assert results["command"] == f"modeseek toy --problem ring --side 6 --budget 60 --out {ring}"
    assert results["versions"]["torch"] == torch.__version__ and results["machine"]["cores"] >= 1
    assert results["facts"]["bandwidth"] == pytest.approx(plane.ring().bandwidth)
    assert results["facts"]["true_modes"] == 8
    for name, values in results["methods"].items():
        assert {"nll", "precision", "recall", "mmd", "distance", "coverage", "calls", "seconds"} <= set(values)
        assert set(values) <= set(results["columns"])
        if name not in ("ddim", "find-modes"):
            assert 30 <= values["calls"] <= 60, name
    assert results["methods"]["msd"]["nmse"] <= 1e-20  # one call of an exact prior is the exact direction
    assert results["methods"]["sds"]["variance"] > 0.1
    assert results["methods"]["find-modes"]["coverage"] == pytest.approx(1)
    assert results["methods"]["find-modes"]["distance"] <= 1e-4
    assert "nmse" not in results["methods"]["sdi"]


def test_the_csv_says_what_the_json_says(ring: Path) -> None:
    results = json.loads((ring / "exports" / "results.json").read_text())["methods"]
    with (ring / "exports" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == list(results)
    for row in rows:
        values = {key: float(x) for key, x in row.items() if key != "method" and x}
        assert values == results[row["method"]]


def test_the_images_can_be_opened(ring: Path) -> None:
    for name in ("panels.png", "landscape.png"):
        with Image.open(ring / "media" / name) as image:
            assert min(image.size) >= 500
            assert len(image.convert("RGB").quantize(64).getcolors()) >= 32
    with Image.open(ring / "media" / "points.gif") as image:
        assert image.n_frames >= 8
        first = np.asarray(image.convert("RGB"), dtype=float)
        image.seek(image.n_frames - 1)
        assert np.abs(np.asarray(image.convert("RGB"), dtype=float) - first).mean() > 0.5  # the points moved
    assert (ring / "media" / "points.gif").stat().st_size <= 3_000_000


@pytest.mark.usefixtures("blank_figures")
def test_a_folder_that_exists_is_kept_and_the_new_name_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "mine.txt").write_text("precious")
    numbers = []
    for _ in range(2):
        main(["toy", "--problem", "ring", "--methods", "msd", "--side", "3", "--budget", "24", "--out", str(out)])
        numbers.append(capsys.readouterr().out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    assert {path.name for path in tmp_path.iterdir()} == {"run", "run-2", "run-3"}
    assert "is in run-2" in numbers[0] and "is in run-3" in numbers[1]
    methods = [
        json.loads((tmp_path / name / "exports" / "results.json").read_text())["methods"] for name in ("run-2", "run-3")
    ]
    for values in methods:
        values["msd"].pop("seconds")
    assert methods[0] == methods[1]  # the same seed, the same numbers, whatever the threads did


@pytest.mark.usefixtures("blank_figures")
def test_a_class_is_reached_with_guidance(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ["toy", "--problem", "ring", "--label", "2", "--scale", "2", "--side", "4", "--budget", "140"]
    main([*command, "--methods", "msd", "sdi", "--out", str(out)])
    results = json.loads((out / "exports" / "results.json").read_text())
    assert results["methods"]["msd"]["calls"] <= 140
    assert results["facts"]["true_modes"] == 1


@pytest.mark.usefixtures("blank_figures")
def test_a_learned_prior_is_trained_saved_and_used_again(tmp_path: Path) -> None:
    command = ["toy", "--problem", "ring", "--prior", "learned", "--side", "4", "--budget", "40", "--methods", "msd"]
    net = tmp_path / "net"
    main([*command, "--train-steps", "20", "--save-network", str(net), "--out", str(tmp_path / "a")])
    main([*command, "--network", str(net), "--out", str(tmp_path / "b")])
    results = [json.loads((tmp_path / x / "exports" / "results.json").read_text())["methods"]["msd"] for x in "ab"]
    assert results[0]["nll"] == pytest.approx(results[1]["nll"], rel=1e-6)
    assert results[0]["nmse"] > 1e-4  # measured against the ground truth, not the network
    network, given = ms.Network.load(net), task()
    modes = finish(ModeSearch(40, tol=1e-3).run(TOY2D_ENTRIES["find-modes"], replace(given, prior=network), (0, 1)))
    assert modes.z.shape == given.starts.shape and modes.z.isfinite().all()  # from samples, as it has no density
    assert modes.calls > 32 and modes.converged is not None


def test_digits_end_to_end(tmp_path: Path) -> None:
    out = tmp_path / "digits"
    main(["toy", "--problem", "digits", "--label", "3", "--budget", "40", "--out", str(out)])
    assert {path.name for path in out.iterdir() if path.name != ".lock"} == FILES
    assert {path.name for path in (out / "media").iterdir()} == {"sheets.png", "images.gif"}
    results = json.loads((out / "exports" / "results.json").read_text())["methods"]
    assert list(results) == [*DIGITS_ENTRIES, "training images"]
    assert all(values["calls"] <= 40 for name, values in results.items() if name != "training images")
    assert results["msd"]["accuracy"] >= 0.9
    assert results["training images"]["accuracy"] == 1


@pytest.mark.parametrize(("kind", "scale"), [("plane", 1.0), ("plane", 3.0), ("digits", 3.0)])
def test_no_entry_exceeds_its_budget(kind: str, scale: float) -> None:
    given = task(70, scale, label=1)
    for entry in (TOY2D_ENTRIES if kind == "plane" else DIGITS_ENTRIES).values():
        if entry.name == "find-modes":
            continue
        calls = entry.check(given)
        outcome = finish(entry.algorithm(given).run(entry, given, calls))
        assert 0 < outcome.calls <= given.budget, entry.name
        if entry.descends is not None:
            left = given.budget - outcome.calls
            assert left < calls[1], entry.name  # what is left would not pay for another step
        assert torch.equal(outcome.trajectory[-1], outcome.z)
        assert outcome.z.isfinite().all()


def test_all_descents_start_from_the_same_points() -> None:
    given = task()
    for name in ("sds", "sdi", "msd", "msd-product"):
        assert torch.equal(finish(TOY2D_ENTRIES[name].run(given)).trajectory[0], given.starts)


def test_apportion_is_proportional() -> None:
    weight = torch.tensor([0.5, 0.3, 0.2], dtype=cases.F64)
    assert torch.bincount(apportion(weight, 10)).tolist() == [5, 3, 2]
    assert torch.bincount(apportion(weight, 7), minlength=3).tolist() == [4, 2, 1]  # 3.5, 2.1, 1.4
    assert len(apportion(torch.full((300,), 1 / 300), 40)) == 40


def test_directions_are_compared_at_one_noise_level() -> None:
    """SDS weighted by sigma / alpha at the level of H estimates `H^2 grad E log p_H(z + H n)`; MSD is exact."""
    problem, h = plane.ring(), 0.3
    z = problem.prior.sample(20, cases.generator())
    sds = at_bandwidth(ms.SDS(), h, problem.prior)
    assert isinstance(sds, ms.SDS)
    alpha, sigma = problem.prior.schedule(sds.times(0.0, 1, cases.generator()).double())
    assert (sigma / alpha).item() == pytest.approx(h, rel=1e-6)
    exact = measure_direction(ms.MSD(ms.Fixed(9.0)), problem.prior, problem.prior, z, h, 2, rng=cases.generator())
    assert exact is not None and exact.nmse <= 1e-20
    assert at_bandwidth(ms.SDI(), h, problem.prior) is None
    assert at_bandwidth(ms.MSD(ms.Fixed(1.0), jitter=lambda p: p), h, problem.prior) is None


def test_landscapes_are_those_of_the_formulas() -> None:
    """For one Gaussian of width s, `-log p_H` is a paraboloid and SDS's is the same raised by `H^2 / (s^2 + H^2)`."""
    s, h = 0.5, 0.3
    one = torch.ones(1, dtype=cases.F64)
    prior = ms.GaussianMixture(one, torch.tensor([[0.2, -0.4]], dtype=cases.F64), s**2 * torch.eye(2).double()[None])
    field = landscape(prior, h, 1.0, 41)
    y, x = torch.meshgrid(field.ticks, field.ticks, indexing="ij")
    v = s * s + h * h
    want = ((x - 0.2) ** 2 + (y + 0.4) ** 2) / (2 * v) + np.log(2 * np.pi * v)
    assert cases.error(field.msd, want) <= 1e-12
    assert cases.error(field.sds, want + h * h / v) <= 3e-3  # the average stops at 4 standard deviations
    ((column, row),) = minima(field.msd).tolist()
    assert (field.ticks[column].item(), field.ticks[row].item()) == pytest.approx((0.2, -0.4), abs=1e-9)


@pytest.mark.usefixtures("blank_figures")
def test_a_failed_benchmark_says_so_and_keeps_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("modeseek.experiments.toy2d.toy2d.draw_landscapes", broken)
    out = tmp_path / "run"
    with pytest.raises(SystemExit) as caught:
        main(["toy", "--problem", "ring", "--methods", "msd", "--side", "3", "--budget", "24", "--out", str(out)])
    assert caught.value.code == 2
    status = ms.Run.load(out).status
    assert status.state == "failed" and "No space left" in status.reason
    assert (out / "media" / "panels.png").exists() and "failed" in ms.Run.load(out).log[-1]
    assert not ms.Run.load(out).running


@pytest.mark.usefixtures("blank_figures")
def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    target = tmp_path / "run"
    target.mkdir()
    main(["toy", "--problem", "ring", "--methods", "msd", "--side", "3", "--budget", "24", "--out", str(target)])
    assert [path.name for path in tmp_path.iterdir()] == ["run"] and (target / "report.html").exists()


@pytest.mark.usefixtures("blank_figures")
def test_the_same_benchmark_again_from_its_own_configuration(ring: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    main(["toy", "--problem", "ring", "--methods", "msd", "--side", "3", "--budget", "24", "--out", str(small)])
    main(["run", str(small / "config.yaml"), "--out", str(tmp_path / "again")])
    results = [
        json.loads((tmp_path / x / "exports" / "results.json").read_text())["methods"] for x in ("small", "again")
    ]
    for values in results:
        values["msd"].pop("seconds")
    assert results[0] == results[1]
    assert ms.Run.load(ring).settings["budget"] == 60 and ms.Run.load(ring).settings["verb"] == "toy"


def test_interleave_returns_what_each_job_returns() -> None:
    def job(n: int) -> Generator[int, None, str]:
        yield from range(n)
        return f"{n} done"

    seen: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    playing = run_in_threads({"a": job(3), "b": job(0), "c": job(5)}, workers=2)
    while True:
        try:
            name, item = next(playing)
        except StopIteration as end:
            assert end.value == {"a": "3 done", "b": "0 done", "c": "5 done"}
            break
        seen[name].append(item)
    assert seen == {"a": [0, 1, 2], "b": [], "c": [0, 1, 2, 3, 4]}


def test_interleave_raises_what_a_job_raises_and_stops_the_others() -> None:
    closed = threading.Event()

    def endless() -> Generator[int, None, None]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    def failing() -> Generator[int, None, None]:
        yield 0
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        list(run_in_threads({"a": endless(), "b": failing()}, workers=2))
    assert closed.wait(5)


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with single_threaded():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    assert len(os.sched_getaffinity(0)) >= 1
