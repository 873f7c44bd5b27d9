"""Driver of `gpu/test_loop_on_device.py`: `python device_driver.py FOLDER SIZE cuda|cpu`.

The same steps by one process and by SIZE, a GPU each, and their final latents in FOLDER.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import multiprocessing

import modeseek as ms
from modeseek.distributed import Distributed


def work(rank: int, folder: Path, size: int, kind: str) -> None:
    """Optimises the latents of this process's share, and saves them in the first process."""
    torch.set_num_threads(1)
    device = torch.device(kind, rank) if kind == "cuda" else torch.device("cpu")
    if kind == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if kind == "cuda" else "gloo",
        store=dist.FileStore(str(folder / "store"), size),
        rank=rank,
        world_size=size,
    )
    shared = optimise(device, Distributed.current(), items=2 * size)
    if rank == 0:
        torch.save(optimise(device, Distributed(), items=2 * size), folder / "alone.pt")
        torch.save(shared, folder / "shared.pt")
    dist.barrier()
    dist.destroy_process_group()


def optimise(device: torch.device, distributed: Distributed, items: int) -> torch.Tensor:
    """Returns the latents after four steps of SDS under a mixture."""
    rng = torch.Generator().manual_seed(0)
    means = torch.tensor([[1.0, 0.5], [-1.0, 0.0]])
    prior = ms.GaussianMixture(torch.tensor([0.4, 0.6]), means, 0.2 * torch.eye(2).repeat(2, 1, 1)).to(device)
    latent = ms.Latent(torch.randn(items, 2, generator=rng).to(device))
    optimizer = torch.optim.SGD(latent.parameters(), lr=0.05)
    steps = ms.distill(
        latent, prior, ms.SDS(), optimizer, steps=4, batch=items, rng=ms.Streams(3), distributed=distributed
    )
    for _ in steps:
        pass
    return latent.z.detach().cpu()


if __name__ == "__main__":
    place, number, kind_ = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    multiprocessing.start_processes(work, (place, number, kind_), number, start_method="spawn")
