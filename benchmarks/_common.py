"""Shared benchmark code: command line, machine record, alternating timings, result files."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")
RESULTS = Path(__file__).resolve().parent / "results"


def parse_args(question: str, threads: int | None = None, device: str = "", **paths: str) -> argparse.Namespace:
    """Parses --quick, --seed, --threads, --device where one is given, and optional paths; sets torch's threads."""
    parser = argparse.ArgumentParser(description=question)
    parser.add_argument("--quick", action="store_true", help="smoke test of a few seconds, saved to results/quick/")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--threads", type=int, default=threads, help="number of torch threads (default: torch's own)")
    if device:
        parser.add_argument("--device", choices=("cuda", "cpu"), default=device, help=f"device (default: {device})")
    for name, text in paths.items():
        parser.add_argument(f"--{name}", type=Path, help=text)
    args = parser.parse_args()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    args.question = question
    args.began = time.perf_counter()
    args.load_before = os.getloadavg()
    return args


def machine_info() -> dict[str, Any]:
    """Returns processor, cores, memory, system and versions."""
    info = Path("/proc/cpuinfo")
    names = []
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
    }


def commit_info() -> dict[str, Any]:
    """Returns the measured commit, and whether the package's sources differed from it."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():  # a copy of the files
        return {"commit": None, "sources_changed": None}

    def git(*words: str) -> str:
        return subprocess.run(("git", *words), cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    return {"commit": git("rev-parse", "HEAD"), "sources_changed": bool(git("status", "--porcelain", "--", "src"))}


def result_path(args: argparse.Namespace, suffix: str, name: str = "") -> Path:
    """Returns the result path of this script: results/NAME.json, or results/quick/NAME.json."""
    folder = RESULTS / "quick" if args.quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    return folder / ((name or Path(sys.argv[0]).stem) + suffix)


def save(args: argparse.Namespace, results: Any, targets: Mapping[str, Any], name: str = "") -> None:
    """Writes the JSON record: question, machine, date, targets with reached values, and results."""
    record = {
        "question": args.question,
        "command": "python benchmarks/" + " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "seed": args.seed,
        **commit_info(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_info(),
        "load_average": {"before": args.load_before, "after": os.getloadavg()},
        "seconds": round(time.perf_counter() - args.began, 1),
        "targets": targets,
        "results": results,
    }
    path = result_path(args, ".json", name)
    path.write_text(json.dumps(round_floats(record), indent=1) + "\n")
    print(f"wrote {path}")
    for name, row in targets.items():
        print(f"{'met   ' if row['met'] else 'MISSED'} {name}: target {row['target']}, reached {row['reached']}")


def goal(target: str, reached: Any, met: bool) -> dict[str, Any]:
    """Returns one entry of `targets`."""
    return {"target": target, "reached": round_floats(reached), "met": bool(met)}


def result_of(steps: Generator[object, None, Result]) -> Result:
    """Runs a generator to its end and returns its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def round_floats(value: Any, digits: int = 5) -> Any:
    """Rounds floats to significant digits, recursively."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, Mapping):
        return {str(key): round_floats(inner, digits) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [round_floats(inner, digits) for inner in value]
    return value


@dataclass(frozen=True)
class Timings:
    """Seconds of each task in each round, as wall and processor time (the latter is less affected by other jobs)."""

    wall: dict[str, list[float]]
    cpu: dict[str, list[float]]


def time_alternately(tasks: Mapping[str, Callable[[], object]], rounds: int, warm: int = 1) -> Timings:
    """Times the tasks alternately in every round, so that a temporary load affects all of them equally."""
    for _ in range(warm):
        for task in tasks.values():
            task()
    timings = Timings({name: [] for name in tasks}, {name: [] for name in tasks})
    for index in range(rounds):
        order = list(tasks) if index % 2 == 0 else list(tasks)[::-1]
        for name in order:
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            tasks[name]()
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            timings.cpu[name].append(time.process_time() - cpu_start)
            timings.wall[name].append(time.perf_counter() - wall_start)
    return timings


def summarise(values: Sequence[float]) -> dict[str, float]:
    """Returns minimum, quartiles and count."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return {"best": min(values), "q1": low, "median": middle, "q3": high, "n": len(values)}


def ratio(seconds: Mapping[str, Sequence[float]], of: str, over: str) -> dict[str, float]:
    """Returns the quartiles of the round-by-round ratio of two tasks."""
    return summarise([a / b for a, b in zip(seconds[of], seconds[over], strict=True)])
