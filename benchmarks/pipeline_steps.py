"""Steps per second and peak memory of each method under a full-size pipeline.

Pixels through the autoencoder, guidance 7.5: SDS, one-call MSD, exact product MSD with 8 DDIM steps, SDI with 10
inversion steps, VSD with a LoRA auxiliary, and a plain tutorial-style loop, which decodes the posterior mean every
step for its log. Random weights from configuration. With CUDA: the shapes of Stable Diffusion 1.5 and SDXL at 512
pixels in float16, and SDS with the encoder recomputed. On the CPU: a fifth of the width at 128 pixels.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _common import goal, parse_args, ratio, save, summarise, time_alternately
from _pipelines import SHAPES, TEXT, full_size_pipeline

import modeseek as ms
from modeseek.pytree import concatenate

SCALE = 7.5


def tasks(prior: ms.Pipeline, side: int) -> dict[str, Callable[[], object]]:
    """Returns one step of each method, from pixels to their gradient."""
    rng = torch.Generator(prior.device).manual_seed(0)
    image = torch.rand(1, 3, side, side, device=prior.device, requires_grad=True)
    conditions, guided = prior.conditions([TEXT]), ms.Guided(prior, SCALE)
    product = ms.MSD(ms.Fixed(1.0), estimator="product", steps=8, sampler=ms.ddim)
    z = torch.zeros(1, *prior.shape, device=prior.device)
    methods: dict[str, tuple[Any, ms.Prior]] = {
        "sds": (ms.SDS(), guided),
        "msd, one call": (ms.MSD(ms.Fixed(1.0)), guided),
        "msd, product of 8": (product, guided),
        "sdi": (ms.SDI(scale=SCALE, inversion_scale=-SCALE, inversion_steps=10), prior),
        "vsd, LoRA": (ms.VSD(scale=SCALE, auxiliary=ms.methods.LoRAAuxiliary()), prior),
    }
    states = {name: method.init(z, method_prior) for name, (method, method_prior) in methods.items()}

    def method_step(name: str) -> Callable[[], None]:
        method, method_prior = methods[name]

        def step() -> None:
            z = prior.codec.encode(image)
            direction, states[name] = method.step(
                z.detach(), method_prior, states[name], conditions=conditions, progress=0.5, rng=rng
            )
            image.grad = None
            z.backward(gradient=direction.grad)

        return step

    alphas, sigmas = (level.to(prior.device) for level in prior.schedule(torch.linspace(0, 1, 1000)))
    both = concatenate([conditions.null, conditions.positive])

    def network(double: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return prior.family.predict(prior.pipe, double, index.float().repeat(2), both, 0.0).float()

    double = torch.randn(2, *prior.shape, generator=rng, device=prior.device).to(prior.network.dtype)

    def bare_network() -> None:
        with torch.no_grad():
            network(double, torch.full((1,), 500, device=prior.device))

    def plain_loop() -> None:
        z = prior.codec.encode(image)
        index = torch.randint(20, 980, (1,), generator=rng, device=prior.device)
        alpha, sigma = alphas[index].view(-1, 1, 1, 1), sigmas[index].view(-1, 1, 1, 1)
        noise = torch.randn(z.shape, generator=rng, device=prior.device)
        with torch.no_grad():
            z_t = alpha * z + sigma * noise
            double = z_t.repeat(2, 1, 1, 1).to(prior.network.dtype)
            raw = network(double, index)
            eps = raw[:1] + SCALE * (raw[1:] - raw[:1])
            prior.codec.decode((z_t - sigma * eps) / alpha)
        image.grad = None
        z.backward(gradient=sigma**2 * (eps - noise))

    return {"bare network": bare_network, "plain loop": plain_loop} | {name: method_step(name) for name in methods}


def peak_memory(task: Callable[[], object]) -> float:
    """Returns peak GPU memory in GB (1e9 bytes) while a task runs, including what is already allocated."""
    torch.cuda.reset_peak_memory_stats()
    task()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() / 1e9


def main() -> None:
    """Measures, prints and saves the results."""
    args = parse_args("Steps per second and peak memory of each method under a full-size pipeline.")
    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    results: dict[str, Any] = {"device": torch.cuda.get_device_name() if cuda else "cpu"}
    targets: dict[str, Any] = {}
    todo = {"sd-1.5": 512, "sdxl": 512} if cuda else {"sd-1.5, a fifth as wide": 64 if args.quick else 128}
    torch.manual_seed(args.seed)
    for name, side in todo.items():
        with tempfile.TemporaryDirectory() as scratch:
            prior = full_size_pipeline(SHAPES[name], Path(scratch), side, device)
        work = tasks(prior, side)
        timings = time_alternately(work, 2 if args.quick else 9).wall
        seconds = {task: summarise(times) for task, times in timings.items()}
        results[name] = {
            "pixels": side,
            "numbers": sum(p.numel() for p in prior.network.parameters()),
            "seconds": seconds,
            "steps_per_second": {task: 1 / row["median"] for task, row in seconds.items()},
            "over_plain_loop": {task: ratio(timings, task, "plain loop") for task in work},
        }
        if cuda:
            results[name]["peak_gb"] = {task: peak_memory(step) for task, step in work.items()}
            del prior, work
            with tempfile.TemporaryDirectory() as scratch:
                prior = full_size_pipeline(
                    SHAPES[name], Path(scratch), side, device, ms.priors.MemoryOptions(recompute=True)
                )
            least = results[name]["peak_gb"]["sds, encoder recomputed"] = peak_memory(tasks(prior, side)["sds"])
            if name == "sd-1.5":
                targets["SDS through the encoder, float16"] = goal("<= 8 GB", least, least <= 8)
            del prior
        print(name, json.dumps({task: round(row["median"], 4) for task, row in seconds.items()}))
    save(args, results, targets)


if __name__ == "__main__":
    main()
