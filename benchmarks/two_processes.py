"""Speedup of two processes over one process, one thread each.

Both run the same steps: eight or sixteen coordinate networks of 64 x 64 pixels, or four or eight 64 x 64 views of
a dense volume (grid of 32 points per side, as at the start of a run, or 64; 48 samples per ray), SDS, Adam; under an
exact prior of six images, at negligible cost, and under the bundled text prior, as in a user's run. In each round the
first process runs alone, then both share the items; the order alternates between rounds. Plain matrix products give
the speedup of the machine itself.
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
from _common import goal, parse_args, save, summarise

import modeseek as ms
from modeseek.codec import Codec
from modeseek.distributed import Distributed

SIDE = 64


@dataclass(frozen=True)
class PriorSetup:
    """Prior with its codec and conditions."""

    prior: ms.Prior
    codec: Codec | None = None
    conditions: ms.Conditions | None = None


def empirical_prior(seed: int, items: int) -> PriorSetup:
    rng = torch.Generator().manual_seed(seed)
    return PriorSetup(ms.Empirical(torch.rand(6, 3, SIDE, SIDE, generator=rng), ms.VP()))


def bundled_prior(seed: int, items: int) -> PriorSetup:
    prior = ms.bundled(device="cpu", cache=None)
    return PriorSetup(ms.Guided(prior, 3.0), prior.codec, prior.conditions(["a red cone on a blue cube"] * items))


def field_generator(seed: int, items: int) -> ms.Generator:
    return ms.Field(items, (SIDE, SIDE), torch.Generator().manual_seed(seed))


def dense_nerf_32(seed: int, items: int) -> ms.Generator:
    return ms.NeRF(size=SIDE)


def dense_nerf_64(seed: int, items: int) -> ms.Generator:
    return ms.NeRF(ms.generators.Dense((64,)), size=SIDE)


@dataclass(frozen=True)
class Workload:
    """Generator, items per step, prior, and number of steps per timing."""

    name: str
    make_generator: Callable[[int, int], ms.Generator] | None
    items: int = 1
    make_prior: Callable[[int, int], PriorSetup] = empirical_prior
    steps: int = 12

    def iterate(self, seed: int, distributed: Distributed) -> Iterator[Any]:
        """Returns an unbounded iterator of steps, equal in every process."""
        if self.make_generator is None:
            return matrix_products(distributed)
        generator = self.make_generator(seed, self.items)
        setup = self.make_prior(seed, self.items)
        return ms.distill(
            generator,
            setup.prior,
            ms.SDS(),
            torch.optim.Adam(generator.parameters(), lr=0.01, fused=True),  # pyright: ignore[reportAttributeAccessIssue]
            steps=10**6,
            batch=self.items,
            rng=ms.Streams(seed),
            conditions=setup.conditions,
            codec=setup.codec,
            distributed=distributed,
        )


def matrix_products(distributed: Distributed) -> Iterator[None]:
    """Yields after 16 matrix products, divided between the processes."""
    a = torch.randn(384, 384)
    while True:
        for _ in range(16 // distributed.size):
            a @ a
        yield


WORKLOADS = (
    Workload("field of 8", field_generator, 8),
    Workload("field of 16", field_generator, 16, steps=6),
    Workload("solid, 4 views", dense_nerf_32, 4),
    Workload("solid, 8 views", dense_nerf_32, 8, steps=6),
    Workload("solid of 64, 4 views", dense_nerf_64, 4),
    Workload("solid of 64, 8 views", dense_nerf_64, 8, steps=6),
    Workload("field of 8, bundled prior", field_generator, 8, bundled_prior, 4),
    Workload("solid, 4 views, bundled prior", dense_nerf_32, 4, bundled_prior, 6),
    Workload("solid, 8 views, bundled prior", dense_nerf_32, 8, bundled_prior, 4),
    Workload("matrix products", None),
)


def seconds_per_step(steps: Iterator[Any], many: int, alone: bool) -> tuple[float, float]:
    """Returns wall seconds and processor seconds of this process per step."""
    if not alone:
        dist.barrier()
    wall_start, cpu_start = time.perf_counter(), time.process_time()
    for _ in range(many):
        next(steps)
    return (time.perf_counter() - wall_start) / many, (time.process_time() - cpu_start) / many


def run_process(rank: int, store: Path, rounds: int, seed: int) -> dict[str, Any] | None:
    """Runs one of the two processes; rank 0 returns the results."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", store=dist.FileStore(str(store), 2), rank=rank, world_size=2)
    team = Distributed.current()
    results: dict[str, Any] = {}
    for task in WORKLOADS:
        single, shared = task.iterate(seed, Distributed()), task.iterate(seed, team)
        times: dict[str, list[tuple[float, float]]] = {"one": [], "two": []}
        for index in range(rounds + 1):
            for kind in ("one", "two") if index % 2 else ("two", "one"):
                if kind == "two":
                    times[kind].append(seconds_per_step(shared, task.steps, alone=False))
                elif rank == 0:
                    times[kind].append(seconds_per_step(single, task.steps, alone=True))
                dist.barrier()
        pairs = list(zip(times["one"][1:], times["two"][1:], strict=False))
        results[task.name] = {
            "speedup": summarise([one[0] / two[0] for one, two in pairs]) if rank == 0 else None,
            "speedup_by_processor_time": summarise([one[1] / two[1] for one, two in pairs]) if rank == 0 else None,
            "milliseconds_alone": 1e3 * summarise([one[0] for one, _ in pairs])["median"] if rank == 0 else None,
        }
    dist.destroy_process_group()
    return results if rank == 0 else None


def main() -> None:
    args = parse_args("Speedup of two processes over one, with one thread each.", threads=1)
    rounds = 3 if args.quick else 16
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        child = os.fork()
        if child == 0:
            try:
                run_process(1, store, rounds, args.seed)
            finally:
                os._exit(0)
        results = run_process(0, store, rounds, args.seed)
        os.waitpid(child, 0)
    assert results is not None
    for name, numbers in results.items():
        print(
            f"{name:30s} speedup {numbers['speedup']['median']:.2f} in wall time, quartiles "
            f"{numbers['speedup']['q1']:.2f} to {numbers['speedup']['q3']:.2f}"
        )
    targets = {
        f"{name}: two processes over one": goal(
            ">= 1.7", results[name]["speedup"]["median"], results[name]["speedup"]["median"] >= 1.7
        )
        for name in results
        if name.startswith(("field", "solid"))
    }
    save(args, results, targets)


if __name__ == "__main__":
    main()
