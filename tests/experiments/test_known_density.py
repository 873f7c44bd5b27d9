"""`modeseek benchmark`: tuned on other seeds than it reports, at equal calls and equal steps, and resumed."""

from __future__ import annotations

import csv
import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from terminal import cli_error

import modeseek as ms
from modeseek.cli import main
from modeseek.datasets.toy2d import ring, spiral
from modeseek.experiments.known_density import jobs, report
from modeseek.experiments.known_density.grid import Grid
from modeseek.experiments.known_density.jobs import CloudJob, Clouds2D
from modeseek.experiments.known_density.measure import Edited, law_distance
from modeseek.experiments.known_density.plan import TUNING_STREAMS, Benchmark, tuning_streams
from modeseek.experiments.known_density.tuning import chosen_setting, tune
from modeseek.experiments.toy2d.algorithms import Descent
from modeseek.experiments.toy2d.entries import ToyEntry, ToyOutcome
from modeseek.experiments.toy2d.entries_all import ALL_ENTRIES
from modeseek.experiments.toy2d.figures.panels import draw_panels
from modeseek.experiments.toy2d.settings import DDIM, OptimizerSetting, ddim_lengths
from modeseek.experiments.toy2d.toy2d import Toy2DPlan
from modeseek.experiments.toy2d.toy2d_metrics import EndPoints, GroundTruth
from modeseek.meanshift.modes import Modes
from modeseek.priors.wrapper import Counting
from modeseek.rundir.run_dir import Run

F64 = torch.float64
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_process")]


def draw_pixel(*args: object) -> None:
    """Writes a figure of one pixel."""
    assert isinstance(args[-1], Path)
    Image.new("RGB", (1, 1)).save(args[-1])


def last(job: Generator) -> object:
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value


def plan_of(*names: str, budget: int = 60, side: int = 3, **options: object) -> Benchmark:
    entries = tuple(ALL_ENTRIES[name] for name in names)
    return Benchmark(Toy2DPlan(ring(), entries, budget, side=side, label="each"), **options)  # pyright: ignore[reportArgumentType]


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "exports" / "results.csv").open() as file:
        return {row["method"]: row for row in csv.DictReader(file)}


NAMES = ["vsd", "sds", "dds", "ddim"]
OPTIONS = ["--budget", "24", "--steps", "8", "--side", "4", "--seeds", "3"]


def draw_one(*args: object) -> None:
    """Draws one figure of a comparison; the others are a pixel."""
    path = args[-1]
    assert isinstance(path, Path)
    (draw_panels if path.name == "panels-calls.png" else draw_pixel)(*args)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def folder(one_process: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whole comparison on small budgets."""
    out = tmp_path_factory.mktemp("benchmark") / "out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(report, "draw_panels", draw_one)
        main(["benchmark", "--methods", *NAMES, *OPTIONS, "--out", str(out)])
    return out


def test_a_comparison_is_sorted_and_counted(folder: Path) -> None:
    rows = table(folder)
    assert set(rows) == {*NAMES} - {"dds"}, "an edit does not sample"
    losses = [float(row["nll"]) for row in rows.values()]
    assert losses == sorted(losses)
    assert all(22 <= float(row["calls"]) <= 24 for row in rows.values())
    assert float(rows["vsd"]["updates"]) == 24 and not rows["sds"]["updates"]
    assert float(rows["sds"]["nll_low"]) <= float(rows["sds"]["nll"]) <= float(rows["sds"]["nll_high"])
    assert float(rows["sds"]["nll"]) <= float(rows["sds"]["nll_default"])
    results = json.loads((folder / "exports" / "results.json").read_text())
    contests = results["facts"]["contests"]
    assert {row["steps"] for name, row in contests["steps"].items() if name != "ddim"} == {8}
    assert set(contests["edits"]) == {"dds", "sds"} and set(contests["samples"]) == set(rows)
    assert results["settings"]["label"] == "each" and results["settings"]["tune"] is True
    page = (folder / "report.html").read_text()
    assert all(text in page for text in ("2305.16213", "At equal steps", "Edits", "Chosen settings", "cosine to 0"))
    with Image.open(folder / "media" / "panels-calls.png") as figure:
        assert min(figure.size) > 300
    assert (folder / "media" / "panels-steps.png").is_file()


def test_what_is_reported_is_not_tuned_on() -> None:
    plan = plan_of("sds")
    assert not {*plan.reported} & {*tuning_streams(100)} and min(tuning_streams(2)) == TUNING_STREAMS
    clouds = plan.task("calls", ALL_ENTRIES["sds"], tuple(tuning_streams(2)), groups=3).clouds
    assert len(set(clouds)) == 6 and not {*clouds} & {*plan.reported}


def test_the_tuning_is_kept(folder: Path) -> None:
    names = {path.name for path in (folder / "jobs").iterdir()}
    assert "tune-calls-sds-adam-2seeds.json" in names and "default-calls-sds-3seeds.json" in names
    tried = json.loads((folder / "tuning.json").read_text())["calls/sds"]
    assert {(trial["optimizer"], trial["fall"]) for trial in tried["trials"]} == {
        (optimizer, fall) for optimizer in ("adam", "sgd") for fall in (0.0, 1.0)
    }
    scores = [trial["score"] for trial in tried["trials"]]
    assert scores == sorted(scores) and tried["default"]["lr"] == 0.01


def test_a_resumed_comparison_makes_the_same_table_without_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "exports" / "results.csv").read_text()
    monkeypatch.setattr(jobs, "run_in_processes", no_runs)
    monkeypatch.setattr(report, "draw_panels", draw_pixel)
    main(["benchmark", "--methods", *NAMES, *OPTIONS, "--out", str(folder)])
    assert (folder / "exports" / "results.csv").read_text() == before
    capsys.readouterr()
    said = cli_error(["benchmark", "--methods", *NAMES, *OPTIONS[2:], "--budget", "50", "--out", str(folder)], capsys)
    assert "was begun with budget 24" in said


def no_runs(pending: dict[str, object]) -> Generator[tuple[str, object], None, None]:
    raise AssertionError(f"these were finished: {list(pending)}")
    yield


def test_a_result_of_other_hyperparameters_is_not_reused(tmp_path: Path) -> None:
    job = CloudJob(plan_of("sds", budget=20), "calls", ALL_ENTRIES["sds"], (), (0,), "default")
    last(job.work(tmp_path))
    assert isinstance(job.load(tmp_path)[0], Clouds2D)
    other = replace(descent("sds"), method=ms.SDS(weight=ms.sigma_squared))
    assert replace(job, entry=replace(job.entry, algorithm=lambda task: other)).load(tmp_path) is None


def test_a_bad_default_is_found_and_replaced(tmp_path: Path) -> None:
    """Planted: SDS at a hundred times its rate."""
    bad = replace(
        ALL_ENTRIES["sds"],
        algorithm=lambda task: replace(ALL_ENTRIES["sds"].algorithm(task), setting=OptimizerSetting("adam", 1.0)),
    )
    base = Toy2DPlan(ring(), (bad,), 60, side=4, label="each")
    plan, grid = Benchmark(base), Grid()
    truth = ground_truth()
    run = Run.create(
        {"verb": "benchmark"}, name_parts=["b"], command=["b"], prior={"title": "ring"}, out=tmp_path / "b"
    )
    nlls = lambda contest, z: EndPoints(z, truth, None, plan.problem.prior).nll  # noqa: E731
    choice = last(tune(plan, grid, run, nlls))["calls", "sds"]
    assert choice.default.lr == 1.0 and choice.best.lr < 1.0 and choice.best.score < choice.default.score - 1
    assert chosen_setting(choice) in {setting for family in grid.families(descent("sds")) for setting in family}


def descent(name: str) -> Descent:
    algorithm = ALL_ENTRIES[name].algorithm(plan_of(name).base.task(ring().prior))
    assert isinstance(algorithm, Descent)
    return algorithm


def ground_truth() -> GroundTruth:
    problem = ring()
    modes = Modes(problem.prior.means, torch.full((8,), 0.125, dtype=F64), torch.zeros(1, dtype=torch.long), None)
    return GroundTruth.draw(problem, None, problem.bandwidth, modes, seed=0)


@pytest.mark.parametrize("name", [name for name, entry in ALL_ENTRIES.items() if entry.descends is not None])
def test_every_method_has_equal_calls_and_equal_steps(name: str) -> None:
    """Counted by the prior itself; the budget is used up to the last step."""
    entry = ALL_ENTRIES[name]
    first, each = entry.check(plan_of(name).task("steps", entry, (0,)))
    budget = first + 8 * each + 3
    plan = plan_of(name, budget=budget, side=2, steps=7)
    contest = "edits" if entry.edits else "calls"
    task = plan.task(contest, entry, (0,))
    counting = Counting(task.prior)
    outcome = run_on(entry, replace(task, prior=counting))
    assert outcome.calls == counting.calls / len(task.starts)
    assert budget - 2 * each - 3 < outcome.calls <= budget, (name, outcome.calls)
    assert outcome.z.isfinite().all()
    walked = run_on(entry, plan.task("steps", entry, (0,)))
    assert len(walked.trajectory) == 7 + 1


def run_on(entry: ToyEntry, task: object) -> ToyOutcome:
    outcome = last(entry.run(task))  # pyright: ignore[reportArgumentType]
    assert isinstance(outcome, ToyOutcome)
    return outcome


def test_methods_that_compare_conditions_get_the_class_blurred() -> None:
    plan = plan_of("nfsd", "sds-bridge", "dds", "sds")
    for name, part in (("nfsd", "negative"), ("sds-bridge", "source")):
        task = plan.task("calls", ALL_ENTRIES[name], (0,))
        given = ALL_ENTRIES[name].algorithm(task).needed(task.conditions)
        assert torch.equal(getattr(given, part), given.positive + 8)
        other = {"negative", "source"} - {part}
        assert all(getattr(given, unused) is None for unused in other)
        prior = task.prior
        assert torch.allclose(prior.covs[8:], prior.covs[:8] + 0.25 * torch.eye(2, dtype=F64))
        assert torch.equal(prior.means[8:], prior.means[:8])
    edit = plan.task("edits", ALL_ENTRIES["dds"], (0,))
    assert torch.equal(edit.conditions.source, (edit.conditions.positive + 4) % 8)
    assert [entry.name for entry in plan.entries("edits")] == ["sds-bridge", "dds", "sds"]
    assert [entry.name for entry in plan.entries("calls")] == ["nfsd", "sds-bridge", "sds"]


def test_edits_start_at_samples_of_the_source_and_are_scored_by_place() -> None:
    plan = plan_of("dds", side=20)
    task = plan.task("edits", ALL_ENTRIES["dds"], (0, 1))
    means = ring().prior.means[task.conditions.source]
    assert (task.starts - means).std().item() == pytest.approx(ring().bandwidth, rel=0.05)
    target = ring().prior.means[task.conditions.positive]
    n = len(task.starts) // 2
    moved = (task.starts + target - means)[:n]
    edited = Edited(plan, task.starts[:n], moved)
    assert edited.displacement == pytest.approx(0, abs=1e-7)
    assert edited.nll == pytest.approx(-plan.problem.prior.log_prob(moved, cond=task.conditions.positive[:n]).mean())
    assert Edited(plan, task.starts[:n], target[:n]).displacement == pytest.approx(1)
    fresh = plan.problem.prior.sample(n, torch.Generator().manual_seed(0), task.conditions.positive[:n])
    assert Edited(plan, task.starts[:n], fresh).displacement == pytest.approx(2**0.5, rel=0.1)


def test_the_law_of_samples_is_that_of_samples() -> None:
    truth = ground_truth()
    samples = ring().prior.sample(4000, torch.Generator().manual_seed(1))
    assert law_distance(EndPoints(samples, truth, None, ring().prior)) < 0.05
    assert law_distance(EndPoints(ring().prior.means, truth, None, ring().prior)) == 1
    half = torch.cat([samples[:1000], ring().prior.means.repeat(125, 1)])
    assert law_distance(EndPoints(half, truth, None, ring().prior)) == pytest.approx(0.5, abs=0.05)


def test_a_direction_with_ddim_lengths_takes_the_steps_of_ddim() -> None:
    """SGD 1 along `eps - n` with fixed n, against DDIM from the same noise."""
    from modeseek.methods import FSD
    from modeseek.sampling.samplers import ddim

    prior, steps = ring().prior, 50
    method = FSD()
    weight = ddim_lengths(prior.schedule, method.times, steps)
    grid = torch.linspace(method.times.start, method.times.end, steps, dtype=F64)
    times = torch.cat([grid, 2 * grid[-1:] - grid[-2:-1]])
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    z = torch.zeros(5, 2, dtype=F64)
    alpha, sigma = prior.schedule(times[:1].expand(5))
    z_t = alpha[:, None] * z + sigma[:, None] * noise
    for t in grid:
        alpha, sigma = prior.schedule(t.expand(5))
        p = prior.at(alpha[:, None] * z + sigma[:, None] * noise, alpha, sigma)
        z = z - weight(alpha, sigma)[:, None] * (p.eps - noise)
    end = ddim(prior, z_t, times)
    alpha, sigma = prior.schedule(times[-1:].expand(5))
    assert torch.allclose(alpha[:, None] * z + sigma[:, None] * noise, end, atol=1e-8)
    assert DDIM in {family[0].optimizer for family in Grid().families(descent("fsd"))}
    assert DDIM not in {family[0].optimizer for family in Grid().families(descent("sds"))}


def test_a_setting_that_diverges_leaves_the_others(tmp_path: Path) -> None:
    """Side by side all would fail; one by one the others end where they end without it."""
    entry = ALL_ENTRIES["sds"]
    plan = plan_of("sds", budget=40)
    job = CloudJob(plan, "calls", entry, (OptimizerSetting("sgd", 0.1), OptimizerSetting("sgd", 1e300)), (0,), "tune")
    last(job.work(tmp_path))
    good, bad = job.load(tmp_path)
    assert isinstance(bad, str) and "finite" in bad
    alone = replace(job, settings=job.settings[:1])
    last(alone.work(tmp_path))
    assert torch.allclose(good.z, alone.load(tmp_path)[0].z, atol=1e-12)


def test_settings_side_by_side_end_where_each_ends_alone(tmp_path: Path) -> None:
    settings = (OptimizerSetting("adam", 0.1, 0.0), OptimizerSetting("adam", 0.01), OptimizerSetting("adam", 0.03))
    job = CloudJob(plan_of("sds", budget=40), "calls", ALL_ENTRIES["sds"], settings, (0, 1), "tune")
    last(job.work(tmp_path))
    for index, together in enumerate(results_of(job, tmp_path)):
        alone = replace(job, settings=settings[index : index + 1], streams=(2 * index, 2 * index + 1))
        last(alone.work(tmp_path))
        assert torch.allclose(together.z, results_of(alone, tmp_path)[0].z, atol=1e-12)


def results_of(job: CloudJob, folder: Path) -> list[Clouds2D]:
    found = job.load(folder)
    assert found is not None
    return [result for result in found if isinstance(result, Clouds2D)]


def test_without_classes_methods_that_compare_them_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = cli_error(["benchmark", "--problem", "spiral", "--methods", "nfsd", "--out", str(tmp_path / "a")], capsys)
    assert "NFSD compares conditions" in said and not (tmp_path / "a").exists()
    assert "did you mean" in cli_error(["benchmark", "--methods", "vsdd"], capsys)
    few = ["benchmark", "--methods", "sds"]
    assert "each, none or a number" in cli_error([*few, "--label", "some"], capsys)
    assert "too small" in cli_error(["benchmark", "--methods", "sdi", "--budget", "3"], capsys)
    assert "steps must be at least 2" in cli_error([*few, "--steps", "1"], capsys)
    assert "seeds must be at least 1" in cli_error([*few, "--seeds", "0"], capsys)
    assert "tuning_seeds must be at least 1" in cli_error([*few, "--tuning-seeds", "0"], capsys)
    assert "blur must be positive" in cli_error([*few, "--blur", "0"], capsys)
    assert Benchmark(Toy2DPlan(spiral(), (), 60)).entries("edits") == ()
