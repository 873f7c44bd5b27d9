"""How much faster are two processes with one thread each than one process with one thread?

Both work on the same steps: eight coordinate networks of 64 x 64 pixels, or four 64 x 64 views of a dense volume (grid
of 32 points a side, as a run begins, or 64; 48 samples a ray), SDS, Adam; under an exact prior of six pictures, which
costs next to nothing, and under the bundled text prior, as a user's run. In each round the first process works alone,
then both share the items; the other order in the next round. What the machine itself gives two processes is measured
beside it, as plain matrix products.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from _common import arguments, goal, save, spread

import modeseek as ms
from modeseek.codec import Codec
from modeseek.team import Team

SIDE = 64


@dataclass(frozen=True)
class Asked:
    """A prior, what it sees, and what it is told."""

    prior: ms.Prior
    codec: Codec | None = None
    conditions: ms.Conditions | None = None


def pictures(seed: int, items: int) -> Asked:
    rng = torch.Generator().manual_seed(seed)
    return Asked(ms.Empirical(torch.rand(6, 3, SIDE, SIDE, generator=rng), ms.VP()))


def words(seed: int, items: int) -> Asked:
    prior = ms.Bundled(cache=None)
    return Asked(ms.Guided(prior, 3.0), prior.codec, prior.conditions(["a red cone on a blue cube"] * items))


def field(seed: int) -> tuple[ms.Generator, int]:
    return ms.Field(8, (SIDE, SIDE), torch.Generator().manual_seed(seed)), 8


def solid(seed: int) -> tuple[ms.Generator, int]:
    return ms.NeRF(size=SIDE), 4


def finer(seed: int) -> tuple[ms.Generator, int]:
    return ms.NeRF(ms.Dense((64,)), size=SIDE), 4


@dataclass(frozen=True)
class Work:
    """What is optimised, whom it asks, and how many steps are timed together."""

    name: str
    make: Callable[[int], tuple[ms.Generator, int]] | None
    ask: Callable[[int, int], Asked] = pictures
    steps: int = 12

    def walking(self, seed: int, team: Team) -> Iterator[Any]:
        """Steps without end; every process makes the same."""
        if self.make is None:
            return products(team)
        generator, items = self.make(seed)
        asked = self.ask(seed, items)
        return ms.distill(
            generator,
            asked.prior,
            ms.SDS(),
            torch.optim.Adam(generator.parameters(), lr=0.01),  # pyright: ignore[reportAttributeAccessIssue]
            steps=10**6,
            batch=items,
            rng=ms.Streams(seed),
            conditions=asked.conditions,
            codec=asked.codec,
            team=team,
        )


def products(team: Team) -> Iterator[None]:
    """Products of matrices, half of them in each of two processes."""
    a = torch.randn(384, 384)
    while True:
        for _ in range(16 // team.size):
            a @ a
        yield


WORKS = (
    Work("field", field),
    Work("solid", solid),
    Work("solid of 64", finer),
    Work("field, bundled prior", field, words, 3),
    Work("solid, bundled prior", solid, words, 6),
    Work("matrix products", None),
)


def measured(steps: Iterator[Any], many: int, alone: bool) -> tuple[float, float]:
    """Seconds a step, by the clock and of this process."""
    if not alone:
        dist.barrier()
    began, used = time.perf_counter(), time.process_time()
    for _ in range(many):
        next(steps)
    return (time.perf_counter() - began) / many, (time.process_time() - used) / many


def work(rank: int, store: Path, rounds: int, seed: int) -> dict[str, Any] | None:
    """What one of the two processes does; the first one tells."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", store=dist.FileStore(str(store), 2), rank=rank, world_size=2)
    team = Team.current()
    told: dict[str, Any] = {}
    for task in WORKS:
        single, shared = task.walking(seed, Team()), task.walking(seed, team)
        times: dict[str, list[tuple[float, float]]] = {"one": [], "two": []}
        for index in range(rounds + 1):
            for kind in ("one", "two") if index % 2 else ("two", "one"):
                if kind == "two":
                    times[kind].append(measured(shared, task.steps, alone=False))
                elif rank == 0:
                    times[kind].append(measured(single, task.steps, alone=True))
                dist.barrier()
        pairs = list(zip(times["one"][1:], times["two"][1:], strict=False))
        told[task.name] = {
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
        print(f"{name:20s} {numbers['speedup']['median']:.2f} by the clock (best {numbers['speedup']['best']:.2f})")
    targets = {
        f"{name}: two processes over one": goal(
            ">= 1.7", told[name]["speedup"]["median"], told[name]["speedup"]["median"] >= 1.7
        )
        for name in told
        if name.startswith(("field", "solid"))
    }
    save(args, told, targets)


if __name__ == "__main__":
    main()
