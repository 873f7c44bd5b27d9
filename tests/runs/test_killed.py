"""Runs that are killed at any write or moment resume to the same bits. MODESEEK_SOAK=1 kills them far more often."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = os.environ.get("MODESEEK_SOAK") == "1"
DRIVER = Path(__file__).parents[1] / "kill_driver.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked: POSIX only")
@pytest.mark.parametrize(("kind", "few", "many"), [("writes", 9, 10**6), ("moments", 5, 100), ("signals", 4, 50)])
def test_killed_and_resumed_equals_uninterrupted(kind: str, few: int, many: int, tmp_path: Path) -> None:
    count = many if SOAK else few
    process = subprocess.run(
        [sys.executable, str(DRIVER), kind, "0", str(count), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=3000 if SOAK else 240,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    output = tmp_path / "output.txt"
    assert process.returncode == 0, process.stderr[-2000:] + (output.read_text()[-2000:] if output.exists() else "")
    result = json.loads(process.stdout)
    print(result)
    assert result["kills"] >= (min(count, result["writes"]) if kind == "writes" else count)
    assert result["writes"] > 100
    assert result["corrupt"] == [] and result["failed"] == [] and result["different"] == []
