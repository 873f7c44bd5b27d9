"""Sweeps: their specification, jobs, folder, tables, contact sheet and report."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricated_runs import fabricate
from PIL import Image
from sweeping import BASE, MSD, ONE, SMALL, InlineWorkers, begin
from sweeping import fixed_environment as fixed_environment

import modeseek as ms
from modeseek.cli.sweep import SweepCommand
from modeseek.rundir.run_dir import Run
from modeseek.sweeps.contact_sheet import draw_sheet
from modeseek.sweeps.cost import prior_calls
from modeseek.sweeps.jobs import job_specs
from modeseek.sweeps.results import collect, summary_table
from modeseek.sweeps.run_sweep import run_sweep
from modeseek.sweeps.spec import parse_spec, read_spec
from modeseek.sweeps.sweep_dir import planned_job_dirs


def refused(plain: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        job_specs(parse_spec(plain, "it.yaml"))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_the_jobs_are_the_product() -> None:
    plain = {
        "base": BASE | {"seed": 7},
        "axes": {"steps": [6, 9], "generator": {"few": "points", "grid": {"points": {"start": {"grid": {"side": 3}}}}}},
        "methods": ["sds", {"sdi": {"inversion_steps": 3}}],
        "seeds": [3, 5],
    }
    jobs = job_specs(parse_spec(plain))
    triples = [(job.labels, job.method, job.config.seed) for job in jobs]
    expected = [
        ((steps, start), method, seed)
        for seed in (3, 5)
        for steps in ("6", "9")
        for start in ("few", "grid")
        for method in ("sds", "sdi")
    ]
    assert triples == expected
    config = jobs[triples.index((("9", "grid"), "sdi", 5))].config
    assert config == ms.config.config.read_config(
        BASE
        | {"steps": 9, "seed": 5, "method": {"sdi": {"inversion_steps": 3}}}
        | {"generator": {"points": {"start": {"grid": {"side": 3}}}}}
    )


def test_what_is_left_out_is_the_bases() -> None:
    (job,) = job_specs(parse_spec({"base": BASE | {"method": "sds", "seed": 4}}))
    assert (job.labels, job.method, job.config.seed, job.title) == ((), "sds", 4, "sds · seed 4")
    jobs = job_specs(
        parse_spec(
            {"base": BASE | {"prior": {"pipeline": {"path": "x"}}}, "prompts": ["a b", "c"]} | {"methods": ["sds"]}
        )
    )
    assert [job.config.prompts for job in jobs] == [("a b",), ("c",)] and jobs[0].folder_name.startswith(
        "a-b-sds-seed0-"
    )


def test_an_id_is_of_the_configuration_alone() -> None:
    ids = {job.id: job for job in job_specs(parse_spec(SMALL))}
    other = SMALL | {"methods": {"sds": None, "other name": {"method": MSD, "optimizer": {"sgd": {}}}}, "seeds": [1, 0]}
    assert {job.id for job in job_specs(parse_spec(other))} == set(ids) and len(ids) == 4
    for change in ({"steps": 7}, {"previews": 2}, {"scale": 1.5, "label": 1}, {"name": "x"}):
        changed = {job.id for job in job_specs(parse_spec(SMALL | {"base": BASE | change}))}
        assert len(changed) == 4 and not changed & set(ids)
    assert all(job.folder_name.endswith(f"-seed{job.config.seed}-{id}") for id, job in ids.items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bse": {}}, "no part 'bse'; did you mean base"),
        ({"base": [1]}, "base must hold the settings of a run"),
        ({"base": {"verb": "toy"}}, "base is for the verb toy"),
        ({"verb": "run"}, "is for the verb run, not sweep"),
        ({"base": BASE | {"stepz": 4}}, "msd: config has no setting 'stepz'; did you mean steps"),
        ({"axes": {"stepz": [4]}}, "4 · msd: a run has no setting 'stepz'; did you mean steps"),
        ({"axes": {"steps": [4, 0]}}, "0 · msd: config: steps must be 1 to 1e9"),
        ({"axes": {"steps": 4}}, "axes.steps must be a list of values"),
        ({"axes": {"steps": [4, 4]}}, "steps has '4' twice"),
        ({"axes": {"seed": [4]}}, "write seeds: instead"),
        ({"axes": ["steps"]}, "axes must map settings to values"),
        ({"prompts": "a cone"}, "prompts must be a list of texts"),
        ({"prompts": ["a"], "axes": {"prompts": [["b"]]}}, "prompts is varied twice"),
        ({"methods": "msd"}, "methods must be a list"),
        ({"methods": ["msd", MSD]}, "methods has 'msd' twice"),
        ({"methods": {"mdd": None}}, "methods.mdd names no method; did you mean msd"),
        ({"methods": {"msd": 4}}, "methods.msd must hold settings"),
        ({"methods": ["nsd"]}, "unknown method 'nsd'"),
        (
            {"methods": {"sds": None, "too": {"method": "sds"}}},
            "sds · seed 0 and too · seed 0 are the same run",
        ),
        ({"seeds": 0}, "seeds must be a list of integers or their number"),
        ({"seeds": [1.5]}, "seeds must be a list of integers"),
        ({"seeds": [4, 4]}, "seeds must be distinct"),
        ({"seeds": [True]}, "seeds must be a list of integers"),
        ({"seeds": [-1]}, "seed -1: seed must be in"),
        ({"seeds": 6000}, "at most 10000 jobs, got 12000"),
    ],
)
def test_mistakes_are_one_line(change: dict[str, Any], words: str) -> None:
    refused(SMALL | change, words)


def test_a_file_is_no_sweep(tmp_path: Path) -> None:
    refused([1], "it.yaml must describe a sweep")
    (tmp_path / "it.yaml").write_text("base: {steps: 4, steps: 5}")
    with pytest.raises(ValueError, match="duplicate key 'steps'"):
        read_spec(tmp_path / "it.yaml")
    run = fabricate(tmp_path / "run", steps=5)
    (tmp_path / "it.yaml").write_text("base: run/config.yaml\nseeds: 2\n")
    assert [job.config for job in job_specs(read_spec(tmp_path / "it.yaml"))][0] == run.config


def test_nothing_is_written_by_a_dry_run(tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("it.yaml").write_text(json.dumps(SMALL | {"axes": {"steps": [6, 9]}}))
    SweepCommand(Path("it.yaml"), dry_run=True).run(["modeseek"])
    out = capsys.readouterr().out
    assert os.listdir() == ["it.yaml"] and "8 jobs, 8 unfinished, in runs/it" in out
    steps = 4 * (6 + 9)
    assert f"{steps} steps, {2 * (2 * 3 * 16 + 3 * 15) + 2 * 3 * 15} prior calls; nothing was written" in out
    edit = job_specs(parse_spec({"base": BASE | {"method": "dds", "source": "a cat"}}))[0].config
    assert prior_calls(edit) is None, "the stand-in has no source"
    with pytest.raises(ValueError, match="--address needs --executor ray"):
        SweepCommand(Path("it.yaml"), address="x:1").run(["modeseek"])


def test_without_ray_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    (tmp_path / "it.yaml").write_text(json.dumps(ONE))
    with pytest.raises(ValueError, match=r"pip install 'modeseek\[distributed\]', or use local"):
        SweepCommand(tmp_path / "it.yaml", "ray", out=tmp_path / "out").run(["modeseek"])
    assert not (tmp_path / "out").exists() and "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in os.environ
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)


@pytest.mark.parametrize(
    ("options", "words"), [({"workers": 0}, "one worker: got 0"), ({"retries": -1}, "got -1; try 3")]
)
def test_numbers_of_workers_and_retries_are_checked(tmp_path: Path, options: dict[str, int], words: str) -> None:
    (tmp_path / "it.yaml").write_text(json.dumps(ONE))
    with pytest.raises(ValueError, match=words):
        SweepCommand(tmp_path / "it.yaml", out=tmp_path / "out", **options).run(["modeseek"])
    assert not (tmp_path / "out").exists()


def test_a_changed_sweep_may_only_add(tmp_path: Path) -> None:
    out = tmp_path / "out"
    begin(out)
    before = (out / "sweep.json").read_bytes()
    assert Run(out).command == "modeseek sweep 'my sweep.yaml'"
    for change in ({"seeds": 1}, {"base": BASE | {"steps": 7}}, {"methods": ["sds"]}):
        with pytest.raises(
            ValueError, match=r"out has 4 jobs, of which this sweep lacks \d, such as .*jobs can be added"
        ):
            begin(out, SMALL | change)
    assert (out / "sweep.json").read_bytes() == before
    _, more = begin(out, SMALL | {"seeds": 3})
    assert len(json.loads((out / "sweep.json").read_text())["jobs"]) == len(more) == 6
    table = json.loads((out / "sweep.json").read_text())
    for row in table["jobs"]:
        row["id"] = "of another version"
    (out / "sweep.json").write_text(json.dumps(table))
    renamed = {"mean shift": SMALL["methods"]["msd"], "sds": None}
    _, again = begin(out, SMALL | {"seeds": 3, "methods": renamed})
    assert {job_dir.path for job_dir in again} == {job_dir.path for job_dir in more}, "other names, the same folders"
    assert {job_dir.spec.group for job_dir in again} == {"mean shift", "sds"}


def test_folders_of_something_else_are_refused(tmp_path: Path) -> None:
    fabricate(tmp_path / "run", steps=3)
    with pytest.raises(ValueError, match="belongs to modeseek run, not to a sweep"):
        begin(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(ValueError, match="holds other files: it has no status.json"):
        begin(tmp_path / "other")
    run, job_dirs = begin(tmp_path / "out")
    with run.locked(), pytest.raises(ValueError, match="being worked on by another process"):
        list(run_sweep(run, job_dirs, InlineWorkers().pool, ["modeseek"]))
    (tmp_path / "out" / "sweep.json").write_text('{"format": "x", "jobs": []}')
    with pytest.raises(ValueError, match=r"sweep.json is damaged: its format is 'x'"):
        begin(tmp_path / "out")
    rows = [{"folder": "../../run", "config": BASE | {"method": "sds"}}]
    (tmp_path / "out" / "sweep.json").write_text(json.dumps({"format": "modeseek-sweep-1", "jobs": rows}))
    with pytest.raises(ValueError, match="is no folder's name"):
        begin(tmp_path / "out")


def test_numbers_are_means_and_spreads_over_seeds(tmp_path: Path) -> None:
    plain = {"base": BASE, "methods": {"msd": {"method": MSD}}, "seeds": 3}
    spec = parse_spec(plain)
    job_dirs = planned_job_dirs(job_specs(spec), tmp_path / "out")
    for number, job_dir in enumerate(job_dirs):
        status = {"calls": 100 + 10 * number, "seconds": 2.0 * number}
        run = fabricate(job_dir.path, steps=4, n_previews=0, video=False, status=status)
        np.save(run.path / "exports" / "points.npy", np.array([[1.5, 0.0], [0.0, number]]))
    (row,) = summary_table(collect(job_dirs)).rows
    assert row.name == "msd" and row.values["jobs"] == 3
    assert (row.values["calls"], row.values["calls_spread"]) == (110, 10)
    assert row.values["seconds_spread"] == pytest.approx(2.0)
    rows = list(csv.DictReader(io.StringIO(summary_table(collect(job_dirs)).csv())))
    assert float(rows[0]["calls_spread"]) == 10
    density = [ring_log_density(x, y) for number in range(3) for x, y in ((1.5, 0.0), (0.0, number))]
    assert row.values["log_density"] == pytest.approx(np.mean(density), abs=1e-9)
    assert "110 ± 10" in summary_table(collect(job_dirs)).text(row, summary_table(collect(job_dirs)).columns[1])


def ring_log_density(x: float, y: float) -> float:
    """Log-density of the ring's mixture blurred by its own width, written out."""
    from modeseek.datasets.toy2d import ring

    prior = ring().prior
    total, h2 = 0.0, float(np.linalg.eigvalsh(prior.covs.numpy()).min())
    for weight, mean, cov in zip(prior.weights.tolist(), prior.means.tolist(), prior.covs.numpy(), strict=True):
        wide = cov + h2 * np.eye(2)
        away = np.array([x - mean[0], y - mean[1]])
        total += (
            weight * math.exp(-0.5 * away @ np.linalg.inv(wide) @ away) / (2 * math.pi * math.sqrt(np.linalg.det(wide)))
        )
    return math.log(total)


def test_the_sheet_has_every_picture_in_its_place(tmp_path: Path) -> None:
    plain = {"base": BASE, "axes": {"steps": [5, 6]}, "methods": ["sds", "csd"], "seeds": 2}
    job_dirs = planned_job_dirs(job_specs(parse_spec(plain | {"methods": ["sds", "sjc"]})), tmp_path / "out")
    for number, job_dir in enumerate(job_dirs[:-1]):
        run = fabricate(job_dir.path, steps=5, n_previews=0)
        Image.new("RGB", (50, 50), (30 * number, 0, 200)).save(run.path / "previews" / "step-00000005.png")
    data, damage = draw_sheet(collect(job_dirs))
    assert data is not None and damage == []
    sheet = np.asarray(Image.open(io.BytesIO(data)))
    found = {}
    for number in range(8):
        y, x = np.nonzero((sheet == (30 * number, 0, 200)).all(-1))
        if len(x):
            found[number] = (x.mean(), y.mean())
    assert set(found) == set(range(7)), "the last one has none"
    for number, job_dir in enumerate(job_dirs[:-1]):
        for other, theirs in enumerate(job_dirs[:-1]):
            same = job_dir.spec.labels == theirs.spec.labels
            assert (abs(found[number][1] - found[other][1]) < 1) == same
            column = (job_dir.spec.method, job_dir.spec.config.seed)
            before = [("sds", 0), ("sds", 1), ("sjc", 0), ("sjc", 1)]
            ahead = before.index(column) < before.index((theirs.spec.method, theirs.spec.config.seed))
            assert (found[number][0] < found[other][0] - 1) == ahead


def test_a_page_of_all(tmp_path: Path) -> None:
    run, job_dirs = begin(tmp_path / "out", SMALL | {"axes": {"steps": [4, 5]}, "seeds": 1})
    for job_dir in job_dirs:
        fabricate(
            job_dir.path, method=MSD if job_dir.spec.method == "msd" else "sds", steps=5, n_previews=1, video=False
        )
    workers = InlineWorkers()
    list(run_sweep(run, job_dirs, workers.pool, ["modeseek"]))
    page = (run.path / "report.html").read_text()
    assert not workers and "4 of 4 jobs finished: 2 settings, 2 methods, 1 seed;" in page
    assert page.count("<svg viewBox") == 4 and "data:image/png" in page and "5 · msd" in page
    for job_dir in job_dirs:
        assert f"jobs/{job_dir.path.name}/report.html" in page
    with Image.open(run.path / "media" / "sheet.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > 500
