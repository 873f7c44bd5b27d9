"""Runs that began with relative paths: resumed from other working folders, moved, or refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from terminal import cli_error

import modeseek as ms
from modeseek.cli import main
from modeseek.config.yaml import read_yaml, write_yaml

pytestmark = pytest.mark.filterwarnings("always:.*an index")
LEFT_OUT = "p.csv: columns x, y; left out: the column without a name (an index)"
SETTINGS = [
    "--set",
    "method.msd.bandwidth.fixed.h=0.5",
    "previews=0",
    "generator.points.start.file.path=my start=1.csv",
]


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Run `a/runs/r` of points `a/p.csv` from points `a/my start=1.csv`, begun in `a`; the working folder is `b`."""
    rng = np.random.default_rng(0)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    rows = "\n".join(f"{i},{x},{y}" for i, (x, y) in enumerate(rng.normal(size=(30, 2))))
    (tmp_path / "a" / "p.csv").write_text(f",x,y\n{rows}\n")
    np.savetxt(tmp_path / "a" / "my start=1.csv", rng.normal(size=(5, 2)), delimiter=",")
    monkeypatch.chdir(tmp_path / "a")
    main(["run", "--prior", "p.csv", "--method", "msd", "--steps", "3", *SETTINGS, "--out", "runs/r"])
    assert f"modeseek: warning: {LEFT_OUT}" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path / "b")
    return tmp_path / "a" / "runs" / "r"


def resumed(run: Path) -> str:
    main(["resume", str(run), "--steps", "5"])
    status = ms.Run.load(run).status
    return f"{status.state} at {status.step}"


def test_what_was_left_out_is_in_the_log(begun: Path) -> None:
    assert any(LEFT_OUT in line for line in ms.Run(begun).log)


def test_from_another_working_folder(begun: Path) -> None:
    assert resumed(Path("..") / "a" / "runs" / "r") == "finished at 5"


def test_moved_with_its_data(begun: Path, tmp_path: Path) -> None:
    (tmp_path / "a").rename(tmp_path / "c")
    assert resumed(tmp_path / "c" / "runs" / "r") == "finished at 5"
    main(["run", str(tmp_path / "c" / "runs" / "r"), "--out", str(tmp_path / "again")])
    assert ms.Run(tmp_path / "again").status.state == "finished"


def make_relative(run: Path) -> None:
    """Writes the configuration as earlier versions did."""
    plain = read_yaml((run / "config.yaml").read_text(), "config")
    plain["prior"]["samples"]["path"] = "p.csv"
    plain["generator"]["points"]["start"]["file"]["path"] = "my start=1.csv"
    (run / "config.yaml").write_text(write_yaml(plain))


def test_of_an_earlier_version_in_its_working_folder(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_relative(begun)
    assert ms.Run(begun).config.to_dict()["prior"]["samples"]["path"] == "p.csv"
    monkeypatch.chdir(begun.parents[1])
    assert ms.Run(begun).config.to_dict()["prior"]["samples"]["path"] == str(begun.parents[1] / "p.csv")
    assert resumed(begun) == "finished at 5"


def test_with_its_data_in_the_run_folder(begun: Path) -> None:
    make_relative(begun)
    for name in ("p.csv", "my start=1.csv"):
        shutil.move(begun.parents[1] / name, begun / name)
    assert resumed(begun) == "finished at 5"


def test_missing_data_are_one_line(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_relative(begun)
    capsys.readouterr()
    words = cli_error(["resume", str(begun), "--steps", "5"], capsys)
    assert "prior.samples.path of r must lead to a file or folder, got p.csv" in words
    assert f"neither in {begun} nor in {Path.cwd()}" in words and "config.yaml" in words


def test_a_sweep_beside_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modeseek.sweeps.jobs import job_specs
    from modeseek.sweeps.spec import read_spec

    for name in ("one.npy", "two.npy"):
        np.save(tmp_path / name, np.zeros((3, 2)))
    start = "generator.points.start.file.path"
    (tmp_path / "s.yaml").write_text(
        "base: {steps: 2, generator: {points: {start: {file: {path: one.npy}}}}}\n"
        f"methods: {{sds: {{{start}: two.npy}}}}\naxes: {{prior.samples.path: [one.npy, two.npy]}}\n"
    )
    specs = []
    for place in (tmp_path, tmp_path / "elsewhere"):
        place.mkdir(exist_ok=True)
        monkeypatch.chdir(place)
        specs.append(read_spec(tmp_path / "s.yaml"))
    assert [job.id for job in job_specs(specs[0])] == [job.id for job in job_specs(specs[1])]
    assert [choice.label for choice in specs[1].axes["prior.samples.path"]] == ["one.npy", "two.npy"]
    plain = dict(specs[1].plain)
    assert plain["base"]["generator"]["points"]["start"]["file"]["path"] == str(tmp_path / "one.npy")
    (tmp_path / "again.yaml").write_text(write_yaml(plain))  # as the folder of the sweep keeps it
    again = read_spec(tmp_path / "again.yaml")
    assert [job.id for job in job_specs(again)] == [job.id for job in job_specs(specs[0])]
    assert [job.labels for job in job_specs(again)] == [job.labels for job in job_specs(specs[0])]


def test_runs_of_python_and_jobs_of_experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modeseek.runs.jobs import JobContext, PriorCache

    np.save(tmp_path / "p.npy", np.random.default_rng(0).normal(size=(30, 2)))
    monkeypatch.chdir(tmp_path)
    config = ms.Config(ms.runs.SamplesPriorConfig(Path("p.npy")), ms.MSD(ms.Fixed(0.5)), steps=2, previews=0, name="r")
    run = ms.run(config, "r")
    assert run.settings["prior"]["samples"]["path"] == str(tmp_path / "p.npy")
    context = JobContext(tmp_path, PriorCache("cpu"), [])
    found = context.find_run(config)  # relative, as in its plan, and absolute, as in its folder
    assert found is not None and found.path == tmp_path / "r"
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "b")
    assert ms.resume("../r", steps=4).status.step == 4


def test_an_experiment_takes_both_forms_of_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modeseek.runs.experiment_folder import TEXT_TO_IMAGE, open_experiment

    for folder in ("mine", "other"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    settings, prior = {"prior": "mine", "device": "cpu", "clip": None}, {"title": "mine", "sha256": "a"}
    run = open_experiment(TEXT_TO_IMAGE, settings, prior, ["x"], "r")
    assert run.settings["prior"] == str(tmp_path / "mine")
    for path in ("./mine", "other/../mine", str(tmp_path / "mine")):
        assert open_experiment(TEXT_TO_IMAGE, settings | {"prior": path}, prior, ["x"], "r").path == run.path
    with pytest.raises(ValueError, match="was begun with prior"):
        open_experiment(TEXT_TO_IMAGE, settings | {"prior": "other"}, prior, ["x"], "r")
