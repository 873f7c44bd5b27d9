"""Commands in several processes, as `torchrun` starts them: one result, one voice, one end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import modeseek as ms

DRIVER = Path(__file__).parents[1] / "process_group_driver.py"
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked: POSIX only")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("crew")
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(folder)],
        capture_output=True, text=True, timeout=240, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "told.json").read_text()) | {"folder": folder}


def state(run: ms.Run) -> dict[str, torch.Tensor]:
    return load_file(run.checkpoints[-1] / "tensors.safetensors")


def numbers(run: ms.Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in ("seconds", "memory_mb")} for row in run.metrics]


@pytest.mark.parametrize("name", ["two", "moved"])
def test_what_several_leave_is_what_one_leaves(name, told):
    whole, shared = (ms.Run.load(told["folder"] / one) for one in ("whole", name))
    assert told["two"]["codes"] == [0, 0] and told["resumed"]["codes"] == [0, 0, 0]
    assert shared.status.state == "finished" and shared.status.calls == whole.status.calls == 24 * 5
    assert (shared.path / "report.html").exists()
    for mine, theirs in zip(numbers(shared), numbers(whole), strict=True):
        assert mine.keys() == theirs.keys()
        assert all(mine[key] == pytest.approx(theirs[key], rel=1e-9, abs=1e-12) for key in mine)
    mine, theirs = state(shared), state(whole)
    assert mine.keys() == theirs.keys() and any("noise" in name for name in mine)
    assert all(torch.allclose(mine[key].double(), theirs[key].double(), rtol=1e-9, atol=1e-12) for key in theirs)


def test_a_wish_of_one_stops_all_after_one_step(told):
    assert told["stopped"]["codes"] == [75, 75]
    line = told["stopped"]["printed"][0][1].splitlines()[-1]
    assert "another process after step 13 of 24" in line and "modeseek resume" in line


def test_only_the_first_speaks(told):
    for scene in ("two", "stopped", "resumed", "failed", "alone", "shared"):
        assert all(printed == ["", ""] for printed in told[scene]["printed"][1:]), scene
    assert told["two"]["printed"][0][0].count("Report:") == 1


def test_a_failure_of_one_is_the_failure_of_all(told):
    assert told["failed"]["codes"] == [1, 2]
    line = told["failed"]["printed"][0][1].splitlines()[-1]
    assert line.startswith("modeseek: the run failed: process 1 of 2: the third projector is on fire")
    status = ms.Run.load(told["folder"] / "failed").status
    assert status.state == "failed" and "process 1 of 2: the third projector" in status.reason


def test_one_that_is_killed_ends_the_others(told):
    assert told["killed"]["codes"] == [1, 9]
    assert "another process ended without a word" in told["killed"]["printed"][0][1].splitlines()[-1]
    assert ms.Run.load(told["folder"] / "killed").status.state == "failed"


def test_nobody_leaves_before_all_have_met(told):
    """One that refuses at once would look like a crash to another that is still connecting."""
    left, met = (told["folder"] / name for name in ("alone-0.err", "met"))
    assert left.read_text() and left.stat().st_mtime_ns >= met.stat().st_mtime_ns


def test_what_cannot_be_shared_is_one_line_and_no_folder(told):
    assert told["alone"]["codes"] == [2, 2] and told["shared"]["codes"] == [2] * 6
    assert "modeseek toy works in one process: got 2" in told["alone"]["printed"][0][1]
    assert "6 processes share the items of a step: got 5" in told["shared"]["printed"][0][1]
    assert not (told["folder"] / "toy").exists() and not (told["folder"] / "shared").exists()
