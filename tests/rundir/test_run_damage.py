"""Damaged run folders: errors are one line, and the other files can still be read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import one_line
from disk_faults import FailingDisk, make, same, state
from fuzz import error_line, file_damage, soak
from hypothesis import given
from hypothesis import strategies as st

import modeseek as ms
from modeseek.config.config import read_config, read_yaml_file
from modeseek.rundir.checkpoint import read_checkpoint, write_checkpoint
from modeseek.rundir.run_dir import Run, find_runs
from modeseek.rundir.status import Status


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def put(name: str, data: bytes) -> Callable[[Run], Any]:
    return lambda run: (run.path / name).write_bytes(data)


DAMAGED: dict[str, tuple[str, bytes, str]] = {
    "status is empty": ("status", b"", r"status\.json is damaged: .*; restore it or start a new run"),
    "status is cut": ("status", b'{"state": "run', r"status\.json is damaged"),
    "status is a list": ("status", b"[1]", r"status\.json is damaged"),
    "status is null": ("status", b"null", r"status\.json is damaged"),
    "status is deep": ("status", b"[" * 10**5, r"status\.json is damaged"),
    "status is no text": ("status", b"\xff\xfe", r"status\.json is damaged"),
    "status without state": ("status", b"{}", r"status\.json is damaged: .*state"),
    "status of another kind": ("status", b'{"state": "asleep"}', r"damaged: its state is 'asleep'"),
    "state is a list": ("status", b'{"state": ["running"]}', r"damaged: its state is"),
    "steps are a word": ("status", b'{"state": "running", "step": "7"}', r"damaged: its step is '7'"),
    "steps are true": ("status", b'{"state": "running", "step": true}', r"damaged: its step is 'True'"),
    "steps are negative": ("status", b'{"state": "running", "steps": -1}', r"damaged: its steps is '-1'"),
    "steps with a fraction": ("status", b'{"state": "running", "steps": 1.5}', r"damaged: its steps is '1.5'"),
    "seconds are a word": ("status", b'{"state": "running", "seconds": "x"}', r"damaged: its seconds is 'x'"),
    "seconds are no number": ("status", b'{"state": "running", "seconds": NaN}', r"damaged: its seconds is 'nan'"),
    "seconds without end": ("status", b'{"state": "running", "seconds": 1e999}', r"damaged: its seconds is 'inf'"),
    "checkpoint is a word": ("status", b'{"state": "running", "checkpoint": "a"}', r"its checkpoint is 'a'"),
    "reason is a number": ("status", b'{"state": "failed", "reason": 3}', r"damaged: its reason is '3'"),
    "time is nothing": ("status", b'{"state": "failed", "updated": null}', r"damaged: its updated is 'None'"),
    "memory is a list": ("status", b'{"state": "failed", "peak_memory_mb": []}', r"its peak_memory_mb is '\[\]'"),
    "environment is empty": ("environment", b"", r"env\.json is damaged"),
    "environment is a list": ("environment", b"[]", r"env\.json is damaged: it is not a mapping"),
    "environment is deep": ("environment", b"[" * 10**5, r"env\.json is damaged"),
    "environment is no text": ("environment", b"\xff", r"env\.json is damaged"),
    "config is empty": ("config", b"", r"config\.yaml holds no settings; restore it or start a new run"),
    "config is a list": ("config", b"- 1", r"config\.yaml holds no settings"),
    "config is cut": ("config", b"verb: run\nprior:\n  'prob", r"config\.yaml is not valid YAML: line 3"),
    "config is no text": ("config", b"\xff", r"config\.yaml must be UTF-8 text"),
    "config of another verb": (
        "config",
        b"verb: toy\nproblem: ring",
        r"config\.yaml must be for the verb run, got 'toy'",
    ),
    "config with a mistake": (
        "config",
        b"verb: run\nstep: 3",
        r"mine/config\.yaml has no setting 'step'; did you mean",
    ),
}
FILES = {"status": "status.json", "environment": "env.json", "config": "config.yaml"}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_one_line(here: Path, case: str, unchecked: None) -> None:
    run = make("mine")
    what, data, message = DAMAGED[case]
    (run.path / FILES[what]).write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        getattr(run, what)
    assert len(one_line(caught.value)) < 500
    others = set(FILES) - {what}
    assert all(getattr(run, other) for other in others), "the rest can still be read"


def test_missing_files_are_one_line(here: Path) -> None:
    run = make("mine")
    for name in os.listdir(run.path):
        shutil.rmtree(run.path / name) if (run.path / name).is_dir() else (run.path / name).unlink()
    with pytest.raises(
        ValueError, match=r"^mine is not a run: it has no status\.json; pass a folder that modeseek created"
    ):
        _ = run.status
    for what, name in (("environment", "env.json"), ("config", "config.yaml"), ("command", "command.txt")):
        with pytest.raises(FileNotFoundError, match=name) as caught:
            getattr(run, what)
        one_line(caught.value)
    assert run.metrics == [] and run.log == [] and run.checkpoints == [] and not run.running


def test_a_damaged_line_of_metrics_loses_its_own_step_only(here: Path) -> None:
    run = make("mine")
    good = [{"step": 0, "a": 1.5}, {"step": 2, "a": None}, {"step": 3, "b": "\x85\u2028"}]
    lines = [json.dumps(good[0]).encode(), b'{"step": 1, "a"', json.dumps(good[1]).encode(), b"[1]", b"\xff\xfe", b""]
    lines += [
        b"[" * 10**5,
        b'{"a": 1}',
        b'{"step": "x"}',
        json.dumps(good[2], ensure_ascii=False).encode(),
        b"9" * 5000,
    ]
    (run.path / "metrics.jsonl").write_bytes(b"\n".join([*lines, b'{"step": 4}']))
    assert run.metrics == good, "the last line is torn: it has no newline"


def test_the_status_is_replaced_atomically_and_read_back(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make("mine")
    status = Status("stopped", "asked to — é", 5, 7, 4, 1.5, 10, 99.5, 3.0, 2, 1)
    status.write(run.path)
    assert run.status == status
    with monkeypatch.context() as patch, pytest.raises(OSError):
        FailingDisk(patch, 0, half=True)
        Status("finished").write(run.path)
    assert run.status == status and ".status.json.part" not in os.listdir(run.path)
    values = json.loads((run.path / "status.json").read_text())
    (run.path / "status.json").write_text(json.dumps(values | {"future": [1]}))
    assert run.status == status, "fields of a later version are ignored"


# Fuzzing.


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of some steps and a network."""
    folder = tmp_path_factory.mktemp("ran")
    run = make(folder / "run")
    write_checkpoint(run.path / "checkpoints", 3, state(3))
    write_checkpoint(run.path / "checkpoints", 5, state(5))
    rows = [{"step": i, "direction_norm": 1.5 / (i + 1), "loss": None} for i in range(6)]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run.path / "log.txt").write_text("2026-01-01 resumed at step 3\n2026-01-01 größer\n", encoding="utf-8")
    Status("stopped", "asked to", 5, 7, 5, 1.5, 10, 99.5).write(run.path)
    data = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    network = ms.Network.train(data, steps=2, rng=torch.Generator().manual_seed(1), width=8, depth=1, batch=16)
    network.save(folder / "network")
    return folder


NEWEST = "run/checkpoints/step-00000005"
READERS: dict[str, list[Callable[[Run], Any]]] = {
    "run/config.yaml": [
        lambda run: run.config,
        lambda run: run.settings,
        lambda run: read_config(read_yaml_file(run.path)),
    ],
    "run/status.json": [lambda run: run.status, lambda run: Run.load(run.path).status],
    "run/env.json": [lambda run: run.environment],
    "run/command.txt": [lambda run: run.command],
    "run/metrics.jsonl": [lambda run: run.metrics],
    "run/log.txt": [lambda run: run.log],
    **{
        f"{NEWEST}/{name}": [
            lambda run: run.checkpoint(),
            lambda run: read_checkpoint(run.checkpoints[-1]).restore(None),
        ]
        for name in ("manifest.json", "state.json", "tensors.safetensors")
    },
    **{
        f"network/{name}": [lambda run: ms.Network.load(run.path.parent / "network")]
        for name in ("network.json", "network.safetensors")
    },
}


@soak
@given(
    name=st.sampled_from(sorted(READERS)), damage=file_damage(), fate=st.sampled_from(["damaged"] * 8 + ["gone", "dir"])
)
def test_fuzz_damaged_files_are_read_or_refused_in_one_line(
    ran: Path, name: str, damage: Callable[[bytes], bytes], fate: str, unchecked: None
) -> None:
    path, run = ran / name, Run(ran / "run")
    data = path.read_bytes()
    path.unlink()
    try:
        if fate == "damaged":
            path.write_bytes(damage(data))
        elif fate == "dir":
            path.mkdir()
        for reader in READERS[name]:
            error_line(lambda r=reader: r(run))
        error_line(lambda: find_runs(ran))
        error_line(lambda: Run.load(ran / "ruin"))
        if name.startswith(NEWEST):
            newest, damaged = run.checkpoint()
            assert newest is not None and same(newest.restore(None), state(newest.step))
            assert newest.step == (3 if damaged else 5)
    finally:
        path.rmdir() if fate == "dir" else path.unlink(missing_ok=True)
        path.write_bytes(data)
    assert all(error_line(lambda r=reader: r(run)) is None for reader in READERS[name])
