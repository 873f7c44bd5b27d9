"""Resuming under a changed pipeline: one line that says what changed, in runs, jobs, experiments and sweeps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from which_models.configuration import fields

import modeseek as ms
from modeseek.config.generators import FieldConfig
from modeseek.config.priors import PipelinePriorConfig
from modeseek.rundir.run_dir import Run
from modeseek.runs.api import create_run
from modeseek.runs.experiment_folder import QUALITY, open_experiment
from modeseek.runs.jobs import JobContext, PriorCache
from modeseek.runs.train import train
from modeseek.sweeps.worker import run_job

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
CHANGE = fields("vae/config.json", scaling_factor=0.2)
WORDS = "(vae/scaling_factor was its default and is 0.2)"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return tiny.kept(tmp_path_factory.mktemp("pipelines"))


@pytest.fixture
def folder(kept: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept("sd"), tmp_path / "sd"))


def config(folder: Path, name: str = "") -> ms.Config:
    prior = PipelinePriorConfig(str(folder), size=(16, 16), cache=False)
    return ms.Config(prior, ms.SDS(), FieldConfig(), prompts=("red",), steps=2, previews=0, name=name)


def refused(call: Callable[[], Any], *words: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    for word in (WORDS, *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_run_under_another_configuration_is_not_resumed(folder: Path, tmp_path: Path) -> None:
    run, objects = create_run(config(folder), ["test"], tmp_path / "run")
    for _ in train(run, objects, 2):
        pass
    CHANGE(folder)
    refused(lambda: ms.resume(run, 4), "the prior sd has changed since run began", "start a new run")
    fields("vae/config.json", scaling_factor=0.18215, _diffusers_version="0.1.0")(folder)
    assert ms.resume(run, 3).status.step == 3


@pytest.mark.slow
def test_a_run_of_an_earlier_version_resumes(folder: Path, tmp_path: Path) -> None:
    """Earlier versions recorded the SHA-256 of the network's weights alone."""
    run, objects = create_run(config(folder), ["test"], tmp_path / "run")
    for _ in train(run, objects, 2):
        pass
    path = run.path / "env.json"
    environment = json.loads(path.read_text())
    environment["prior"] = {"title": "sd", "sha256": environment["prior"]["weights"]}
    path.write_text(json.dumps(environment))
    assert ms.resume(run, 3).status.step == 3
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-2] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"has changed since run began \(its SHA-256 differs\)"):
        ms.resume(run, 4)


@pytest.mark.slow
def test_jobs_experiments_and_sweeps_name_the_change(folder: Path, tmp_path: Path) -> None:
    job = config(folder, "job")
    context = JobContext(tmp_path, PriorCache("cpu"), ["test"])
    run = context.open_run(job)
    assert context.open_run(job).path == run.path
    prior = context.priors.load(job.prior).record("sd")
    settings = {"device": "cpu"}
    experiment = open_experiment(QUALITY, settings, prior, ["test"], tmp_path / "paper")
    assert open_experiment(QUALITY, settings, prior, ["test"], experiment.path).path == experiment.path
    CHANGE(folder)
    refused(lambda: replace(context, priors=PriorCache("cpu")).open_run(job), "was begun with another sd")
    other = PriorCache("cpu").load(job.prior).record("sd")
    refused(lambda: open_experiment(QUALITY, settings, other, ["test"], experiment.path), "the prior has changed since")
    session = tmp_path / "session"
    session.write_text("")
    report = run_job(run.path, {"verb": "run", **job.to_dict()}, ["test"], session)
    assert report.state == "failed" and WORDS in report.reason and "no longer the one" in report.reason
    assert Run(run.path).environment["prior"] == prior
