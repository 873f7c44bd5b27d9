"""`modeseek paper text-to-3d` end to end on tiny shapes: metrics, images, resuming, failures and refusals."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from terminal import cli_error, help_text

import modeseek as ms
from modeseek.cli import main
from modeseek.cli.paper_options import PaperOptions
from modeseek.cli.paper_text_to_3d import CAPTIONS, MORE_CAPTIONS, TextTo3DCommand
from modeseek.experiments.common.entries import fixed
from modeseek.experiments.text_to_3d.entries import ENTRIES
from modeseek.experiments.text_to_3d.experiment import run_text_to_3d
from modeseek.experiments.text_to_3d.findings import compare, summarise
from modeseek.experiments.text_to_3d.jobs import ShapeJob, ShapeJobResult, ShapeResults
from modeseek.experiments.text_to_3d.metrics import front_counts
from modeseek.experiments.text_to_3d.plan import TextTo3D, TextTo3DJob
from modeseek.experiments.text_to_3d.representations import REPRESENTATIONS, Variant
from modeseek.experiments.text_to_3d.table import main_table
from modeseek.experiments.text_to_3d.view_conditioning import VIEW_CONDITIONINGS
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.metrics.scenes.janus import FrontFaces
from modeseek.runs.build import build
from modeseek.runs.experiment_folder import TEXT_TO_3D, open_experiment
from modeseek.runs.interrupts import RunFailed
from modeseek.runs.jobs import JobContext, PriorCache
from modeseek.runs.train import train

pytestmark = pytest.mark.slow

CUBE = "a blue cube with a white face"
TINY = ("--prior", "renders", "--captions", CUBE, "--seeds", "1", "--steps", "8", "--size", "8", "--views", "2")
COMMAND = TextTo3DCommand("renders", captions=(CUBE,), methods=("sds",), steps=8, size=8, views=2,
                          shared=PaperOptions(seeds=1))  # fmt: skip
FIRST = "sds-fine-a-blue-cube-with-a-white-face-0"
SECOND = FIRST.replace("fine", "none")


def argv(out: Path, *more: str) -> list[str]:
    options = [arg for name, value in zip(TINY[::2], TINY[1::2], strict=True) if name not in more
             for arg in (name, value)]  # fmt: skip
    methods = [] if "--methods" in more else ["--methods", "sds"]
    return ["paper", "text-to-3d", *options, *methods, "--out", str(out), *more]


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open() as file:
        return {row["method"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An experiment that was stopped in the middle of its second job, then resumed."""
    patch = pytest.MonkeyPatch()
    patch.setattr("modeseek.generators.generator3d.MESH_RESOLUTION", 40)
    patch.setattr("modeseek.experiments.text_to_3d.measure._TURNTABLE_SIDE", 16)
    out = tmp_path_factory.mktemp("shapes") / "out"
    plan, priors = COMMAND.plan(), PriorCache("cpu")
    run = open_experiment(TEXT_TO_3D, COMMAND._settings(plan), {"title": "renders", "sha256": None}, ["test"], out)
    job = run_text_to_3d(plan, run, SceneClassifier.packaged(), priors)
    for progress in job:
        if progress.stage == SECOND and progress.done == 1:
            break
    job.close()
    assert run.status.state == "stopped" and run.status.step == 1 and not (out / "report.html").exists()
    first = (out / "plays" / FIRST / "exports" / "measures.json").stat().st_mtime_ns
    main(argv(out))
    assert (out / "plays" / FIRST / "exports" / "measures.json").stat().st_mtime_ns == first
    yield out
    patch.undo()


def test_it_resumes_as_if_it_never_stopped(out: Path, tmp_path: Path) -> None:
    """The resumed job equals, bit for bit, an uninterrupted run of its configuration."""
    resumed = ms.Run.load(out / "plays" / SECOND)
    assert ms.Run.load(out / "plays" / FIRST).status.sessions == 1
    assert resumed.status.state == "finished" and resumed.status.sessions == 2 and not resumed.checkpoints
    config = resumed.config
    whole = build(config)
    run = ms.Run.create_for(config, None, ["x"], tmp_path / "whole")
    walk = train(run, whole, config.steps)
    next(step for step in walk if step.done == config.steps)
    walk.close()
    path = resumed.path / "exports" / "generator.safetensors"
    import safetensors.torch

    weights = safetensors.torch.load_file(path)
    state = whole.generator.state_dict()  # type: ignore[attr-defined]
    assert weights.keys() == state.keys() and all(torch.equal(weights[name], state[name]) for name in state)


def test_the_tables_are_the_means_of_what_lies_in_the_folders(out: Path) -> None:
    table, fronts = rows(out / "exports" / "results.csv"), rows(out / "exports" / "fronts.csv")
    assert list(table) == ["truth", "sds"] and list(fronts) == ["sds@fine", "sds@none"]
    measures = {path.name: json.loads((path / "exports" / "measures.json").read_text())
              for path in (out / "plays").iterdir()}  # fmt: skip
    assert measures.keys() == {FIRST, SECOND}
    for key in ("iou", "right", "delta_e", "psnr", "saturation", "one_front", "fronts_judged", "watertight", "calls"):
        assert float(table["sds"][key]) == pytest.approx(measures[FIRST][key]), key
    assert float(fronts["sds@none"]["fronts"]) == measures[SECOND]["fronts"] and measures[FIRST]["calls"] == 8 * 2
    assert measures[FIRST]["turn"] == 0 and float(fronts["sds@none"]["iou"]) == pytest.approx(measures[SECOND]["iou"])
    assert float(table["truth"]["one_front"]) == float(table["truth"]["one_front_judged"]) == 1
    assert float(table["truth"]["right"]) > 0.8
    results = json.loads((out / "exports" / "results.json").read_text())
    assert results["facts"]["things"] == measures and results["settings"]["captions"] == [CUBE]


def test_both_counts_of_fronts_are_reported() -> None:
    """Two against the ground truth, one by the scene classifier."""
    none = torch.zeros(24, dtype=torch.bool)
    measures = {key: count.value for key, count in front_counts(FrontFaces(2, none), FrontFaces(1, none)).items()}
    assert measures == {"fronts": 2.0, "one_front": 0.0, "fronts_judged": 1.0, "one_front_judged": 1.0}
    results = ShapeResults(
        ShapeJobResult(TextTo3DJob(ENTRIES["sds"], VIEW_CONDITIONINGS["fine"], 0, seed, str(seed)), measures)
        for seed in (0, 1)
    )
    plan = TextTo3D("bundled", (CUBE,), {ENTRIES["sds"]: None}, (VIEW_CONDITIONINGS["fine"],), 2)
    lines = [line for line in summarise(plan, results) if "Exactly one front" in line]
    assert len(lines) == 2 and "against the ground truth" in lines[0] and "SDS 0 of 2" in lines[0]
    assert "by the scene classifier" in lines[1] and "SDS 2 of 2" in lines[1]


def test_the_metrics_are_those_of_the_images(out: Path) -> None:
    """Silhouettes, PSNR, saturation and the mesh from the exported files, by other code."""
    for path in (out / "plays").iterdir():
        measures = json.loads((path / "exports" / "measures.json").read_text())
        with Image.open(path / "media" / "held-out.png") as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.float64) / 255
        assert pixels.shape == (4 * 64, 16 * 64, 3)
        found, true, mask, true_mask = pixels.reshape(4, 64, 16, 64, 3).transpose(0, 2, 1, 3, 4)
        mask, true_mask = mask[..., 0] > 0.5, true_mask[..., 0] > 0.5
        iou = [(m & t).sum() / max(1, (m | t).sum()) for m, t in zip(mask, true_mask, strict=True)]
        assert measures["iou"] == pytest.approx(np.mean(iou), abs=1e-6)
        psnr = -10 * np.log10(((found - true) ** 2).mean((1, 2, 3)))
        assert measures["psnr"] == pytest.approx(psnr.mean(), abs=0.05)
        grey = np.where(found.max(-1) > 0, 1 - found.min(-1) / np.maximum(found.max(-1), 1e-9), 0)
        saturation = [g[m].mean() for g, m in zip(grey, mask, strict=True) if m.any()]
        assert measures["saturation"] == pytest.approx(np.mean(saturation), abs=0.01)
        mesh = trimesh.load(path / "exports" / "mesh.ply", force="mesh")
        assert measures["watertight"] == float(mesh.is_watertight)


def test_the_page_needs_nothing_else_and_shows_everything(out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    for words in (CUBE, "Metrics", "Front faces with and without", "paper text-to-3d --prior renders", "2502.15989",
                  "2209.14988", "data:image/gif", "Costs", "SDS"):  # fmt: skip
        assert words in page, words
    assert "src='http" not in page and 'src="http' not in page
    with Image.open(out / "media" / "turntables.gif") as gif:
        assert getattr(gif, "n_frames", 1) == 24 and gif.width == 6 + 110 + 6 + 3 * (16 + 6)
    with Image.open(out / "media" / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    assert 0.01 < (pixels < 250).any(2).mean() < 0.6
    table = (out / "exports" / "table.md").read_text()
    assert table.startswith("| Method | Runs | IoU ↑ |") and "| SDS, none |" in table
    assert len({line.count("|") for line in table.split("\n\n")[0].splitlines()}) == 1


def test_a_failed_job_is_named_and_the_others_are_reported(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    real = ShapeJob.optimise

    def sometimes(job: ShapeJob, config: ms.Config):  # noqa: ANN202
        if job.spec.entry.name == "msd":
            raise RunFailed("the direction of step 3 is not finite")
        return (yield from real(job, config))

    monkeypatch.setattr(ShapeJob, "optimise", sometimes)
    main(argv(copy, "--methods", "sds", "msd", "--consistency", "fine"))
    output = " ".join(capsys.readouterr().out.split())
    name = FIRST.replace("sds", "msd")
    assert f"{name} is left out, its run failed: the direction of step 3 is not finite" in output
    assert list(rows(copy / "exports" / "results.csv")) == ["truth", "sds"]
    assert name in (copy / "report.html").read_text() and ms.Run.load(copy).status.state == "finished"
    before = rows(out / "exports" / "results.csv")["sds"]
    assert rows(copy / "exports" / "results.csv")["sds"] == before
    (copy / "plays" / FIRST / "exports" / "measures.json").write_text("{")
    with pytest.raises(SystemExit):
        main(argv(copy, "--methods", "sds"))
    assert "measures.json is damaged; remove it" in capsys.readouterr().err.splitlines()[-1]
    assert ms.Run.load(copy).status.state == "failed"


def test_other_settings_and_other_folders_are_refused(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert "was begun with steps 8: got 9" in cli_error(argv(out, "--steps", "9"), capsys)
    assert "was begun with size 8: got 16" in cli_error(argv(out, "--size", "16"), capsys)
    assert "holds other files: it has no status.json" in cli_error(argv(out / "exports"), capsys)
    assert "belongs to modeseek run" in cli_error(argv(out / "plays" / SECOND), capsys)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--captions", "a zebra"], "zebra"),
        (["--captions", "a red cone beside a blue cube"], "try 'on' or one object"),
        (["--captions", "a red cone", "a red cone"], "captions must be distinct"),
        (["--methods", "mds"], "unknown method 'mds': did you mean"),
        (["--consistency", "perp-neg"], "got consistency 'perp-neg'; choose none, words or fine"),
        (["--consistency", "fin"], "unknown consistency 'fin': did you mean fine?"),
        (["--steps", "1"], "steps must be at least 2, got 1"),
        (["--seeds", "0"], "seeds must be at least 1, got 0"),
        (["--size", "4"], "size must be at least 8, got 4"),
        (["--budget", "7", "--methods", "sdi"], "two steps of sdi take 8"),
        (["--scale", "nan"], "scale must be finite"),
        (["--generators", "splat"], "unknown generator 'splat': did you mean splats?"),
        (["--inner-steps", "0"], "inner_steps must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_is_one_line(
    more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in cli_error(argv(tmp_path / "out", *more), capsys)
    assert not (tmp_path / "out").exists()


def test_which_jobs_a_plan_has() -> None:
    usual = TextTo3DCommand().plan()
    assert usual.prior == "scenes" and not usual.exact
    names = [(job.entry.name, job.conditioning.name, job.caption) for job in usual.jobs() if job.seed == 2]
    assert names.count(("vsd", "fine", 1)) == 1 and ("vsd", "fine", 2) not in names and len(names) == 4 * 2 + 4 + 2 * 2
    assert {name for name in names if name[1] == "none"} == {(p, "none", c) for p in ("sds", "msd") for c in (0, 2)}
    assert len(usual.jobs()) == 3 * 16 and len({job.name for job in usual.jobs()}) == 48
    full = TextTo3DCommand("renders", full=True).plan()
    assert (
        full.captions == CAPTIONS + MORE_CAPTIONS
        and len(full.captions) == 12
        and set(full.entries) == set(ENTRIES.values())
    )
    steps = dict.fromkeys(("sds", "sds-uniform", "sds-debiased", "msd", "msd-plain", "vsd"), 100)
    steps |= {"msd-product": 6, "sdi": 25, "sdi-negative": 9}
    assert {entry.name: full.steps_of(entry, full.conditionings[0]) for entry in full.entries} == steps
    bounded = ENTRIES["sds-debiased"].method(3.0, False)
    assert isinstance(bounded, ms.methods.Debiased) and isinstance(
        bounded.method, type(ENTRIES["sds"].method(3.0, False))
    )


def test_a_pipeline_is_conditioned_on_view_prompts_and_guided() -> None:
    plan = TextTo3DCommand(prior="owner/name", methods=("sds", "vsd"), consistency=("perp-neg", "fine")).plan()
    steps = {
        (entry.name, view.name): plan.steps_of(entry, view) for entry in plan.entries for view in plan.conditionings
    }
    assert plan.call_budget == 200 and steps.pop(("sds", "perp-neg")) == 50 and set(steps.values()) == {100}
    configs = {
        (p.entry.name, p.conditioning.name): plan.config(p) for p in plan.jobs() if (p.caption, p.seed) == (0, 0)
    }
    sds, vsd = configs["sds", "perp-neg"], configs["vsd", "perp-neg"]
    assert sds.views.opposed and sds.scale == 3 and sds.prompts == (CUBE,)
    assert not vsd.views.opposed and vsd.scale == 1 and vsd.method.scale == 3  # type: ignore[attr-defined]
    assert configs["sds", "fine"].views.words == "fine" and not plan.scenes[0].light.fixed


def test_inner_steps_are_those_of_modeseek_shape_or_as_given() -> None:
    """They are for methods whose directions have a target, and cost no prior call."""

    def numbers(prior: str, inner_steps: int | None, *names: str) -> tuple[dict[str, int], str]:
        command = TextTo3DCommand(prior, captions=(CUBE,), methods=names, inner_steps=inner_steps,
                                  consistency=("fine",), shared=PaperOptions(seeds=1))  # fmt: skip
        plan = command.plan()
        assert all(plan.steps_of(entry, plan.conditionings[0]) == 100 for entry in plan.entries)
        assert command._settings(plan)["inner_steps"] == inner_steps
        results = ShapeResults([ShapeJobResult(plan.jobs()[0], {"iou": 0.5})])
        found = {job.entry.name: plan.config(job).inner_steps for job in plan.jobs()}
        return found, summarise(plan, results)[0]

    names = ("sds", "sds-debiased", "msd", "msd-plain", "vsd")
    found, settings = numbers("scenes", None, *names)
    assert found == dict.fromkeys(names, 2) and "4 views per step, 2 optimizer steps per direction. The" in settings
    found, settings = numbers("renders", None, *names)
    assert found == dict.fromkeys(names, 1) and "4 views per step. The" in settings
    assert numbers("renders", 3, *names)[0] == dict.fromkeys(names, 3)
    found, settings = numbers("somewhere", 3, "msd")
    assert found == {"msd": 3} and "3 optimizer steps per direction" in settings
    untargeted = replace(ENTRIES["sds"], name="fsd", make=fixed(ms.methods.FSD()))
    plan = replace(TextTo3DCommand(captions=(CUBE,)).plan(), entries={ENTRIES["sds"]: None, untargeted: None})
    for inner_steps, expected in ((None, {1, 2}), (4, {1, 4})):
        plan = replace(plan, inner_steps=inner_steps)
        assert {plan.config(job).inner_steps for job in plan.jobs()} == expected


@pytest.mark.parametrize(("name", "budget"), [("msd-product", 30), ("sdi", 8), ("sdi-negative", 22), ("vsd", 3)])
def test_entries_spend_their_budget(name: str, budget: int, tmp_path: Path) -> None:
    command = TextTo3DCommand(
        "renders", captions=("a red cone",), methods=(name,), budget=budget, size=8, views=2,
        shared=PaperOptions(seeds=1),
    )  # fmt: skip
    plan = command.plan()
    (job,) = plan.jobs()
    context = JobContext(tmp_path, PriorCache("cpu"), ["test"])
    *_, last = ShapeJob(plan, job, SceneClassifier.packaged(), context).optimise(plan.config(job))
    run = ms.Run.load(tmp_path / job.name)
    assert last.done == last.total == run.status.step == (3 if name == "vsd" else 2)
    assert run.status.calls == 2 * budget and run.status.state == "finished"


def test_sentences_follow_from_pairs() -> None:
    plan = TextTo3DCommand("renders", captions=("a red cone", "a red cube"), methods=("sds", "msd"),
                           shared=PaperOptions(seeds=2)).plan()  # fmt: skip
    conditioning = VIEW_CONDITIONINGS["fine"]
    values = {"sds": [0.5, 0.6, 0.7, 0.8], "msd": [0.6, 0.71, 0.82, 0.93]}
    results = ShapeResults(
        ShapeJobResult(
            TextTo3DJob(ENTRIES[name], conditioning, k // 2, k % 2, f"{name}{k}"),
            {"iou": value, "delta_e": 10 + value, "right": 0.5 + 0.1 * (-1) ** k * (name == "sds")},
        )
        for name, several in values.items()
        for k, value in enumerate(several)
    )
    line = compare(plan, results, Variant(ENTRIES["msd"]), Variant(ENTRIES["sds"]))
    assert line.startswith("MSD against SDS, 4 pairs") and "better in IoU by 0.11 [0.1" in line
    assert "worse in Delta E by 0.12 [0.1" in line and "no difference beyond chance in All right" in line
    few = ShapeResults(results[:6])
    assert compare(plan, few, Variant(ENTRIES["msd"]), Variant(ENTRIES["sds"])).endswith("too few to distinguish them.")
    assert len(summarise(plan, results)) == 2
    table = main_table(plan, results, {"a red cone": {"right": 1.0}})
    assert table.rows[1].values["iou"] == pytest.approx(0.65) and table.rows[0].reference
    assert 0.5 <= table.rows[1].values["iou_low"] < 0.65 < table.rows[1].values["iou_high"] <= 0.8


def test_it_is_among_the_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    assert "text-to-3d" in help_text(["paper", "--help"], capsys)
    output = help_text(["paper", "text-to-3d", "--help"], capsys)
    assert all(name in output for name in ENTRIES) and "--consistency" in output


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_representations_spend_the_same_budget(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they begin with counts; measures and mesh are those of the last stage, calls and seconds of all."""
    monkeypatch.setattr("modeseek.generators.generator3d.MESH_RESOLUTION", 24)
    monkeypatch.setattr("modeseek.generators.splats.splats.MESH_RESOLUTION", 24)
    monkeypatch.setattr("modeseek.generators.splats.splats._FUSED_SIZE", 24)
    monkeypatch.setattr("modeseek.experiments.text_to_3d.measure._TURNTABLE_SIDE", 16)
    monkeypatch.setattr("modeseek.experiments.text_to_3d.measure._VIEW_SIDE", 24)
    monkeypatch.setattr("modeseek.metrics.scenes.alignment._ROUNDS", 1)
    command = TextTo3DCommand("renders", captions=("a red cone",), methods=("msd",), generators=(name,), steps=10,
                              size=8, views=2, consistency=("none",), shared=PaperOptions(seeds=1))  # fmt: skip
    plan = command.plan()
    (job,) = plan.jobs()
    whole = ShapeJob(plan, job, SceneClassifier.packaged(), JobContext(tmp_path, PriorCache("cpu"), ["test"]))
    *_, last = _finish(whole.run(), results := [])
    assert last.stage == "optimising" and results[0].calls == 10 * 2
    assert whole.load() == results[0] and (tmp_path / job.name / "media" / "held-out.png").is_file()
    folders = {path.name: ms.Run.load(path).status.calls for path in tmp_path.iterdir()}
    suffix = "" if name == "volume" else f"-{name}"
    last_name = f"msd{suffix}-none-a-red-cone-0"
    assert folders == ({last_name: 3 * 2, "msd-mesh-none-a-red-cone-0-volume": 7 * 2} if name == "mesh"
                       else {last_name: 20})  # fmt: skip
    generator = whole._generator(ms.Run.load(tmp_path / last_name), whole._config)
    assert type(generator).__name__ == {"volume": "NeRF", "splats": "Splats", "mesh": "Surface"}[name]


def _finish(job, results: list):  # noqa: ANN001, ANN202
    """Yields the progress of a job and appends its result."""
    results.append((yield from job))


def test_representations_are_rows_of_the_tables() -> None:
    plan = TextTo3DCommand(captions=(CUBE, "a red cone"), methods=("sds", "msd"), generators=("volume", "splats"),
                           shared=PaperOptions(seeds=2)).plan()  # fmt: skip
    jobs = plan.jobs()
    first = [job.variant.name for job in jobs if job.conditioning.name == "fine" and job.seed == job.caption == 0]
    assert first == ["sds", "msd", "sds-splats", "msd-splats"]
    assert {job.variant.name for job in jobs if job.conditioning.name == "none"} == {"sds", "msd"}
    splats = next(plan.config(job) for job in jobs if job.variant.name == "msd-splats")
    assert splats.steps + splats.generator.start.steps == 100  # type: ignore[attr-defined]
    worse = {"volume": 0.0, "splats": 0.1}
    results = ShapeResults(
        ShapeJobResult(job, {"iou": 0.9 - worse[job.representation.name] + 0.01 * job.seed})
        for job in jobs
        if job.conditioning.name == "fine"
    )
    table = main_table(plan, results, {CUBE: {"right": 1.0}})
    assert [row.name for row in table.rows] == ["truth", "sds", "msd", "sds-splats", "msd-splats"]
    assert table.rows[3].values["iou"] == pytest.approx(0.805)
    lines = summarise(plan, results)
    assert [line.split(",")[0] for line in lines[1:3]] == ["MSD against SDS", "MSD"]
    assert lines[3].startswith("SDS, splats against SDS, 4 pairs") and "worse in IoU by 0.1 [" in lines[3]
    assert lines[4].startswith("MSD, splats against MSD, 4 pairs")
