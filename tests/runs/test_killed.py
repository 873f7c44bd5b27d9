"""Runs that are killed at any write or moment resume to the same bits. MODESEEK_SOAK=1 kills them far more often."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SOAK = os.environ.get("MODESEEK_SOAK") == "1"
DRIVER = Path(__file__).parents[1] / "kill_driver.py"


KINDS = {"writes": 10**6, "moments": 100, "signals": 50} if SOAK else {"writes": 9, "moments": 5, "signals": 4}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Results of one driver for all kinds of kills, since half of the time is its imports."""
    folder = tmp_path_factory.mktemp("killed")
    process = subprocess.run(
        [sys.executable, str(DRIVER), "0", str(folder), *(f"{kind}={count}" for kind, count in KINDS.items())],
        capture_output=True,
        text=True,
        timeout=9000 if SOAK else 600,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    output = folder / "output.txt"
    assert process.returncode == 0, process.stderr[-2000:] + (output.read_text()[-2000:] if output.exists() else "")
    return json.loads(process.stdout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked: POSIX only")
@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_equals_uninterrupted(kind: str, results: dict[str, Any]) -> None:
    result = results[kind]
    print(result)
    assert result["kills"] >= (min(KINDS[kind], result["writes"]) if kind == "writes" else KINDS[kind])
    assert result["writes"] > 100
    assert result["corrupt"] == [] and result["failed"] == [] and result["different"] == []
