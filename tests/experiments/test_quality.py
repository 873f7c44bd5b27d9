"""Quality against calls: pairs, the budget that reaches a goal, prompts of the tuning, scores by hand, files."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import fabricated_icons as fabricated
import pytest
import torch
from PIL import Image
from torch import Tensor

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers

from modeseek.config.priors import NetworkPriorConfig, PipelinePriorConfig  # noqa: E402
from modeseek.datasets.emoji import canonical, read_icons, render_icons  # noqa: E402
from modeseek.experiments.common.tuning import Trial  # noqa: E402
from modeseek.experiments.quality import scorers  # noqa: E402
from modeseek.experiments.quality.comparison import comparison_table, gain, reach  # noqa: E402
from modeseek.experiments.quality.entries import BASELINE, ENTRIES  # noqa: E402
from modeseek.experiments.quality.findings import caveats, summarise  # noqa: E402
from modeseek.experiments.quality.measure import ScoredBatch, ScoredCell  # noqa: E402
from modeseek.experiments.quality.plan import Cell, Prompt, Quality, Tuning  # noqa: E402
from modeseek.experiments.quality.scorers import DrawingScorer, SceneScorer  # noqa: E402
from modeseek.experiments.quality.subjects import DigitSubject, EmojiSubject, SceneSubject  # noqa: E402
from modeseek.experiments.quality.tuning import TunedEntry  # noqa: E402
from modeseek.experiments.text_to_image.jobs import BatchResult  # noqa: E402
from modeseek.experiments.text_to_image.plan import ImageBatch  # noqa: E402
from modeseek.io.progress import Progress  # noqa: E402
from modeseek.metrics.scenes.caption_accuracy import CaptionAccuracy  # noqa: E402
from modeseek.metrics.scenes.classifier import SceneClassifier  # noqa: E402
from modeseek.rundir.run_dir import Run  # noqa: E402
from modeseek.runs.experiment_folder import QUALITY, open_experiment  # noqa: E402
from modeseek.runs.jobs import PriorCache  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
DISTANCE = DrawingScorer.columns[0]
PROMPTS = tuple(Prompt(f"a {name}", name) for name in ("fox", "key", "owl", "pear"))


def plan_of(*names: str, **settings: object) -> Quality:
    entries = tuple(ENTRIES[name] for name in names)
    return Quality(PipelinePriorConfig("emoji"), PROMPTS, entries, **settings)  # type: ignore[arg-type]


def cell_of(name: str, budget: int, scores: dict[tuple[int, int], float], calls: int = 0) -> ScoredCell:
    """Cell with given distances by (prompt, seed), in the order given, without images."""
    cell = Cell(ENTRIES[name], budget, f"{name}@{budget}", budget // 2)
    batch = ImageBatch(cell.entry, f"{cell.name}-000", tuple(scores), 0)
    values = {"distance": torch.tensor(list(scores.values()))}
    return ScoredCell(cell, (ScoredBatch(BatchResult(batch, (), calls or budget * len(scores), 1.0), values),), 0)


def finish(job):
    """Result of a generator, and the progress that it yielded."""
    seen: list[Progress] = []
    while True:
        try:
            seen.append(next(job))
        except StopIteration as end:
            return end.value, seen


def test_gains_are_of_pairs_of_equal_prompt_and_seed() -> None:
    """Distances 0.1 above a baseline that differs from prompt to prompt, in another order and with one image more."""
    base = {(p, s): 0.1 * p + 0.01 * s for p in range(4) for s in range(2)}
    mine = {item: base[item] + 0.1 for item in reversed(base)} | {(9, 0): 5.0}
    found = gain(cell_of("msd", 100, mine), cell_of("sds", 100, base), DISTANCE)
    assert found is not None and found.interval is not None
    assert found.value == pytest.approx(-0.1, abs=1e-6), "a larger distance is worse"
    assert found.interval == pytest.approx((-0.1, -0.1), abs=1e-6), "every pair loses the same: no chance is left"
    assert gain(cell_of("msd", 100, {(9, 0): 1.0}), cell_of("sds", 100, base), DISTANCE) is None
    high = replace(DISTANCE, best="high")
    better = gain(cell_of("msd", 100, mine), cell_of("sds", 100, base), high)
    assert better is not None and better.value == pytest.approx(0.1, abs=1e-6)


def test_intervals_resample_prompts_not_images() -> None:
    """Ten seeds of each of three prompts say no more about other prompts than one seed does."""
    gains = (0.0, 0.3, 0.6)

    def interval(seeds: int) -> tuple[float, float]:
        items = [(p, s) for p in range(3) for s in range(seeds)]
        found = gain(
            cell_of("msd", 100, dict.fromkeys(items, 0.0)),
            cell_of("sds", 100, {item: gains[item[0]] for item in items}),
            DISTANCE,
        )
        assert found is not None and found.interval is not None
        return found.interval

    assert interval(10) == pytest.approx(interval(1), abs=1e-6)


def test_the_table_compares_cells_of_equal_budget() -> None:
    items = [(p, 0) for p in range(4)]
    cells = [cell_of(name, budget, dict.fromkeys(items, value))
             for name, budget, value in (("sds", 50, 0.5), ("sds", 100, 0.4), ("msd", 50, 0.3), ("msd", 100, 0.35),
                                         ("sdi", 200, 0.1))]  # fmt: skip
    rows = {row.name: row.values for row in comparison_table(cells, BASELINE, [DISTANCE]).rows}
    assert list(rows) == ["msd@50", "msd@100"], "sdi has no baseline at its budget"
    assert rows["msd@50"]["gain_distance"] == pytest.approx(0.2) and rows["msd@50"]["pairs"] == 4
    assert rows["msd@100"]["gain_distance"] == pytest.approx(0.05)


def test_the_least_budget_whose_interval_is_not_below_reaches_the_goal() -> None:
    goal = cell_of("sds", 800, {(p, 0): 0.1 for p in range(4)})
    worse = {(p, 0): 0.2 + 0.01 * p for p in range(4)}
    mixed = {(0, 0): 0.05, (1, 0): 0.16, (2, 0): 0.12, (3, 0): 0.11}  # worse on average, and not beyond chance
    better = dict.fromkeys(worse, 0.05)
    cells = [cell_of("msd", 50, worse), cell_of("msd", 100, mixed), cell_of("msd", 200, better)]
    said = reach(cells, goal, DISTANCE)
    assert said is not None and said.startswith("MSD at 100 calls is not shown to be worse than SDS after 800 calls")
    assert "0.110 against 0.100, gain -0.010 [" in said
    never = reach(cells[:1], goal, DISTANCE)
    assert never is not None and never.startswith("MSD stays worse than SDS after 800 calls up to 50 calls")
    assert reach(cells[2:], goal, DISTANCE) is not None and reach([], goal, DISTANCE) is None
    few = [cell_of("msd", 50, {(0, 0): 0.2, (1, 0): 0.2})]
    assert reach(few, goal, DISTANCE) is None, "two prompts have no interval"


def test_a_summary_names_the_best_of_each_budget_and_the_goal() -> None:
    items = [(p, 0) for p in range(4)]
    scores = {("sds", 50): 0.5, ("sds", 800): 0.1, ("msd", 50): 0.3, ("msd", 800): 0.2}
    cells = [cell_of(name, budget, dict.fromkeys(items, value)) for (name, budget), value in scores.items()]
    lines = summarise(plan_of("sds", "msd", budgets=(50, 800)), cells, DISTANCE)
    assert "Best Distance at 50 calls: MSD with 0.300, then SDS with 0.500." in lines
    assert "Best Distance at 800 calls: SDS with 0.100, then MSD with 0.200." in lines
    assert any(line.startswith("MSD stays worse than SDS after 800 calls up to 800") for line in lines)
    assert any(line.startswith("SDS stays worse than SDS after 800 calls up to 50") for line in lines)


def test_caveats_name_what_is_missing_and_rates_at_an_edge() -> None:
    plan = plan_of("sds", "msd", budgets=(50, 100), seeds=2, tuning=Tuning((Prompt("an ant", "ant"),)))
    trial = Trial(0.04, 0.1, 0.3)
    tuned = {"msd": TunedEntry((trial,), trial, 200)}
    lines = caveats(plan, [cell_of("msd", 50, {(p, 0): 0.1 for p in range(3)})], tuned)
    text = "\n".join(lines)
    assert "images per method so far 3 of 8 at 50 calls" in text and "no image yet at 100 calls" in text
    assert "Comparisons are missing: they need sds" in text
    assert "The chosen rate is the highest tried (0.04) for MSD: a higher one may be better" in text
    assert "Not tuned, since every run of the tuning failed: SDS" in text and "lowest" not in text
    inside = {name: TunedEntry((Trial(0.02, 0.1, 0.3),), None, 200) for name in ("sds", "msd")}
    full = [cell_of(name, b, {(p, s): 0.1 for p in range(4) for s in range(2)}) for name in inside for b in (50, 100)]
    assert caveats(plan, full, inside) == ()


def test_budgets_are_kept_and_too_small_ones_skipped() -> None:
    plan = plan_of("sds", "msd-inner", "msd-product-end", "sdi", budgets=(50, 100, 200))
    steps = {entry.name: [cell.steps for cell in plan.cells(entry)] for entry in plan.entries}
    assert steps["sds"] == steps["msd-inner"] == [25, 50, 100], "inner steps cost no calls"
    assert steps["sdi"] == [9], "22 calls a step: fewer than 8 steps for 50 and 100 calls"
    for k, n in enumerate(steps["msd-product-end"]):  # 2 calls a step before 70 % of the run, 6 from there on
        late = sum(index / (n - 1) >= 0.7 for index in range(n))
        assert 2 * n + 4 * late <= plan.budgets[k] < 2 * (n + 1) + 4 * (late + 2)
    line = "--budgets must allow 8 steps of sdi, got 100, where they take 176 prior calls"
    with pytest.raises(ValueError, match=line):
        replace(plan, budgets=(50, 100)).cells(ENTRIES["sdi"])


def test_compared_cells_share_prompts_seeds_and_noise() -> None:
    plan = plan_of("sds", "msd", "sdi", seeds=2, batch=3)
    batches = [plan.jobs_of(plan.cell(entry, budget))[1] for entry in plan.entries for budget in (400, 800)]
    items = [(p, s) for s in range(2) for p in range(4)]
    assert [item for batch in batches[0] for item in batch.items] == items
    for other in batches[1:]:
        assert [(b.items, b.seed) for b in other] == [(b.items, b.seed) for b in batches[0]]
    names = [batch.name for own in batches for batch in own]
    assert len(set(names)) == len(names) == 18 and names[0] == "sds@400-000"
    tuned = replace(plan, tuning=Tuning((Prompt("an ant", "ant"),)))
    assert tuned.tuning is not None
    trial = tuned.tuning_jobs_of(plan.cell(ENTRIES["sds"], 200, "trial"), tuned.tuning)
    assert trial[0].prompts == ("an ant",) and trial[1][0].seed not in {b.seed for own in batches for b in own}
    config = trial[0].config(trial[1][0])
    assert (config.steps, config.inner_steps, config.scale) == (100, 1, 3.0)
    inner = replace(ENTRIES["msd-inner"], lr=0.005, fall=0.5)
    images, own = plan_of("sds").jobs_of(Cell(inner, 50, "x", 25))
    config = images.config(own[0])
    assert (config.inner_steps, config.optimizer.rate(0.0), config.optimizer.rate(1.0)) == (4, 0.005, 0.0025)


@pytest.mark.parametrize(
    "settings, line",
    [
        ({"budgets": (100, 50)}, "budgets must ascend, got 100 50"),
        ({"budgets": ()}, "needs a prompt, a method and a budget"),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"tuning": "PROMPTS"}, "prompts of the tuning must not be compared on"),
    ],
)
def test_plans_that_cannot_be_are_one_line(settings: dict[str, object], line: str) -> None:
    if settings.get("tuning"):
        settings = {"tuning": Tuning(PROMPTS[:1])}
    with pytest.raises(ValueError, match=line):
        plan_of("sds", **settings)


def test_tunings_that_cannot_be_are_one_line() -> None:
    with pytest.raises(ValueError, match="learning rate above 0, got -1"):
        Tuning(PROMPTS, rates=(-1.0,))
    with pytest.raises(ValueError, match="needs a prompt and a rate at least"):
        Tuning(())
    with pytest.raises(ValueError, match="tune_at must be at least 1, got 0"):
        Tuning(PROMPTS, budget=0)


def test_prompts_of_the_tuning_are_others(tmp_path: Path) -> None:
    icons = read_icons(fabricated.write_packages(tmp_path))
    subjects = (
        (EmojiSubject(PipelinePriorConfig("emoji"), icons), 4, 2),
        (SceneSubject(PipelinePriorConfig("scenes")), 10, 6),
        (DigitSubject(), 7, 3),
    )
    for subject, n, m in subjects:
        prompts = subject.prompts(n, m, 0)
        assert len(prompts) == n + m and len({p.truth for p in prompts}) == n + m, "each once, none on both sides"
        assert subject.prompts(n, 1, 0)[:n] == prompts[:n], "the tuning changes nothing of what is compared"
        assert subject.prompts(n, m, 1) != prompts
    assert subjects[0][0].prompts(1, 1, 0)[0].text.split(" ", 1)[0] in ("a", "an")
    with pytest.raises(ValueError, match="there are 10 digits: --captions and --tuning-captions .* got 8 and 3"):
        DigitSubject().prompts(8, 3, 0)


def test_drawings_are_scored_by_the_nearest_of_their_name(tmp_path: Path) -> None:
    icons = read_icons(fabricated.write_packages(tmp_path))
    scorer = DrawingScorer(icons, render_icons(icons))
    images = canonical(scorer.pixels[:2])
    names = [icon.name for icon in icons[:2]]
    right, seen = finish(scorer.score(images, names))
    assert right["distance"].max() < 0.08 and right["top1"].tolist() == right["top5"].tolist() == [1, 1]
    assert {progress.stage for progress in seen} == {"comparing"}
    wrong, _ = finish(scorer.score(images, names[::-1]))
    assert wrong["distance"].min() > 2 * right["distance"].max() and wrong["top1"].tolist() == [0, 0]


def test_scenes_are_scored_by_the_share_of_attributes_that_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three images: all of four right; one of two; three of four. What does not apply is True and not counted."""

    def rights(*values: int) -> Tensor:
        return torch.tensor(values, dtype=torch.bool)

    scores = CaptionAccuracy(
        rights(1, 0, 1), rights(1, 1, 1), rights(1, 1, 0), rights(1, 1, 1), rights(1, 0, 1), rights(1, 0, 1)
    )
    monkeypatch.setattr(scorers, "predict", lambda classifier, images: None)
    monkeypatch.setattr(scorers, "compare_predictions", lambda predictions, captions: scores)
    scorer = SceneScorer(SceneClassifier.packaged())
    found, _ = finish(scorer.score(torch.zeros(3, 3, 4, 4), ["a red cone"] * 3))
    assert found["attributes"].tolist() == [1, 0.5, 0.75] and found["right"].tolist() == [1, 0, 0]


def make_run(plan: Quality, out: Path) -> Run:
    return open_experiment(QUALITY, {"prior": "emoji", "device": "cpu"}, {"title": "emoji"}, ["modeseek", "x"], out)


@pytest.fixture
def emoji(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[EmojiSubject, Quality]:
    """Subject of six fabricated drawings under a pipeline with random weights, and a plan of seconds."""
    monkeypatch.setenv("MODESEEK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("modeseek.experiments.quality.plan.SAMPLE_STEPS", (3, 6))
    icons = read_icons(fabricated.write_packages(tmp_path / "icons"))
    subject = EmojiSubject(PipelinePriorConfig(str(tiny.make("sd", tmp_path)), (16, 16)), icons)
    prompts = subject.prompts(3, 1, 0)
    entries = tuple(ENTRIES[name] for name in ("sds", "msd-inner"))
    tuning = Tuning(prompts[3:], 16, (0.01, 0.02))
    plan = Quality(subject.prior_config, prompts[:3], entries, (16, 20), tuning, seeds=2, shift=0, batch=6)
    return subject, plan


def results_of(out: Path) -> dict[str, dict[str, float]]:
    rows = json.loads((out / "exports" / "results.json").read_text())["methods"]
    return {name: {k: v for k, v in row.items() if k != "seconds"} for name, row in rows.items()}


def names_of(jobs: Sequence[Path]) -> list[str]:
    return sorted(path.parent.name for path in jobs)


@pytest.mark.slow
def test_an_interrupted_experiment_resumes_with_the_same_numbers(
    emoji: tuple[EmojiSubject, Quality], tmp_path: Path
) -> None:
    subject, plan = emoji
    priors, whole, broken = PriorCache("cpu"), tmp_path / "whole", tmp_path / "broken"
    result, _ = finish(subject.run(plan, make_run(plan, whole), priors))
    job = subject.run(plan, make_run(plan, broken), priors)
    for progress in job:
        if progress.stage == "msd-inner@16-000" and progress.done == 3:
            break
    job.close()
    assert Run(broken).status.state == "stopped" and (broken / "tuning.json").is_file()
    tuned = (broken / "tuning.json").read_bytes()
    finish(subject.run(plan, make_run(plan, broken), priors))
    assert results_of(broken) == results_of(whole) and (broken / "tuning.json").read_bytes() == tuned
    rows = results_of(whole)
    assert list(rows) == ["ddim@6", "ddim@12", *(f"{n}@{b}" for n in ("sds", "msd-inner") for b in (16, 20))]
    assert rows["sds@20"]["calls"] == rows["msd-inner@20"]["calls"] == 20
    assert rows["msd-inner@16"]["relative_shift"] > 0 and "updates" not in rows["sds@16"]
    assert plan_of("vsd").updates(Cell(ENTRIES["vsd"], 20, "vsd@20", 10)) == 10
    with (whole / "exports" / "images.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 6 * 6 and lines[0].keys() >= {"method", "budget", "prompt", "seed", "distance", "top1"}
    mine = [float(line["distance"]) for line in lines if (line["method"], line["budget"]) == ("sds", "20")]
    assert sum(mine) / 6 == pytest.approx(rows["sds@20"]["distance"], abs=1e-6)
    assert result.findings[0].startswith("3 prompts, 2 seeds each.") and result.titles["sds@16"] == "SDS, 16 calls"
    facts = json.loads((whole / "exports" / "results.json").read_text())["facts"]
    assert facts["tuning"].keys() == {"sds", "msd-inner"}
    for name, entry in facts["tuning"].items():
        scores = [trial["score"] for trial in entry["trials"]]
        assert scores == sorted(scores) and len(scores) == 3, (
            "two rates falling to a tenth, the best one without a fall"
        )
        best = {key: entry["trials"][0][key] for key in ("lr", "fall")}
        assert facts["rates"][name] == best and Run(whole / "jobs" / f"{name}@20-000").config.optimizer.lr == best["lr"]
        assert entry["default"]["lr"] == 0.02 and entry["default"]["fall"] == 0.1
    page = (whole / "report.html").read_text()
    assert "Distance against calls" in page and "Against SDS" in page and "Images after 20 calls" in page
    for name in ("curves-distance", "curves-top1", "sheet-16", "sheet-20", "sheet"):
        with Image.open(whole / "media" / f"{name}.png") as image:
            assert image.width > 200


@pytest.mark.slow
def test_scores_are_enough_for_the_results_and_are_reused(emoji: tuple[EmojiSubject, Quality], tmp_path: Path) -> None:
    """Without its images a scored job is finished; its numbers stay, what needs images is left out."""
    subject, plan = emoji
    plan = replace(plan, entries=plan.entries[:2], budgets=(16,), tuning=None)
    priors, out = PriorCache("cpu"), tmp_path / "run"
    finish(subject.run(plan, make_run(plan, out), priors))
    before = results_of(out)
    assert before["sds@16"]["apart"] > 0
    for path in out.glob("jobs/*/exports/*.png"):
        path.unlink()
    jobs = names_of(list(out.glob("jobs/*/status.json")))
    times = {path: path.stat().st_mtime_ns for path in out.glob("jobs/*/status.json")}
    finish(subject.run(plan, make_run(plan, out), priors))
    after = results_of(out)
    assert names_of(list(out.glob("jobs/*/status.json"))) == jobs
    assert all(path.stat().st_mtime_ns == when for path, when in times.items()), "nothing ran again"
    assert after == {name: {k: v for k, v in row.items() if k != "apart"} for name, row in before.items()}
    scores = out / "jobs" / "sds@16-000" / "scores.json"
    values = json.loads(scores.read_text())
    values["distance"] = [0.5 for _ in values["distance"]]
    scores.write_text(json.dumps(values))
    finish(subject.run(plan, make_run(plan, out), priors))
    assert results_of(out)["sds@16"]["distance"] != after["sds@16"]["distance"], "scores are read, not made again"


def test_seeds_apart_is_the_distance_of_two_seeds_of_a_prompt(tmp_path: Path) -> None:
    """Grey images of given levels: prompt 0 with 0 and 51, prompt 1 with 0 and 0, of 255."""
    levels = {(0, 0): 0, (1, 0): 0, (0, 1): 51, (1, 1): 0}
    paths = []
    for (prompt, seed), level in levels.items():
        paths.append(tmp_path / f"{prompt}-{seed}.png")
        Image.new("RGB", (4, 4), (level, level, level)).save(paths[-1])
    cell = cell_of("msd", 50, dict.fromkeys(levels, 0.1))
    result = replace(cell.batches[0].result, images=tuple(paths))
    apart = replace(cell, batches=(replace(cell.batches[0], result=result),)).apart()
    assert apart is not None and apart.value == pytest.approx(0.1, abs=1e-6), "mean of 51/255 and 0"
    assert cell.apart() is None, "without images"


@pytest.mark.slow
def test_a_method_that_fails_is_left_out_and_named(
    emoji: tuple[EmojiSubject, Quality], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modeseek.methods.msd import MSD

    def fail(self: MSD, *args: object, **options: object) -> None:
        raise FloatingPointError("not finite")

    subject, plan = emoji
    plan = replace(plan, tuning=None, entries=(ENTRIES["msd"], ENTRIES["sds"]))
    for entry in plan.entries:
        plan.cells(entry)  # calls are counted before the method fails
    monkeypatch.setattr(MSD, "step", fail)
    result, _ = finish(subject.run(plan, make_run(plan, tmp_path / "run"), PriorCache("cpu")))
    assert [row.name for row in result.table.rows] == ["ddim@6", "ddim@12", "sds@16", "sds@20"]
    assert [line.split(",")[0] for line in result.missing[:2]] == ["msd@16 is left out", "msd@20 is left out"]


def test_a_network_of_digits_is_no_file_before_it_is_trained() -> None:
    assert isinstance(DigitSubject().prior_config, NetworkPriorConfig)
    assert DigitSubject().identity(PriorCache("cpu")) == DigitSubject().identity(PriorCache("cpu"))
