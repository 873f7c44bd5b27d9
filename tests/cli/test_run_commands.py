"""Commands on runs: run, resume, list, inspect, compare, doctor."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from terminal import cli_error, help_text

import modeseek as ms
from modeseek.cli import main

SMALL = ["--steps", "12", "--set", "saving.steps=5", "previews=2"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished run."""
    out = tmp_path_factory.mktemp("runs") / "ring"
    main(["run", "--prior", "ring", "--method", "msd", *SMALL, "--out", str(out)])
    return out


def test_a_run_is_named_after_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["run", "--prior", "ring", "--method", "sds", *SMALL])
    (path,) = (tmp_path / "runs").iterdir()
    kind, name, moment, number = path.name.split("-")
    assert (kind, name) == ("sds", "ring") and time.strptime(moment, "%Y%m%dT%H%M%SZ") and len(number) == 4
    out = capsys.readouterr().out
    assert f"Report: {Path('runs') / path.name / 'report.html'}" in out and "12 steps, 1200 prior calls" in out
    main(["resume", path.name, "--steps", "14"])  # by its name alone
    assert ms.Run.load(path).status.step == 14


def test_the_configuration_is_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["run", "--prior", "digits", "--label", "3", "--method", "sds", "--generator", "pixels", "--scale", "2"]
    main([*argv, "--dry-run", "--set", "method.sds.weight=uniform", "optimizer.adam.lr=5e-2", "generator.pixels.n=4"])
    config = ms.config.config.read_config(ms.config.yaml.read_yaml(capsys.readouterr().out, "it"))
    assert config == ms.Config(
        ms.runs.ToyPriorConfig("digits"),
        ms.SDS(weight=ms.weights.unit_weight),
        ms.runs.PixelsConfig(4),
        ms.runs.AdamConfig(0.05),
        label=3,
        scale=2.0,
    )


def test_msd_gets_the_bandwidth_of_its_prior_and_plain_descent(capsys: pytest.CaptureFixture[str]) -> None:
    from modeseek.datasets.toy2d import ring

    main(["run", "--dry-run"])
    plain = ms.config.yaml.read_yaml(capsys.readouterr().out, "it")
    assert plain["method"]["msd"]["bandwidth"]["adaptive"]["end"] == pytest.approx(ring().bandwidth, rel=1e-4)
    assert plain["optimizer"]["sgd"]["lr"] == 1.0 and plain["prior"] == {"problem": {"name": "ring"}}
    main(["run", "--dry-run", "--optimizer", "adam", "--set", "method.msd.bandwidth.fixed.h=0.3"])
    plain = ms.config.yaml.read_yaml(capsys.readouterr().out, "it")
    assert plain["method"]["msd"]["bandwidth"] == {"fixed": {"h": 0.3}} and "adam" in plain["optimizer"]


@pytest.mark.slow
def test_a_configuration_runs_again(done: Path, tmp_path: Path) -> None:
    main(["run", str(done / "config.yaml"), "--out", str(tmp_path / "again")])
    first, again = ((p / "exports" / "points.npy").read_bytes() for p in (done, tmp_path / "again"))
    assert first == again
    main(["run", str(done), "--seed", "5", "--out", str(tmp_path / "other")])  # a run's folder will do
    assert (tmp_path / "other" / "exports" / "points.npy").read_bytes() != first


def test_priors_from_files(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "points.csv", np.random.default_rng(0).normal(size=(40, 2)), delimiter=",")
    argv = ["run", "--prior", str(tmp_path / "points.csv"), "--method", "msd", *SMALL]
    main([*argv, "method.msd.bandwidth.fixed.h=0.5", "--out", str(tmp_path / "a")])
    assert ms.Run.load(tmp_path / "a").status.state == "finished"
    net = ms.Network.train(ms.datasets.toy2d.ring().prior.sample(200, _rng()), steps=2, rng=_rng(), width=8, batch=8)
    net.save(tmp_path / "net")
    main(["run", "--prior", str(tmp_path / "net"), "--method", "sds", *SMALL, "--out", str(tmp_path / "b")])
    assert ms.Run.load(tmp_path / "b").status.state == "finished"


def _rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


RUN = ["run", "--prior", "ring"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["rum"], "unknown command 'rum': did you mean run? known are image, svg, edit, restore, shape, paint, sample"),
        (
            ["run", "a red cone"],
            "CONFIG must be a YAML file or a run folder, got 'a red cone', which is neither",
        ),
        (["compare"], "at least two runs, got 0"),
        (
            ["image", "a cone", "--method", "mvdream"],
            "mvdream needs views of one 3D object, got generator field; try modeseek shape",
        ),
        (["run", "--prior", "rings"], "unknown prior 'rings': did you mean ring?"),
        (["run", "--method", "msdd"], "unknown method 'msdd': did you mean msd?"),
        (["run", "--generator", "pixel"], "did you mean pixels?"),
        (["run", "--optimizer", "adma"], "did you mean adam?"),
        ([*RUN, "--generator", "pixels"], "pixels need a prior of images"),
        ([*RUN, "--label", "8"], "unknown label 8: ring has 0 to 7"),
        ([*RUN, "--scale", "3"], "got scale 3"),
        ([*RUN, "--method", "sdi", "--label", "1", "--scale", "3"], "method.sdi.scale"),
        ([*RUN, "--steps", "0"], "steps must be 1 to 1e9, got 0"),
        ([*RUN, "--device", "gpu"], "device must be auto, cpu, cuda, cuda:1 or mps, got 'gpu'"),
        ([*RUN, "--set", "method.msd.bandwith.fixed.h=1"], "did you mean bandwidth?"),
        ([*RUN, "--set", "method.msd.bandwidth.fixt.h=1"], "did you mean fixed?"),
        ([*RUN, "--set", "steps"], "a setting must be KEY=VALUE, got 'steps'"),
        ([*RUN, "--set", "steps.n=3"], "steps must be a single value, got steps.n"),
        ([*RUN, "--set", "steps=[1"], "steps is not valid YAML"),
        ([*RUN, "--set", "steps=many"], "config.steps must be an integer, got 'many'"),
        ([*RUN, "--set", "trackers=[tensorbored]"], "did you mean tensorboard?"),
        ([*RUN, "--set", "generator.points.start.file.path=nowhere.npy"], "nowhere.npy"),
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["resume", "nowhere"], "there is no run nowhere"),
        (["inspect", "nowhere"], "there is no run nowhere"),
        (["compare", "nowhere"], "at least two runs, got 1"),
        (["compare", "nowhere", "missing"], "there is no run nowhere"),
        (["list", "methods", "msdd"], "did you mean msd?"),
        (["list", "runs", "mine"], "modeseek inspect"),
    ],
)
def test_invalid_commands_are_refused_and_leave_nothing(
    argv: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in cli_error(argv, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "3", "[]", "method: [", "prior: ring\nprior: ring", "a: &b 1", "verb: tyo"])
def test_a_file_that_is_no_configuration(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    line = cli_error(["run", str(file), "--out", str(tmp_path / "run")], capsys)
    assert "mine.yaml" in line or "config" in line
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_resume_of_a_finished_run_says_so(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["resume", str(done)])
    assert "is finished at step 12; --steps N extends it" in capsys.readouterr().out


def test_resume_suggests_the_nearest_name(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean ring?" in cli_error(["resume", str(done.with_name("rong"))], capsys)


def test_lists(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "runs", "--folder", str(done.parent)])
    output = capsys.readouterr().out
    assert "ring" in output and "finished" in output and "12/12" in output
    main(["list", "runs", "--folder", str(done / "media")])
    assert "There are no runs" in capsys.readouterr().out
    main(["list", "methods"])
    output = capsys.readouterr().out
    assert "arXiv 2502.15989" in output and "arXiv 2209.14988" in output and "arXiv 2405.15891" in output
    main(["list", "methods", "msd"])
    output = capsys.readouterr().out
    assert "bandwidth: bandwidth (fixed, geometric, adaptive, along) or number\n" in output
    assert "tol: number = 0.0001" in output
    assert "jitter: number or varying (fading, ramp, until, hump) = 0.0" in output and "share of h in [0, 1]" in output
    for kind in ("priors", "generators"):
        main(["list", kind])
        names = re.findall(r"^(\w+) {2,}\S", capsys.readouterr().out, re.MULTILINE)
        assert kind == "generators" or {"problem", "pipeline", "scenes", "emoji"} <= set(names)
        for name in names:
            main(["list", kind, name])
            assert f"{name}: " in capsys.readouterr().out


def test_a_killed_run_is_called_lost(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(done, tmp_path / "killed")
    status = json.loads((tmp_path / "killed" / "status.json").read_text())
    (tmp_path / "killed" / "status.json").write_text(json.dumps(status | {"state": "running"}))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "status.json").write_text("{")
    (tmp_path / "broken" / "config.yaml").write_text("")
    main(["list", "runs", "--folder", str(tmp_path)])
    output = capsys.readouterr().out
    assert "lost" in output and "damaged" in output


def test_inspect_verifies(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["inspect", str(done)])
    output = capsys.readouterr().out
    assert "step-00000012: intact" in output and "step-00000010: intact" in output and "state       finished" in output
    before = {path: path.stat().st_mtime_ns for path in done.rglob("*") if path.name != ".lock"}
    main(["inspect", str(done)])
    assert before == {path: path.stat().st_mtime_ns for path in done.rglob("*") if path.name != ".lock"}
    capsys.readouterr()
    shutil.copytree(done, tmp_path / "hurt")
    file = tmp_path / "hurt" / "checkpoints" / "step-00000012" / "state.json"
    file.write_bytes(file.read_bytes().replace(b"12", b"13", 1))
    with pytest.raises(SystemExit) as caught:
        main(["inspect", str(tmp_path / "hurt")])
    out = capsys.readouterr()
    assert caught.value.code == 1 and "step-00000012 is damaged: state.json was altered" in out.out
    assert out.err == "modeseek: 1 damaged\n"


def test_compare_runs(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", str(done), "--seed", "1", "--out", str(tmp_path / "other")])
    page = tmp_path / "page.html"
    page.write_text("mine")
    main(["compare", str(done), str(tmp_path / "other"), "--out", str(page)])
    assert page.read_text() == "mine"
    assert "ring" in capsys.readouterr().out
    text = (tmp_path / "page-2.html").read_text()
    assert "seed" in text and text.count("<img") >= 2


def test_the_doctor_tries_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    output = capsys.readouterr().out
    assert "everything works" in output and "torch" in output and "GiB free here" in output
    assert "diffusers: " in output


def test_the_help_shows_options_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for verb, words in {
        "run": ("--dry-run", "KEY=VALUE", "rollback", "Examples"),
        "resume": ("bit for bit", "--steps"),
        "list": ("methods", "runs"),
        "inspect": ("SHA-256",),
        "compare": ("RUN [RUN ...]",),
        "doctor": ("twenty steps",),
    }.items():
        output = help_text([verb, "--help"], capsys)
        for word in words:
            assert word in output, (verb, word)


def test_completions(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh"):
        with pytest.raises(SystemExit) as caught:
            main(["--tyro-print-completion", shell])
        output = capsys.readouterr().out
        assert caught.value.code in (None, 0)
        assert "compare" in output and "modeseek" in output


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_ends_with_the_resumable_code_and_says_how_to_resume(tmp_path: Path) -> None:
    program = "from modeseek.cli import main; main()"
    out = tmp_path / "run"
    argv = ["run", "--prior", "ring", "--method", "msd", "--steps", "100000", "--set", "previews=0", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for _ in range(600):
        if (out / "metrics.jsonl").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert f"to continue: modeseek resume {out}" in err.splitlines()[-1] and "Traceback" not in err
    status = ms.Run.load(out).status
    assert status.state == "stopped" and status.checkpoint == status.step > 0


def _mounted(path: Path, size: str) -> bool:
    path.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    return shutil.which("mount") is not None and subprocess.run(argv, capture_output=True).returncode == 0


@pytest.mark.slow
def test_a_disk_that_is_really_full_and_one_that_is_read_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    if not _mounted(disk, "300k"):
        pytest.skip("a small disk cannot be mounted here: needs root")
    try:
        argv = [
            "run",
            "--prior",
            "ring",
            "--method",
            "sds",
            "--steps",
            "4000",
            "--set",
            "saving.steps=50",
            "previews=0",
            "generator.points.start.noise.n=2000",  # a third checkpoint does not fit
        ]
        with pytest.raises(SystemExit) as caught:
            main([*argv, "--out", str(disk / "run")])
        line = capsys.readouterr().err.splitlines()[-1]
        assert caught.value.code == 75 and "No space left on device at step" in line, line
        assert "last checkpoint at step" in line and f"modeseek resume {disk / 'run'}" in line
        reached = int(ms.Run.load(disk / "run").checkpoints[-1].name.removeprefix("step-"))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert "read-only" in cli_error(["resume", str(disk / "run")], capsys)
        assert "Read-only file system" in cli_error([*argv, "--out", str(disk / "new")], capsys)
        subprocess.run(["mount", "-o", "remount,rw,size=20m", str(disk)], check=True)
        main(["resume", str(disk / "run"), "--steps", str(reached + 60)])
        assert ms.Run.load(disk / "run").status.state == "finished"
        main([*argv[:6], str(reached + 60), *argv[7:], "--out", str(tmp_path / "whole")])
        ends = [(p / "exports" / "points.npy").read_bytes() for p in (disk / "run", tmp_path / "whole")]
        assert ends[0] == ends[1]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
