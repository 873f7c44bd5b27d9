"""How much faster are two processes with one thread each than one process with one thread?

Both work on the same steps: eight coordinate networks of 64 x 64 pixels, or four 64 x 64 views of a dense volume (grid
of 32 points a side, as a run begins, or 64; 48 samples a ray), SDS under an exact prior of six pictures, Adam. In each
round the first process works alone, then both share the items; the other order in the next round. What the machine
itself gives two processes is measured beside it, as plain matrix products.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from _common import arguments, goal, save, spread

import modeseek as ms
from modeseek.team import Team

SIDE, STEPS = 64, 12


def prior(seed: int) -> ms.Prior:
    rng = torch.Generator().manual_seed(seed)
    return ms.Empirical(torch.rand(6, 3, SIDE, SIDE, generator=rng), ms.VP())


def field(seed: int) -> tuple[ms.Generator, int]:
    return ms.Field(8, (SIDE, SIDE), torch.Generator().manual_seed(seed)), 8


def solid(seed: int) -> tuple[ms.Generator, int]:
    return ms.NeRF(size=SIDE), 4


def finer(seed: int) -> tuple[ms.Generator, int]:
    return ms.NeRF(ms.Dense((64,)), size=SIDE), 4


def walking(make: Callable[[int], tuple[ms.Generator, int]], seed: int, team: Team) -> Iterator[Any]:
    """Steps without end; every process makes the same."""
    generator, items = make(seed)
    optimizer = torch.optim.Adam(generator.parameters(), lr=0.01)  # pyright: ignore[reportAttributeAccessIssue]
    return ms.distill(
        generator, prior(seed), ms.SDS(), optimizer, steps=10**6, batch=items, rng=ms.Streams(seed), team=team
    )


def products(team: Team) -> Iterator[None]:
    """Products of matrices, half of them in each of two processes."""
    a = torch.randn(384, 384)
    while True:
        for _ in range(16 // team.size):
            a @ a
        yield


def measured(steps: Iterator[Any], alone: bool) -> tuple[float, float]:
    """Seconds a step, by the clock and of this process."""
    if not alone:
        dist.barrier()
    began, used = time.perf_counter(), time.process_time()
    for _ in range(STEPS):
        next(steps)
    return (time.perf_counter() - began) / STEPS, (time.process_time() - used) / STEPS


def work(rank: int, store: Path, rounds: int, seed: int) -> dict[str, Any] | None:
    """What one of the two processes does; the first one tells."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", store=dist.FileStore(str(store), 2), rank=rank, world_size=2)
    team = Team.current()
    told: dict[str, Any] = {}
    for name, make in (("field", field), ("solid", solid), ("solid of 64", finer), ("matrix products", None)):
        single = products(Team()) if make is None else walking(make, seed, Team())
        shared = products(team) if make is None else walking(make, seed, team)
        times: dict[str, list[tuple[float, float]]] = {"one": [], "two": []}
        for index in range(rounds + 1):
            for kind in ("one", "two") if index % 2 else ("two", "one"):
                if kind == "two":
                    times[kind].append(measured(shared, alone=False))
                elif rank == 0:
                    times[kind].append(measured(single, alone=True))
                dist.barrier()
        pairs = list(zip(times["one"][1:], times["two"][1:], strict=False))
        told[name] = {
            "speedup": spread([one[0] / two[0] for one, two in pairs]) if rank == 0 else None,
            "speedup_by_processor_time": spread([one[1] / two[1] for one, two in pairs]) if rank == 0 else None,
            "milliseconds_alone": 1e3 * spread([one[0] for one, _ in pairs])["median"] if rank == 0 else None,
        }
    dist.destroy_process_group()
    return told if rank == 0 else None


def main() -> None:
    args = arguments("How much faster are two processes than one, with one thread each?", threads=1)
    rounds = 3 if args.quick else 16
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        child = os.fork()
        if child == 0:
            try:
                work(1, store, rounds, args.seed)
            finally:
                os._exit(0)
        told = work(0, store, rounds, args.seed)
        os.waitpid(child, 0)
    assert told is not None
    for name, numbers in told.items():
        print(f"{name:16s} {numbers['speedup']['median']:.2f} by the clock (best {numbers['speedup']['best']:.2f})")
    targets = {
        f"{name}: two processes over one": goal(
            ">= 1.7", told[name]["speedup"]["median"], told[name]["speedup"]["median"] >= 1.7
        )
        for name in ("field", "solid")
    }
    save(args, told, targets)


if __name__ == "__main__":
    main()
