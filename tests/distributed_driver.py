"""Driver of `test_distributed.py`: forks several processes here, where torch is loaded once and has no threads yet.

`python distributed_driver.py FOLDER SIZE ...` runs every case with each number of processes and saves the tensors of
each process: `<case>-<size>-<rank>.pt`.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

import modeseek as ms
from modeseek.distributed import Distributed
from modeseek.rundir.state_sharding import gather_state, without_modules

F64 = torch.float64
ITEMS = 4


def vectors(dtype: torch.dtype = F64) -> ms.Prior:
    """Mixture of two Gaussians in three dimensions."""
    means = torch.tensor([[1.0, 0.5, -0.5], [-1.0, 0.0, 0.8]], dtype=dtype)
    covs = 0.2 * torch.eye(3, dtype=dtype).repeat(2, 1, 1)
    return ms.GaussianMixture(torch.tensor([0.4, 0.6], dtype=dtype), means, covs, schedule=ms.VP())


def images(dtype: torch.dtype, size: int = 8) -> ms.Prior:
    """Empirical prior of six images."""
    rng = torch.Generator().manual_seed(5)
    return ms.Empirical(torch.rand(6, 3, size, size, generator=rng, dtype=dtype), ms.VP())


def latent(seed: int = 2, dtype: torch.dtype = F64) -> ms.Latent:
    rng = torch.Generator().manual_seed(seed)
    return ms.Latent(torch.randn(ITEMS, 3, generator=rng, dtype=dtype))


def field(dtype: torch.dtype) -> ms.Field:
    return ms.Field(
        ITEMS, (8, 8), torch.Generator().manual_seed(3), width=16, depth=2, like=torch.empty(0, dtype=dtype)
    )


def nerf(dtype: torch.dtype) -> ms.NeRF:
    torch.manual_seed(0)
    stages = [ms.generators.ResolutionStage(0.0, 8, 0), ms.generators.ResolutionStage(0.5, 8, 1)]
    return ms.NeRF(
        ms.generators.Dense((8, 12)), size=8, samples=12, background=ms.generators.Background("random"), stages=stages
    ).to(dtype)


def optimise(
    distributed: Distributed,
    generator: torch.nn.Module,
    prior: ms.Prior,
    method: ms.Method,
    optimizer: Callable[..., torch.optim.Optimizer],
    steps: int,
    batch: int = ITEMS,
    **options: object,
) -> dict[str, Tensor]:
    """Final parameters, the first step's flat gradient, the fields of all steps, and the gathered method state."""
    optimizer_ = optimizer(generator.parameters())
    tensors: dict[str, list[Tensor]] = {}
    state = None
    run = ms.distill(
        generator,
        prior,
        method,
        optimizer_,
        steps=steps,
        batch=batch,
        rng=ms.Streams(11),
        distributed=distributed,
        **options,
    )
    for step in run:
        if step.index == 0:
            grads = [p.grad for p in generator.parameters()]
            tensors["first gradient"] = [torch.cat([g.flatten() for g in grads if g is not None])]
            tensors["without"] = [torch.tensor([g is None for g in grads])]
        state = step.state
        rows = {"z": step.z, "image": step.image, "grad": step.direction.grad} | step.direction.logs
        if step.direction.weight is not None:
            rows["weight"] = step.direction.weight
        for name, value in rows.items():
            tensors.setdefault(f"{name} of steps", []).append(value.double())
        for name, value in step.losses.items():
            tensors.setdefault(f"loss {name}", []).append(torch.tensor(value, dtype=F64))
    out = {name: torch.stack(values) for name, values in tensors.items()}
    out["parameters"] = torch.cat([p.detach().flatten() for p in generator.parameters()])
    network = getattr(getattr(state, "phi", None), "network", None)
    if network is not None:
        out["phi"] = torch.cat([p.detach().flatten() for p in network.parameters()])
    parts: list[object] = [None] * distributed.size
    if distributed.size > 1:
        dist.all_gather_object(parts, without_modules(state))
        shards = [Distributed(rank, distributed.size).shard(batch) for rank in range(distributed.size)]
        state = gather_state(parts, [shard.stop - shard.start for shard in shards])
    for name in ("h", "relative_shift", "mean", "cross", "visits"):
        if isinstance(getattr(state, name, None), Tensor):
            out[f"state {name}"] = getattr(state, name)
    noise = getattr(state, "noise", None)
    if isinstance(noise, dict):
        out["state noise"] = torch.stack([noise[item] for item in sorted(noise)])
    return out


def sgd(parameters: object) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.05)


def adam(parameters: object) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.02)


def brightness(rendering: ms.Rendering, progress: float) -> Tensor:
    """Regularizer: mean over items."""
    return 5 * rendering.image.square().mean()


def overflow(distributed: Distributed) -> dict[str, Tensor]:
    """Message of an inner step whose last item alone is not finite, and the parameters that it leaves."""
    module, last = latent(), ITEMS - 1

    def times(progress: float, n: int, rng: ms.Streams) -> Tensor:
        return torch.tensor([0.9 if item == last else 0.1 for item in rng.items], dtype=F64)

    method = ms.MSD(ms.Along(times), weight=lambda alpha, sigma: 1 + 1e160 * (sigma > alpha).to(sigma))
    try:
        optimise(distributed, module, vectors(), method, sgd, 2, inner_steps=2)
    except FloatingPointError as error:
        parameters = torch.cat([p.detach().flatten() for p in module.parameters()])
        return {"parameters": parameters.abs().log(), "message": torch.tensor(list(str(error).encode()))}
    raise AssertionError("the inner step was taken")


F32 = torch.float32
CASES: dict[str, Callable[[Distributed], dict[str, Tensor]]] = {
    "field gradient": lambda d: optimise(d, field(F32), images(F32), ms.SDS(), adam, 1),
    "nerf gradient": lambda d: optimise(d, nerf(F32), images(F32), ms.SDS(), adam, 1),
    "field sgd": lambda d: optimise(d, field(F64), images(F64), ms.SDS(), sgd, 20, regularizers=(brightness,)),
    "nerf sgd": lambda d: optimise(d, nerf(F64), images(F64), ms.SDS(), sgd, 20),
    "vectors sgd": lambda d: optimise(d, latent(), vectors(), ms.MSD(ms.Geometric(0.8, 0.1)), sgd, 20),
    "field adam": lambda d: optimise(d, field(F32), images(F32), ms.MSD(ms.Geometric(0.8, 0.1)), adam, 12),
    "vsd": lambda d: optimise(d, latent(), vectors(), ms.VSD(scale=1.0), sgd, 6),
    "kept noise": lambda d: optimise(d, latent(), vectors(), ms.methods.CFD(), sgd, 6),
    "accumulated": lambda d: optimise(
        d, nerf(F64), images(F64), ms.SDS(), sgd, 6, accumulate=3, regularizers=(brightness,)
    ),
    "ensemble": lambda d: optimise(
        d,
        ms.Ensemble([nerf(F64), nerf(F64)]),
        images(F64),
        ms.methods.CFD(noise=ms.methods.Voxels(), refresh=0.1),
        sgd,
        6,
        regularizers=(ms.regularizers.TotalVariation(), ms.regularizers.Sparsity()),
    ),
    "kept seeds": lambda d: optimise(
        d, ms.Ensemble([latent(), latent(3)]), vectors(), ms.methods.DSD(ode_steps=2), sgd, 4, batch=2 * ITEMS
    ),
    "shifted": lambda d: optimise(
        d, field(F64), images(F64), ms.SDS(), sgd, 20, codec=ms.Shifted(ms.codec.RangeCodec(), 3, 0.05)
    ),
    "inner": lambda d: optimise(
        d,
        field(F64),
        images(F64),
        ms.MSD(ms.Along(), weight=ms.weights.alpha_sigma, jitter=ms.Until(0.5)),
        sgd,
        12,
        inner_steps=3,
        regularizers=(brightness,),
        codec=ms.Shifted(ms.codec.RangeCodec(), 3, 0.05),
    ),
    "inner overflow": overflow,
    "inner nerf": lambda d: optimise(d, nerf(F64), images(F64), ms.SDS(), sgd, 6, inner_steps=3),
    "variate": lambda d: optimise(d, latent(), vectors(), ms.methods.SteinDreamer(), sgd, 6),
}


def work(folder: Path, rank: int, size: int) -> None:
    torch.set_num_threads(1)
    if size > 1:
        store = dist.FileStore(str(folder / f"store-{size}"), size)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    distributed = Distributed.current()
    assert (distributed.rank, distributed.size) == (rank, size)
    for name, case in CASES.items():
        torch.save(case(distributed), folder / f"{name}-{size}-{rank}.pt")
    if size > 1:
        dist.destroy_process_group()


def run_forked(jobs: list[Callable[[], None]]) -> list[int]:
    """Runs each job in a forked process and returns the exit codes."""
    children = []
    for job in jobs:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                job()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for size in map(int, sys.argv[2:]):
        codes = run_forked([lambda rank=rank, size=size: work(folder, rank, size) for rank in range(size)])
        if any(codes):
            sys.exit(f"{size} processes ended with {codes}")
