"""Overhead of a saved run over the bare loop, and latency of resuming.

Pixels of 4 x 3 x 64 x 64 with Adam under MSD, one thread; the prior is a data set of images, so that a step takes
about ten milliseconds, far less than with any diffusion pipeline. The bare loop (`distill`) and the saved run, with
metrics, previews, final checkpoint and report, alternate in one process. The share of checkpoints is that of a run
of several minutes at the default interval (30 s), and of one without any interval, where each is followed by fifty
times its own cost. `modeseek resume` is timed from the end of its imports to its first step, in fresh processes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from _common import goal, parse_args, ratio, save, summarise, time_alternately

import modeseek as ms
from modeseek import runs
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.runs import run_state as module
from modeseek.runs.api import create_run
from modeseek.runs.build import build
from modeseek.runs.train import train

SHAPE, BATCH = (3, 64, 64), 4
RESUME = """
import sys, time
from modeseek.cli import main
from modeseek.runs import train as module
began, real = time.perf_counter(), module.distill
def distill(*args, **options):
    for step in real(*args, **options):
        print("SECONDS", time.perf_counter() - began)
        raise KeyboardInterrupt
module.distill = distill
main(["resume", sys.argv[1], "--steps", "40"])
"""


def config(steps: int, saving: runs.CheckpointConfig) -> ms.Config:
    """Returns the configuration of the measured run."""
    method, generator = ms.MSD(ms.Geometric(20.0, 1.0)), runs.PixelsConfig(BATCH)
    return ms.Config(runs.ToyPriorConfig("digits"), method, generator, runs.AdamConfig(), steps=steps, saving=saving)


def time_saved_run(given: ms.Config, loaded: LoadedPrior, folder: Path) -> tuple[float, list[float]]:
    """Runs the configuration; returns total seconds and the seconds of each checkpoint."""
    spent: list[float] = []
    real = module.write_checkpoint

    def timed(*args: Any) -> Path:
        began = time.perf_counter()
        path = real(*args)
        spent.append(time.perf_counter() - began)
        return path

    run, _ = create_run(replace(given, generator=runs.PointsConfig(runs.NoiseStart(1))), ["benchmark"], folder)
    job = build(given, loaded)
    module.write_checkpoint = timed
    try:
        began = time.perf_counter()
        for _ in train(run, job, given.steps):
            pass
        return time.perf_counter() - began, spent
    finally:
        module.write_checkpoint = real


def main() -> None:
    """Measures, prints and saves the results."""
    args = parse_args((__doc__ or "").split("\n")[0], threads=1)
    rng = torch.Generator().manual_seed(args.seed)
    images = 2 * torch.rand(200 if args.quick else 3000, *SHAPE, generator=rng) - 1
    loaded = LoadedPrior(ms.Empirical(images), "0", ms.codec.RangeCodec())
    with tempfile.TemporaryDirectory() as scratch:
        folder, count = Path(scratch), iter(range(10**6))
        short = config(20 if args.quick else 150, runs.CheckpointConfig())

        def bare() -> None:
            job = build(short, loaded)
            steps = ms.distill(
                job.generator,
                job.prior,
                job.method,
                job.optimizer,
                steps=short.steps,
                batch=job.batch,
                codec=job.codec,
                rng=ms.Streams(0),
            )
            for _ in steps:
                pass

        tasks = {"bare": bare, "kept": lambda: time_saved_run(short, loaded, folder / str(next(count)))}
        timings = time_alternately(tasks, 2 if args.quick else 5)
        shares = {}
        for name, saving in (("default", runs.CheckpointConfig()), ("no interval", runs.CheckpointConfig(seconds=0.0))):
            steps = 40 if args.quick else 2400 if name == "default" else 600
            long = config(steps, saving)
            seconds, spent = time_saved_run(long, loaded, folder / name)
            shares[name] = {
                "seconds": seconds,
                "checkpoints": len(spent),
                "seconds_each": statistics.median(spent),
                "share": sum(spent) / seconds,
            }
            print(name, shares[name])
        ms.run(ms.Config(runs.ToyPriorConfig("ring"), ms.MSD(ms.Fixed(0.1)), steps=20), folder / "resumed")
        latency = []
        for _ in range(2 if args.quick else 7):
            argv = [sys.executable, "-c", RESUME, str(folder / "resumed")]
            completed = subprocess.run(argv, capture_output=True, text=True)
            latency.append(float(completed.stdout.split("SECONDS")[1].split()[0]))
    over = {"wall": ratio(timings.wall, "kept", "bare"), "cpu": ratio(timings.cpu, "kept", "bare")}
    step = {name: 1e3 * statistics.median(timings.wall[name]) / short.steps for name in tasks}
    worst = max(row["share"] for row in shares.values())
    targets = {
        "share of the run spent on checkpoints": goal("<= 0.02", worst, worst <= 0.02),
        "resume: seconds from its imports to its first step": goal(
            "<= 3", statistics.median(latency), statistics.median(latency) <= 3
        ),
    }
    results = {"kept_over_bare": over, "milliseconds_a_step": step, "checkpoints": shares, "resume": summarise(latency)}
    save(args, results, targets)


if __name__ == "__main__":
    main()
