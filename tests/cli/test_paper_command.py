"""`modeseek paper text-to-image` end to end on a small pipeline: metrics, images, resume, errors."""

from __future__ import annotations

import csv
import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from terminal import cli_error, help_text

import modeseek as ms
from modeseek.cli import main

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
pytest.importorskip("torchmetrics", reason="pip install -e '.[evaluation]' runs the tests of FID")
import tiny  # noqa: E402 - needs diffusers
import tiny_scorers  # noqa: E402

from modeseek.cli.paper_options import PaperOptions  # noqa: E402
from modeseek.cli.paper_text_to_image import TextToImageCommand, read_prompts  # noqa: E402
from modeseek.config.optimizers import AdamConfig  # noqa: E402
from modeseek.experiments.text_to_image.entries import ENTRIES  # noqa: E402
from modeseek.experiments.text_to_image.experiment import run_text_to_image  # noqa: E402
from modeseek.experiments.text_to_image.metrics import METRICS, MetricNetworks, per_image  # noqa: E402
from modeseek.reports.metric import Metric  # noqa: E402
from modeseek.reports.table import Column, Row, Table  # noqa: E402
from modeseek.runs.experiment_folder import TEXT_TO_IMAGE, open_experiment  # noqa: E402
from modeseek.runs.jobs import PriorCache  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sd, clip, dino and prompts.txt."""
    path = tmp_path_factory.mktemp("paper")
    tiny.make("sd", path)
    tiny_scorers.clip(path / "clip")
    tiny_scorers.dino(path / "dino")
    (path / "prompts.txt").write_text("# two\n\na red cone\n   \n  a sphere  \n")
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODESEEK_CACHE", str(tmp_path / "cache"))


def argv(folder: Path, out: Path, *more: str) -> list[str]:
    options = {"--prior": folder / "sd", "--prompts": folder / "prompts.txt", "--seeds": 1, "--steps": 3, "--out": out}
    given = [word for key, value in options.items() if key not in more for word in (key, str(value))]
    sizes = ["--size", "16", "16", "--sample-steps", "3"]
    return ["paper", "text-to-image", *given, *sizes, *more]


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "exports" / "results.csv").open() as file:
        return {row["method"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_absent_metric_networks_are_reported_then_used(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main(argv(folder, out))
    output = capsys.readouterr().out
    assert "FID and KID are missing" in output and "--features FOLDER" in output and "--clip FOLDER" in output
    run, rows = ms.Run.load(out), table(out)
    assert list(rows) == ["ddim", "sds", "sdi", "msd"] and run.status.state == "finished"
    assert {name: float(row["calls"]) for name, row in rows.items()} == {
        "ddim": 6, "sds": 6, "sdi": 3 * 5, "msd": 6,
    }  # fmt: skip
    assert run.status.calls == 2 * (6 + 6 + 15 + 6) and not rows["sds"]["kid"] and rows["sds"]["saturation"]
    page = (out / "report.html").read_text(encoding="utf-8")
    for words in (
        "FID and KID are missing",
        "a red cone",
        "paper text-to-image --prior",
        "Calls per step",
        "2502.15989",
    ):
        assert words in page
    assert "src='http" not in page and "1706.08500" not in page
    jobs = {path: path.stat().st_mtime_ns for path in (out / "jobs").glob("*/status.json")}
    assert len(jobs) == 4
    main(argv(folder, out, "--features", str(folder / "dino"), "--clip", str(folder / "clip")))
    output, rows = capsys.readouterr().out, table(out)
    assert "missing" not in output and "FID uses 2 images per method and 8 of the reference with 16" in output
    assert all(path.stat().st_mtime_ns == when for path, when in jobs.items())  # nothing was done twice
    for row in rows.values():
        assert all(np.isfinite(float(row[key])) for key in ("fid", "kid", "clip")) and abs(float(row["clip"])) <= 1
    assert run.status.calls == 66 + 8 * 6 and "1706.08500" in (out / "report.html").read_text()
    lines = (out / "exports" / "table.md").read_text().splitlines()
    assert lines[0].startswith("| Method | FID ↓ |") and len(lines[0].split("|")) == len(lines[1].split("|"))
    assert [line.split(" | ")[0] for line in lines[2:6]] == ["| DDIM", "| SDS", "| SDI", "| MSD"]
    assert (
        sum(line.count("**") for line in lines[2:6]) >= 6
        and "**" not in lines[2]
        and lines[7].startswith("- 2 prompts")
    )
    results = json.loads((out / "exports" / "results.json").read_text())
    assert results["methods"]["msd"]["clip"] == float(rows["msd"]["clip"])
    assert results["facts"]["prompts"] == ["a red cone", "a sphere"] and results["settings"]["steps"] == 3


def test_metrics_equal_those_of_the_exported_images(folder: Path, tmp_path: Path) -> None:
    """CLIP and saturation recomputed from the exported files."""
    from modeseek.metrics.clip import CLIPSimilarity

    out = tmp_path / "out"
    main(argv(folder, out, "--methods", "msd-kernel", "ddim", "--clip", str(folder / "clip"), "--seeds", "2"))
    rows, model = table(out), CLIPSimilarity.load(folder / "clip")
    assert list(rows) == ["msd-kernel", "ddim"]
    for name in rows:
        cosines, colours = [], []
        for prompt, text in enumerate(("a red cone", "a sphere")):
            for seed in range(2):
                with Image.open(out / "exports" / f"{name}-prompt{prompt:02d}-seed{seed}.png") as image:
                    pixels = np.asarray(image, dtype=np.float32) / 255
                cosines.append(model(torch.from_numpy(pixels).permute(2, 0, 1)[None], [text]).item())
                high, low = pixels.max(2), pixels.min(2)
                colours.append(np.where(high > 0, 1 - low / np.maximum(high, 1e-9), 0).mean())
        assert float(rows[name]["clip"]) == pytest.approx(np.mean(cosines), abs=1e-5)
        assert float(rows[name]["saturation"]) == pytest.approx(np.mean(colours), abs=1e-5)
    with Image.open(out / "media" / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    assert pixels.shape[1] > 270 + 4 * 64 and (pixels == 255).all(2).mean() < 0.9


def test_an_image_metric_is_a_function_and_a_row(folder: Path, tmp_path: Path) -> None:
    """No other edit is needed: it is in the table, the files, the summary, the page's definitions and sources."""

    def redness(image: torch.Tensor) -> torch.Tensor:
        return image[:, 0].mean((1, 2))

    row = Metric(
        "redness", "Red", "Mean of the red channel, a made-up metric.", ".4f", "high", ("csd",), summarised=True,
        evaluate=per_image(redness),
    )  # fmt: skip
    command = TextToImageCommand(
        str(folder / "sd"), folder / "prompts.txt", ("ddim", "sds", "msd"), steps=3, size=(16, 16), sample_steps=3,
        shared=PaperOptions(seeds=2),
    )  # fmt: skip
    plan, out, priors = command.plan(), tmp_path / "out", PriorCache("cpu")
    run = open_experiment(TEXT_TO_IMAGE, command._settings(plan), {"title": "sd"}, ["test"], out)
    *_, last = run_text_to_image(plan, run, priors, MetricNetworks(), (*METRICS, row))
    assert (last.stage, last.done) == ("measuring", 3)
    rows, results = table(out), json.loads((out / "exports" / "results.json").read_text())
    for name in ("ddim", "sds", "msd"):
        files = sorted((out / "exports").glob(f"{name}-prompt*.png"))
        reds = [np.asarray(Image.open(path), dtype=np.float64)[..., 0].mean() / 255 for path in files]
        assert len(files) == 4 and float(rows[name]["redness"]) == pytest.approx(np.mean(reds), abs=1e-6)
        assert float(rows[name]["redness_low"]) < np.mean(reds) < float(rows[name]["redness_high"])
        assert results["methods"][name]["redness"] == float(rows[name]["redness"])
    assert results["columns"]["redness"] == {"heading": "Red", "meaning": row.meaning, "better": "high"}
    assert any(line.startswith("Best Red of the optimised images: ") for line in results["facts"]["findings"])
    assert "| Red ↑ |" in (out / "exports" / "table.md").read_text().splitlines()[0]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Red ↑" in page and page.count(row.meaning) >= 1 and "2310.19415" in page


@pytest.mark.slow
def test_a_job_does_not_depend_on_the_other_methods(folder: Path, tmp_path: Path) -> None:
    main(argv(folder, tmp_path / "a", "--methods", "sds"))
    main(argv(folder, tmp_path / "b", "--methods", "msd", "sds", "--reference", "0"))
    names = [f"sds-prompt{prompt:02d}-seed0.png" for prompt in range(2)]
    for name in names:
        assert (tmp_path / "a" / "exports" / name).read_bytes() == (tmp_path / "b" / "exports" / name).read_bytes()
    assert len({(tmp_path / "a" / "exports" / name).read_bytes() for name in names}) == 2


@pytest.mark.slow
def test_a_guidance_sweep_runs_each_method_at_each_scale(folder: Path, tmp_path: Path) -> None:
    """Results at two scales equal those of runs at one; the likelihood is that of the PNG files."""
    out, single, pixels_option = tmp_path / "out", tmp_path / "single", ["--generator", "pixels", "--lr", "0.003"]
    main(argv(folder, out, "--methods", "ddim", "sds", "--sweep", "1", "3", "--likelihood", "8", *pixels_option))
    rows = table(out)
    assert list(rows) == ["ddim@1", "ddim@3", "sds@1", "sds@3"]
    assert [float(row["calls"]) for row in rows.values()] == [3, 6, 3, 6]
    main(argv(folder, single, "--methods", "ddim", "sds", "--scale", "3", *pixels_option))
    prior = ms.Pipeline.load(folder / "sd", size=16, cache=None)
    for name in ("ddim", "sds"):
        values = []
        for prompt, text in enumerate(("a red cone", "a sphere")):
            path = out / "exports" / f"{name}@3-prompt{prompt:02d}-seed0.png"
            assert path.read_bytes() == (single / "exports" / f"{name}-prompt{prompt:02d}-seed0.png").read_bytes()
            if name == "ddim":  # what a random network draws has no density along its flow: reported as missing
                continue
            pixels = torch.from_numpy(np.asarray(Image.open(path)).copy()).permute(2, 0, 1)[None].float() / 255
            z = prior.codec.encode(pixels)
            rng = ms.Streams(0, use="likelihood", items=(2**20 * prompt,))
            values.append(ms.log_likelihood(prior, z, prior.encode([text]), rng=rng, steps=8).item() / z.numel())
        log_p = [float(rows[f"{name}@3"]["log_p"])] if values else []
        assert log_p == pytest.approx([np.mean(values)] if values else [], rel=1e-4)
    report = (out / "report.html").read_text()
    assert "scale 3" in report and "2 of 2 of ddim@1" in report and not rows["ddim@1"]["log_p"]
    assert not table(single)["sds"]["log_p"]


def test_full_runs_all_methods_at_all_scales(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = TextToImageCommand(prior=str(folder / "sd"), prompts=folder / "prompts.txt", full=True).plan()
    assert len(plan.entries) == 4 * len(ENTRIES) and plan.scales["msd-product@7.5"] == 7.5
    both = ["paper", "text-to-image", "--prior", "x", "--prompts", str(folder / "prompts.txt"), "--sweep", "1"]
    assert "remove one" in cli_error([*both, "--scale", "3"], capsys)


def test_under_the_bundled_prior_it_needs_no_prompts() -> None:
    plan = TextToImageCommand().plan()
    assert len(plan.prompts) == 8 and len(plan.entries) == len(ENTRIES) and plan.budget == 800
    equal_steps = TextToImageCommand(budget=0, steps=100).plan()
    assert equal_steps.budget is None and {equal_steps.steps_of(entry) for entry in equal_steps.entries} == {50, 100}
    assert set(plan.scales.values()) == {3.0} and plan.likelihood == 12
    assert len(TextToImageCommand(full=True).plan().prompts) == 40
    with pytest.raises(ValueError, match="--prompts"):
        TextToImageCommand(prior="x").plan()


@pytest.mark.slow
def test_it_resumes_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    """Interrupted in the middle of the second method; the result equals an uninterrupted run, bit for bit."""
    more = ["--methods", "sds", "msd", "--batch", "1", "--steps", "4"]
    main(argv(folder, tmp_path / "whole", *more))
    command = TextToImageCommand(
        str(folder / "sd"), folder / "prompts.txt", ("sds", "msd"), steps=4, size=(16, 16), sample_steps=3, batch=1,
        shared=PaperOptions(seeds=1),
    )  # fmt: skip
    plan = command.plan()
    priors = PriorCache("cpu")
    out = tmp_path / "pieces"
    prior = {"title": "sd", "sha256": priors.load(plan.prior_config).sha256}
    run = open_experiment(TEXT_TO_IMAGE, command._settings(plan), prior, ["test"], out)
    job = run_text_to_image(plan, run, priors, MetricNetworks())
    for progress in job:
        if progress.stage == "msd-000" and progress.done == 2:
            break
    job.close()
    assert run.status.state == "stopped" and run.status.step == 2
    done = {path: path.read_bytes() for path in (out / "jobs").glob("sds-*/status.json")}
    assert len(done) == 2 and not (out / "report.html").exists()
    main(argv(folder, out, *more))
    assert all(path.read_bytes() == before for path, before in done.items())
    assert run.status.state == "finished" and run.status.step == 4
    for path in sorted((tmp_path / "whole" / "exports").glob("*.png")):
        assert path.read_bytes() == (out / "exports" / path.name).read_bytes(), path.name


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["ddim-000", "msd-000"])
def test_ctrl_c_says_how_to_resume(
    stage: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In plain sampling, and in a run that finishes its step first."""
    interrupted = []
    signal.signal(signal.SIGINT, signal.default_int_handler)  # programs begun in the background ignore it

    def watch(job: object) -> object:
        for progress in job:  # type: ignore[attr-defined]
            if progress.stage == stage and not interrupted:
                interrupted.append(progress)
                signal.raise_signal(signal.SIGINT)
        raise AssertionError("it went on")

    monkeypatch.setattr("modeseek.cli.paper_options.run_with_progress", watch)
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as caught:
        main(argv(folder, out, "--methods", "ddim", "msd"))
    monkeypatch.undo()
    assert caught.value.code == 75 and f"--out {out}" in capsys.readouterr().err
    assert ms.Run.load(out).status.state == "stopped" and interrupted
    monkeypatch.setenv("MODESEEK_CACHE", str(tmp_path / "cache"))
    main(argv(folder, out, "--methods", "ddim", "msd"))
    assert ms.Run.load(out).status.state == "finished" and set(table(out)) == {"ddim", "msd"}


@pytest.mark.slow
def test_equal_budgets(folder: Path, tmp_path: Path) -> None:
    more = ["--budget", "50", "--sample-steps", "20", "--scale", "sdi=1", "sdi-negative=1"]
    more += ["--generator", "latent", "--methods"]
    main(argv(folder, tmp_path / "out", *more, "ddim", "sdi", "sdi-negative", "msd-product", "msd-kernel"))
    calls = {name: float(row["calls"]) for name, row in table(tmp_path / "out").items()}
    assert calls == {"ddim": 40, "sdi": 48, "sdi-negative": 44, "msd-product": 48, "msd-kernel": 48}
    assert "optimised by Adam at learning rate 0.02." in (tmp_path / "out" / "exports" / "table.md").read_text()
    plan = TextToImageCommand(str(folder / "sd"), folder / "prompts.txt", tuple(ENTRIES), budget=100).plan()
    one_call = ("ddim", "sds", "sds-inner", "sds-uniform", "msd", "msd-step", "msd-plain")
    steps = dict.fromkeys(one_call, 50)
    steps |= {"sdi": 20, "sdi-negative": 4, "msd-product": 16, "msd-kernel": 12}
    assert {entry.name: plan.steps_of(entry) for entry in plan.entries} == steps


def test_each_method_has_its_own_rate(folder: Path) -> None:
    """A value for one method overrides one for all, in any order, and at every scale of a sweep."""
    command = TextToImageCommand(str(folder / "sd"), folder / "prompts.txt", ("ddim", "sds", "sdi"))
    plans = [replace(command, lr=lr, sweep=(1.0, 3.0)).plan() for lr in ((), ("0.03",), ("sdi=0.05", "0.03"))]
    rates = [
        {entry.name: plan.config(plan.batches(entry)[0]).optimizer for entry in plan.entries[2:]} for plan in plans
    ]
    own, falls = {name: ENTRIES[name].lr for name in ("sds", "sdi")}, {"sds": 0.1, "sdi": 1.0}
    assert own == {"sds": 0.02, "sdi": 0.02}
    for optimizers, wanted in zip(rates, (own, {"sds": 0.03, "sdi": 0.03}, {"sds": 0.03, "sdi": 0.05}), strict=True):
        assert optimizers == {
            f"{name}@{scale}": AdamConfig(lr, fall=falls[name]) for name, lr in wanted.items() for scale in (1, 3)
        }


def test_one_that_fails_is_left_out_and_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    main(argv(folder, out, "--methods", "ddim", "sds", "--lr", "1e30", "--generator", "pixels"))
    assert "sds is left out, its run failed" in capsys.readouterr().out
    assert list(table(out)) == ["ddim"] and "sds is left out" in (out / "report.html").read_text()
    with pytest.raises(SystemExit) as caught:
        main(argv(folder, tmp_path / "b", "--methods", "sds", "--lr", "1e30", "--generator", "pixels"))
    assert caught.value.code == 1 and "no method finished" in capsys.readouterr().err


@pytest.mark.slow
def test_a_single_image_is_no_crash(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.txt").write_text("a red cone\n")
    more = ["--prompts", str(tmp_path / "one.txt"), "--features", str(folder / "dino"), "--clip", str(folder / "clip")]
    main(argv(folder, tmp_path / "out", *more, "--methods", "msd"))
    output = " ".join(capsys.readouterr().out.split())
    assert "they need two images per method and there is 1" in output
    row = table(tmp_path / "out")["msd"]
    assert row["clip"] and "clip_low" not in row and "fid" not in {key for key, value in row.items() if value}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--prompts", "nowhere.txt"], "there is no file of prompts nowhere.txt"),
        (["--prompts", "{tmp}/blank.txt"], "holds no prompt"),
        (["--prompts", "{tmp}/binary.txt"], "must be UTF-8 text, got an invalid byte at position 0"),
        (["--prior", "/nowhere"], "there is no pipeline /nowhere"),
        (["--features", "{folder}/sd"], "is no feature network: it has no config.json"),
        (["--clip", "{folder}/dino"], "cannot be loaded as a CLIP model"),
        (["--methods", "mds"], "unknown method 'mds': did you mean sds?"),
        (["--scale", "much"], "--scale must be NUMBER or NAME=NUMBER, got 'much'"),
        (["--lr", "sds=fast"], "--lr must be NUMBER or NAME=NUMBER, got 'sds=fast'"),
        (["--lr", "adam=0.1"], "unknown method 'adam'"),
        (["--scale", "mds=3"], "unknown method 'mds'"),
        (["--scale", "nan"], "scale must be finite"),
        (["--seeds", "0"], "seeds must be at least 1, got 0"),
        (["--reference", "1"], "the reference must hold at least as many images as each method (2), got 1"),
        (["--budget", "9"], "two steps of sdi take 10"),
        (["--lr", "0"], "Adam needs a learning rate above 0"),
        (["--size", "15", "16"], "multiples of 2 pixels"),
        (["--out", "{folder}"], "holds other files: it has no status.json"),
    ],
)
def test_invalid_settings_are_refused(
    more: list[str], words: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "blank.txt").write_text("\n  \n# nothing\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    given = [word.format(tmp=tmp_path, folder=folder) for word in more]
    assert words in cli_error(argv(folder, tmp_path / "out", *given), capsys)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_settings_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main(argv(folder, out, "--methods", "sds"))
    capsys.readouterr()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (tmp_path / "other.txt").write_text("a cube\n")
    for more, words in (
        (["--steps", "4"], "begun with steps 3: got 4"),
        (["--prompts", str(tmp_path / "other.txt")], "begun with prompts"),
        (["--scale", "sds=3"], "begun with scale"),
    ):
        assert words in cli_error(argv(folder, out, "--methods", "sds", *more), capsys)
    main(
        [
            "sample",
            "a",
            "--prior",
            str(folder / "sd"),
            "--size",
            "16",
            "16",
            "--steps",
            "1",
            "--out",
            str(tmp_path / "s"),
        ]
    )
    capsys.readouterr()
    assert "belongs to modeseek sample" in cli_error(argv(folder, tmp_path / "s"), capsys)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_the_experiments_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown experiment 'text-to-imag': did you mean text-to-image?" in cli_error(
        ["paper", "text-to-imag"], capsys
    )
    assert "text-to-image" in help_text(["paper", "--help"], capsys)
    output = help_text(["paper", "text-to-image", "--help"], capsys)
    assert all(name in output for name in ENTRIES) and "--features" in output


def test_prompts_are_lines(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes("\ufeffa cat\r\n#no\r\n\r\n  ein Bär, groß \r\na cat".encode())
    assert read_prompts(tmp_path / "p.txt") == ("a cat", "ein Bär, groß", "a cat")


def test_cells_show_intervals_and_files_hold_them() -> None:
    columns = (Column("kid", "KID", "Low is good.", ".2f", "low"), Column("calls", "Calls", "Neither.", ".0f"))
    rows = (Row("a", {"kid": 0.5, "kid_low": 0.25, "kid_high": 1.0, "calls": 6.0}), Row("b", {"kid": 0.75}))
    table = Table(columns, rows)
    assert table.text(rows[0], columns[0]) == "0.50 [0.25, 1.00]" and table.text(rows[1], columns[0]) == "0.75"
    assert table.csv().splitlines() == ["method,kid,kid_low,kid_high,calls", "a,0.5,0.25,1.0,6.0", "b,0.75,,,"]
