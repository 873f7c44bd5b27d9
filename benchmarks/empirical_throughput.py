"""Throughput of `ms.Empirical.at` relative to `torch.mm` on 50,000 x 3,072 data, and its memory.

The reference is the two necessary matrix products of the same shapes, measured alternately in the same process on one
thread: (64 x 3072) @ (3072 x 50000) and (64 x 50000) @ (50000 x 3072). Points are data with noise at the evaluated
level. Targets are in processor time, which other jobs on the machine affect least; wall time is reported too.
"""

from __future__ import annotations

import resource

import torch
from _common import goal, parse_args, ratio, round_floats, save, summarise, time_alternately

import modeseek as ms

BANDWIDTHS = (0.1, 1.0, 4.0, 20.0)


def main() -> None:
    args = parse_args("Throughput of Empirical.at relative to torch.mm, and its memory.", threads=1)
    n, d, batch, rounds = (4_000, 256, 64, 3) if args.quick else (50_000, 3_072, 64, 3)
    rng = torch.Generator().manual_seed(args.seed)
    memory = {"after_import": peak_memory()}
    data = torch.empty(n, d).normal_(generator=rng)
    memory["with_data"] = peak_memory()
    prior = ms.Empirical(data)
    memory["after_construction"] = peak_memory()
    noise = torch.empty(batch, d).normal_(generator=rng)
    one = torch.ones(batch)
    prior.at(data[:batch] + noise, one, one)
    memory["after_one_call"] = peak_memory()
    weights = torch.rand(batch, n, generator=rng)
    rows = []
    for h in BANDWIDTHS[1:3] if args.quick else BANDWIDTHS:
        z = data[:batch] + h * noise
        tasks = {
            "mm": lambda z=z: (z @ data.T, weights @ data),
            "at": lambda z=z, h=h: prior.at(z, one, h * one),
        }
        timings = time_alternately(tasks, 1, warm=0)
        if timings.wall["at"][0] < 15:  # slower tasks are timed once
            timings = time_alternately(tasks, rounds, warm=0)
        rows.append(
            {
                "bandwidth": h,
                "cpu_seconds_mm": summarise(timings.cpu["mm"]),
                "cpu_seconds_at": summarise(timings.cpu["at"]),
                "fraction": ratio(timings.cpu, "mm", "at"),
                "fraction_by_wall_time": ratio(timings.wall, "mm", "at"),
                "gflops_mm": 4e-9 * n * d * batch / min(timings.cpu["mm"]),
            }
        )
        print(
            h, "cpu", round_floats(rows[-1]["fraction"], 3), "wall", round_floats(rows[-1]["fraction_by_wall_time"], 3)
        )
    memory["after_all"] = peak_memory()
    worst = min(rows, key=lambda row: row["fraction"]["median"])
    gigabytes = memory["after_one_call"]
    save(
        args,
        {"shape": [n, d], "batch": batch, "dtype": "float32", "rows": rows, "peak_rss_gb": memory},
        {
            "throughput": goal(
                ">= 0.6 of torch.mm at every bandwidth",
                f"median {worst['fraction']['median']:.2f} at the worst bandwidth ({worst['bandwidth']:g})",
                worst["fraction"]["median"] >= 0.6,
            ),
            "peak RSS": goal("< 2 GB", f"{gigabytes:.2f} GB", gigabytes < 2),
        },
    )


def peak_memory() -> float:
    """Returns the peak resident memory of this process so far, in GB (1e9 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
