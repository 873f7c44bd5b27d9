"""Environment of a run: versions, device, revision and memory."""

from __future__ import annotations

import json
import platform
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import modeseek
from modeseek.rundir import environment as env


@pytest.fixture(autouse=True)
def looked_up_anew() -> Iterator[None]:
    """The revision is looked up once a process: each test here looks it up, and leaves none of its own."""
    env.source_revision.cache_clear()
    yield
    env.source_revision.cache_clear()


def test_versions_are_those_installed() -> None:
    versions = env.package_versions()
    assert versions["python"] == platform.python_version() and versions["numpy"] == np.__version__
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert versions["modeseek"] == modeseek.__version__
    assert "no-such-package" not in env.package_versions(("no-such-package",))


def test_the_environment_is_json_without_host_or_user_names() -> None:
    prior = {"title": "ring", "sha256": "0" * 64}
    environment = env.collect_environment("cpu", prior)
    text = json.dumps(environment, allow_nan=False)
    assert json.loads(text) == environment and environment["prior"] == prior
    assert (
        environment["device"] == {"device": "cpu", "threads": torch.get_num_threads()}
        and environment["machine"]["cores"] >= 1
    )
    assert str(Path.home()) not in text and str(Path(__file__).parents[2]) not in text
    if len(socket.gethostname()) > 5:
        assert socket.gethostname() not in text


def test_the_revision_is_that_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    revision = env.source_revision()
    assert revision is None or (
        re.fullmatch("[0-9a-f]{40}", revision["commit"]) and isinstance(revision["changed"], bool)
    )

    root = str(Path(modeseek.__file__).parents[2])
    monkeypatch.setattr(env, "_git", lambda folder, *args: {"HEAD": "c" * 40, "src": " M a.py"}.get(args[-1], root))
    env.source_revision.cache_clear()
    assert env.source_revision() == {"commit": "c" * 40, "changed": True}
    monkeypatch.setattr(env, "_git", lambda folder, *args: {"HEAD": "c" * 40, "src": ""}.get(args[-1], root))
    assert env.source_revision() == {"commit": "c" * 40, "changed": True}, "it is looked up once"
    env.source_revision.cache_clear()
    assert env.source_revision() == {"commit": "c" * 40, "changed": False}
    monkeypatch.setattr(env, "_git", lambda folder, *args: str(Path.home() / "other-project"))
    env.source_revision.cache_clear()
    assert env.source_revision() is None, "the checkout of another project around it does not count"


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("git"),
        subprocess.TimeoutExpired("git", 10),
        subprocess.CalledProcessError(128, "git"),
    ],
)
def test_without_git_there_is_no_revision(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert env.source_revision() is None


def test_memory_is_measured() -> None:
    before = env.peak_memory_mb()
    held = np.ones(16 * 2**20)
    assert 20 < before < 10**6 and env.peak_memory_mb() >= before
    del held
    assert env.peak_device_memory_mb("cpu") is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_device_is_described() -> None:
    device = env.describe_device("cuda")
    assert device["name"] and device["memory_mb"] > 100 and device["cuda"] == torch.version.cuda
    torch.zeros(2**20, device="cuda")
    assert env.peak_device_memory_mb("cuda") >= 4
