"""Text to SVG: words, batches, tuning, files and measures of a small run; pairs in closed form."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import fabricated_icons as fabricated
import pytest
import torch
from PIL import Image

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
pytest.importorskip("skimage", reason="pip install -e '.[vector]' runs the tests of drawings")
pytest.importorskip("vtracer", reason="pip install -e '.[evaluation]' runs the tests of traced samples")
import tiny  # noqa: E402 - needs diffusers

from modeseek.config.defaults import default_method  # noqa: E402
from modeseek.config.priors import PipelinePriorConfig  # noqa: E402
from modeseek.datasets.emoji import Icon, read_icons  # noqa: E402
from modeseek.experiments.common.tuning import Trial  # noqa: E402
from modeseek.experiments.text_to_svg.entries import BASELINES, ENTRIES, FIT, SAMPLE, TRACED, TRUTH  # noqa: E402
from modeseek.experiments.text_to_svg.experiment import run_text_to_svg  # noqa: E402
from modeseek.experiments.text_to_svg.measure import MeasuredDrawings, Ruler  # noqa: E402
from modeseek.experiments.text_to_svg.plan import (  # noqa: E402
    DrawingBatch,
    DrawingTuning,
    TextToSvg,
    Word,
    choose_words,
)
from modeseek.experiments.text_to_svg.report import caveats, summarise  # noqa: E402
from modeseek.experiments.text_to_svg.table import COLUMNS, drawing_table, gain_table, paired_gain  # noqa: E402
from modeseek.experiments.text_to_svg.tracer import trace_to_svg  # noqa: E402
from modeseek.experiments.text_to_svg.tuning import TunedDrawing  # noqa: E402
from modeseek.metrics.vector import count_paths, render_error, render_svg  # noqa: E402
from modeseek.priors.pipeline.bundled_table import EMOJI  # noqa: E402
from modeseek.rundir.run_dir import Run  # noqa: E402
from modeseek.runs.experiment_folder import TEXT_TO_SVG, open_experiment  # noqa: E402
from modeseek.runs.jobs import PriorCache  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
DISTANCE = COLUMNS[0]
JOB = "sds-batch00-first2-seed0"


def icon(name: str, category: str = "Objects", style: str = "flat") -> Icon:
    return Icon(style, name, (), category, "<svg/>")  # type: ignore[arg-type]


def words_of(*names: str) -> tuple[Word, ...]:
    return tuple(Word(icon(name)) for name in names)


def plan_of(n: int, *names: str, **settings: object) -> TextToSvg:
    words = words_of(*(f"word {k}" for k in range(n)))
    entries = tuple(ENTRIES[name] for name in names)
    return TextToSvg(PipelinePriorConfig("emoji"), words, entries, **settings)  # type: ignore[arg-type]


def measured(entry: str, *distances: tuple[float, ...]) -> list[MeasuredDrawings]:
    """Batches, one for each seed, of given distances of each word."""
    batches = []
    for number, values in enumerate(distances):
        words = words_of(*(f"word {k}" for k in range(len(values))))
        batch = DrawingBatch(f"b-seed{number}", words, 0, number, 0)
        own = dict.fromkeys(("distance", "top1", "top5", "region_iou", "palette", "nearest"), values)
        batches.append(MeasuredDrawings(entry, batch, own, ("owl, flat",) * len(values), 0.0, 50.0 + number, 1.0))
    return batches


def test_words_are_everyday_ones_first_and_others_for_the_tuning() -> None:
    icons = [icon(name) for name in ("owl", "key", "red apple", "axe", "bone", "comb", "drum", "egg")]
    icons += [
        icon("flag: mali", "Flags"),
        icon("no entry", "Symbols"),
        icon("owl", style="shaded"),
        icon("ink", style="shaded"),
    ]
    words, tuning = choose_words(icons, 4, 3, 0)
    assert [word.prompt for word in words[:3]] == ["an owl, flat emoji", "a red apple, flat emoji", "a key, flat emoji"]
    assert all(word.icon.style == "flat" for word in (*words, *tuning))
    names = [word.name for word in (*words, *tuning)]
    assert len(set(names)) == 7 and not {"flag: mali", "no entry", "ink"} & set(names)
    assert choose_words(icons, 2, 3, 0) == (words[:2], tuning), "fewer words change nothing else"
    assert {choose_words(icons, 4, 3, seed)[1] for seed in range(9)} != {tuning}
    with pytest.raises(ValueError, match="must add to at most 8, got 6 and 3"):
        choose_words(icons, 6, 3, 0)
    with pytest.raises(ValueError, match="--tuning-words must be at most 5, got 6"):
        choose_words(icons, 1, 6, 0)
    with pytest.raises(ValueError, match="--words must be at least 1 .* got 0 and 3"):
        choose_words(icons, 0, 3, 0)


def test_more_words_or_seeds_only_add_batches() -> None:
    few, more = plan_of(5, "sds", batch=2), plan_of(8, "sds", batch=2, seeds=3)
    names = [batch.name for batch in few.batches]
    assert names == [f"batch{p:02d}{'-first1' if p == 2 else ''}-seed{s}" for p in range(3) for s in range(2)]
    later = {batch.name: batch for batch in more.batches}
    assert all(later[batch.name] == batch for batch in few.batches if len(batch.words) == 2)
    assert not {batch.name for batch in few.batches if len(batch.words) < 2} & set(later)
    assert [item for batch in few.batches for item in batch.items if batch.number == 0] == [(k, 0) for k in range(5)]
    assert len({batch.seed for batch in more.batches}) == len(more.batches)


def test_methods_have_equal_calls_and_their_own_settings() -> None:
    plan = plan_of(2, *ENTRIES, budget=100, shift=2)
    steps = {entry.name: plan.steps_of(entry) for entry in plan.entries}
    assert steps == dict.fromkeys(ENTRIES, 50) | {"sdi": 20}
    for entry in plan.entries:
        config = plan.config(replace(entry, lr=0.5), plan.batches[0])
        assert (config.steps, config.shift, config.scale) == (steps[entry.name], 2, 1.0 if entry.guides else 3.0)
        assert config.prompts == ("a word 0, flat emoji", "a word 1, flat emoji") and config.optimizer.rate(0.0) == 0.5
        assert config.seed == plan.batches[0].seed and config.film == "none"
    starts = {entry.name: plan.config(entry, plan.batches[0]).generator.start for entry in plan.entries}  # type: ignore[attr-defined]
    assert [name for name, start in starts.items() if start != starts["sds"]] == ["msd-random"]
    made = {name: ENTRIES[name].method(1.0) for name in ("sds-refine", "msd-refine")}
    config = plan.config(ENTRIES["sds"], plan.batches[0])
    for name, method in made.items():  # what modeseek svg does by default
        assert method == default_method(name.split("-")[0], config.prior, config.generator)
    assert {name for entry in ENTRIES.values() for name in entry.references} >= {"sds", "msd", "sdi", "vsd"}
    assert all(entry.make is None for entry in BASELINES)


@pytest.mark.parametrize(
    "settings, line",
    [
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"scale": float("nan")}, "guidance scale must be finite"),
        ({"tuning": "WORDS"}, "words of the tuning must not be compared on"),
        ({"fit_steps": -1}, "fit_steps must be at least 0, got -1"),
        ({"paths": 0}, "paths must be at least 1, got 0"),
    ],
)
def test_plans_that_cannot_be_are_one_line(settings: dict[str, object], line: str) -> None:
    if settings.get("tuning"):
        settings = {"tuning": DrawingTuning(words_of("word 0"))}
    with pytest.raises(ValueError, match=line):
        plan_of(1, "sds", **settings)


def test_tunings_and_budgets_that_cannot_be_are_one_line() -> None:
    with pytest.raises(ValueError, match="needs a word and a rate at least"):
        DrawingTuning(())
    with pytest.raises(ValueError, match="learning rate above 0, got 0"):
        DrawingTuning(words_of("a"), (0.0,))
    with pytest.raises(ValueError, match="a budget of 9 prior calls is too small: two steps of sdi take 10"):
        plan_of(1, "sdi", budget=9).steps_of(ENTRIES["sdi"])
    with pytest.raises(ValueError, match="needs a word and a method"):
        plan_of(1)


def test_gains_are_of_pairs_of_equal_word_and_seed() -> None:
    """Distances 0.1 below a baseline that differs from word to word and from seed to seed."""
    base = measured(FIT, (0.3, 0.5, 0.7), (0.4, 0.6, 0.9))
    mine = measured("sds", *(tuple(value - 0.1 for value in batch.values["distance"]) for batch in base))
    gain = paired_gain(mine, base[::-1], DISTANCE, 0)
    assert gain.value == pytest.approx(0.1) and gain.interval == pytest.approx((0.1, 0.1)), (
        "a smaller distance is better"
    )
    table = gain_table({FIT: base, "sds": mine, TRUTH: base}, 0)
    assert [row.name for row in table.rows] == ["sds"]
    values = table.rows[0].values
    assert values["gain_distance"] == pytest.approx(0.1) and values["gain_region_iou"] == pytest.approx(-0.1)


def test_intervals_resample_words_not_drawings() -> None:
    gains = (0.0, 0.3, 0.6)

    def interval(seeds: int) -> tuple[float, float]:
        base, mine = measured(FIT, *[gains] * seeds), measured("sds", *[(0.0,) * 3] * seeds)
        found = paired_gain(mine, base, DISTANCE, 0).interval
        assert found is not None
        return found

    assert interval(8) == pytest.approx(interval(1))


def test_the_summary_says_what_intervals_show() -> None:
    base = measured(FIT, (0.3, 0.4, 0.5, 0.6))
    by = {"sds": -0.1, "msd": 0.1}
    found = {FIT: base, TRUTH: base, SAMPLE: base}
    found |= {name: measured(name, tuple(v + by[name] for v in (0.3, 0.4, 0.5, 0.6))) for name in by}
    found["sdi"] = measured("sdi", (0.2, 0.5, 0.35, 0.7))
    plan = plan_of(4, "sds", "msd", "sdi", seeds=1, tuning=DrawingTuning(words_of("z"), (0.1, 0.2, 0.3)))
    titles = {entry.name: entry.title for entry in (*BASELINES, *plan.entries)}
    table = drawing_table(found, 0)
    lines = summarise(plan, found, table, titles)
    assert lines[0].startswith("4 words, 1 seed each, 24 paths at most; 200 prior calls")
    said = {line.split(":")[0]: line.split(": ")[1].split(" the true")[0] for line in lines[1:]}
    assert said == {
        "SDS": "drawings are nearer to",
        "MSD": "drawings are farther from",
        "SDI": "drawings are not shown to be nearer to or farther from",
    }
    tuned = {name: TunedDrawing((Trial(rate, 0.1, 0.5),), None, 0.5)
             for name, rate in (("sds", 0.1), ("msd", 0.2), ("sdi", 0.3))}  # fmt: skip
    assert caveats(plan, found, tuned) == (
        "The chosen rate is the least or the greatest that was tried for sds (0.1), sdi (0.3); a lower rate leaves the "
        "start as it is.",
    )
    assert (
        "2 words are too few for intervals" in caveats(replace(plan, words=plan.words[:2], tuning=None), found, {})[0]
    )
    rows = {row.name: row for row in table.rows}
    assert rows[FIT].values["distance"] == pytest.approx(0.45) and rows[FIT].values["distance_low"] < 0.45
    assert rows[FIT].values["calls"] == 50 and "nearest_low" not in rows[FIT].values and rows[TRUTH].reference


def test_traced_images_are_drawings_of_their_size() -> None:
    image = torch.ones(3, 32, 32)
    image[:, 8:24, 8:24] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    for factor in (1, 4):
        svg = trace_to_svg(image, factor)
        assert count_paths(svg) == (2 if factor == 1 else 3), "the white ground is a path, too, and a soft edge"
        assert render_error(svg, image) < 0.02 and render_svg(svg, (64, 64)).shape == (3, 64, 64)
    assert len(trace_to_svg(image, 4, path_precision=0)) < len(svg)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[TextToSvg, Ruler, Path, PriorCache]:
    """Experiment of two words and a seed under a pipeline of random weights, interrupted in its last job, resumed."""
    folder = tmp_path_factory.mktemp("study")
    icons = read_icons(fabricated.write_packages(folder / "icons"))
    words, others = choose_words(icons, 2, 1, 0)
    plan = TextToSvg(
        PipelinePriorConfig(str(tiny.make("sd", folder)), (16, 16)), words, (ENTRIES["sds"],),
        DrawingTuning(others, (0.01,)), seeds=1, budget=6, paths=3, cubics=3, sample_steps=2, fit_steps=10, shift=0,
    )  # fmt: skip
    ruler, priors = Ruler(icons, (16, 16)), PriorCache("cpu")
    finish(plan, folder / "run", ruler, priors, until=JOB)
    assert Run(folder / "run").status.state == "stopped" and not (folder / "run" / "report.html").exists()
    finish(plan, folder / "run", ruler, priors)
    return plan, ruler, folder / "run", priors


def finish(plan: TextToSvg, out: Path, ruler: Ruler, priors: PriorCache, until: str = "") -> None:
    """Runs the experiment to its end, or up to the first progress of a stage."""
    settings = {"device": "cpu", "prior": "tiny", "words": len(plan.words)}
    run = open_experiment(TEXT_TO_SVG, settings, {"title": "tiny"}, ["modeseek", "x"], out)
    job = run_text_to_svg(plan, run, priors, ruler)
    for progress in job:
        if until and progress.stage == until:
            break
    job.close()


def results_of(out: Path) -> dict[str, dict[str, float]]:
    rows = json.loads((out / "exports" / "results.json").read_text())["methods"]
    return {name: {k: v for k, v in row.items() if k != "seconds"} for name, row in rows.items()}


def test_a_run_writes_tables_svgs_sheet_and_page(study: tuple[TextToSvg, Ruler, Path, PriorCache]) -> None:
    plan, _, out, _ = study
    rows = results_of(out)
    assert list(rows) == [*(entry.name for entry in BASELINES[:2]), FIT, TRACED, "traced-large", "sds"]
    assert rows[TRUTH]["top1"] == 1 and rows[TRUTH]["region_iou"] > 0.95 and rows[TRUTH]["palette"] < 2
    assert rows[TRUTH]["paths"] == 1 and "bytes" not in rows[SAMPLE] and "error" not in rows[TRUTH]
    each = {name: row["calls"] for name, row in rows.items()}
    assert each == {TRUTH: 0, SAMPLE: 4, FIT: 4, TRACED: 4, "traced-large": 4, "sds": 10}
    assert all(0 < rows[name]["paths"] <= 3 and rows[name]["error"] < 5e-3 for name in (FIT, "sds"))
    files = sorted((out / "exports").glob("*.svg"))
    assert len(files) == 2 * 4
    with (out / "exports" / "drawings.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * 6 and lines[0]["nearest_drawing"].endswith(("flat", "shaded"))
    mine = {line["word"]: line for line in lines if line["method"] == "sds"}
    for word in plan.words:
        svg = (out / "exports" / f"sds-{word.name.replace(' ', '-')}-s0.svg").read_text()
        assert f"<title>{word.prompt}</title>" in svg
        assert float(mine[word.name]["bytes"]) == len(svg.encode())
        assert float(mine[word.name]["paths"]) == svg.count("<path")
    mean = sum(float(line["distance"]) for line in mine.values()) / 2
    assert mean == pytest.approx(rows["sds"]["distance"], abs=1e-9)
    facts = json.loads((out / "exports" / "results.json").read_text())["facts"]
    assert facts["steps"] == {"sds": 3} and facts["against"].keys() == set(rows) - {TRUTH, FIT}
    for name, chosen in facts["tuning"].items():
        assert {trial["lr"] for trial in chosen["trials"]} == {0.002, 0.01} and chosen["default"]["fall"] == 0.1
        scores = [trial["score"] for trial in chosen["trials"]]
        assert scores == sorted(scores) and len(scores) == 3
        first = [trial for trial in chosen["trials"] if trial["fall"] == 0.1]
        (last,) = (trial for trial in chosen["trials"] if trial["fall"] == 1.0)
        assert last["lr"] == first[0]["lr"], "the other fall is tried with the best rate"
        best = {key: chosen["trials"][0][key] for key in ("lr", "fall")}
        assert facts["rates"][name] == best and Run(out / "jobs" / JOB).config.optimizer.lr == best["lr"]
    page = (out / "report.html").read_text()
    assert all(
        words in page for words in ("Against Sample, fitted", "Tuning", "Drawings", "Region IoU", plan.words[0].prompt)
    )
    with Image.open(out / "media" / "sheet.png") as image:
        assert image.width > 6 * 128


def test_methods_start_from_the_fitted_samples(study: tuple[TextToSvg, Ruler, Path, PriorCache]) -> None:
    """With a learning rate of nothing a method returns the fitted drawings; from circles it does not."""
    plan, ruler, out, priors = study
    entries = tuple(replace(ENTRIES[name], lr=1e-12, fall=1.0) for name in ("sds", "msd-random"))
    still = replace(plan, words=plan.words[:1], entries=entries, tuning=None, fit_steps=2)
    finish(still, out.parent / "still", ruler, priors)
    rows = results_of(out.parent / "still")
    for key in ("distance", "region_iou", "palette", "paths"):
        assert rows["sds"][key] == pytest.approx(rows[FIT][key], abs=1e-4)
    assert rows["msd-random"]["distance"] != pytest.approx(rows[FIT]["distance"], abs=1e-3)
    assert (rows["sds"]["calls"], rows["msd-random"]["calls"]) == (10, 6), "circles need no sample"


def test_what_is_finished_is_not_done_again(study: tuple[TextToSvg, Ruler, Path, PriorCache]) -> None:
    plan, ruler, out, priors = study
    again = out.parent / "again"
    shutil.copytree(out, again)
    shutil.rmtree(again / "jobs" / JOB)
    (again / "measures" / f"{JOB}.json").unlink()
    times = {path: path.stat().st_mtime_ns for path in (*again.glob("jobs/*/*.json"), *again.glob("measures/*"))}
    finish(plan, again, ruler, priors)
    assert results_of(again) == results_of(out), "the same numbers from a run that was not interrupted"
    assert all(path.stat().st_mtime_ns == when for path, when in times.items()), "nothing was done twice"


def test_the_forty_words_are_the_prompts_of_the_other_experiments() -> None:
    assert len(EMOJI.prompts) == 40 and len(set(EMOJI.prompts)) == 40
