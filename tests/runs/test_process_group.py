"""Commands in several processes, launched as by `torchrun`: result, output, errors and exit codes."""

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
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked: POSIX only"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("process_group")
    process = subprocess.run(
        [sys.executable, str(DRIVER), str(folder)],
        capture_output=True, text=True, timeout=240, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads((folder / "results.json").read_text()) | {"folder": folder}


def state(run: ms.Run) -> dict[str, torch.Tensor]:
    return load_file(run.checkpoints[-1] / "tensors.safetensors")


def numbers(run: ms.Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in ("seconds", "memory_mb")} for row in run.metrics]


@pytest.mark.parametrize("name", ["two", "continued"])
def test_several_processes_write_the_run_of_one(name, results):
    whole, shared = (ms.Run.load(results["folder"] / folder) for folder in ("whole", name))
    assert results["two"]["codes"] == [0, 0] and results["resumed"]["codes"] == [0, 0, 0]
    assert shared.status.state == "finished" and shared.status.calls == whole.status.calls == 24 * 5
    assert (shared.path / "report.html").exists()
    for row, expected in zip(numbers(shared), numbers(whole), strict=True):
        assert row.keys() == expected.keys()
        assert all(row[key] == pytest.approx(expected[key], rel=1e-9, abs=1e-12) for key in row)
    tensors, expected = state(shared), state(whole)
    assert tensors.keys() == expected.keys() and any("noise" in name for name in tensors)
    assert all(torch.allclose(tensors[key].double(), expected[key].double(), rtol=1e-9, atol=1e-12) for key in expected)


def test_a_signal_to_one_process_stops_all_after_its_step(results):
    assert results["stopped"]["codes"] == [75, 75]
    line = results["stopped"]["printed"][0][1].splitlines()[-1]
    assert "another process after step 13 of 24" in line and "modeseek resume" in line


def test_only_the_main_process_prints(results):
    for scenario in ("two", "stopped", "resumed", "failed", "alone", "shared"):
        assert all(printed == ["", ""] for printed in results[scenario]["printed"][1:]), scenario
    assert results["two"]["printed"][0][0].count("Report:") == 1


def test_an_error_in_one_process_fails_all(results):
    assert results["failed"]["codes"] == [1, 2]
    line = results["failed"]["printed"][0][1].splitlines()[-1]
    assert line.startswith("modeseek: the run failed: process 1 of 2: the third step is broken")
    status = ms.Run.load(results["folder"] / "failed").status
    assert status.state == "failed" and "process 1 of 2: the third step" in status.reason


def test_a_killed_process_ends_the_others(results):
    assert results["killed"]["codes"] == [1, 9]
    assert "another process exited without an error message" in results["killed"]["printed"][0][1].splitlines()[-1]
    assert ms.Run.load(results["folder"] / "killed").status.state == "failed"


def test_no_process_exits_before_all_have_connected(results):
    """An early exit would look like a crash to a process that is still connecting."""
    error, connected = (results["folder"] / name for name in ("alone-0.err", "connected"))
    assert error.read_text() and error.stat().st_mtime_ns >= connected.stat().st_mtime_ns


def test_commands_that_cannot_be_distributed_fail_in_one_line_without_a_folder(results):
    assert results["alone"]["codes"] == [2, 2] and results["shared"]["codes"] == [2] * 6
    assert "modeseek toy must run in one process, got 2" in results["alone"]["printed"][0][1]
    assert "6 processes share the items of a step: got 5" in results["shared"]["printed"][0][1]
    assert not (results["folder"] / "toy").exists() and not (results["folder"] / "shared").exists()
