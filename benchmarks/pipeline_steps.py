"""How many steps a second does each method take under a full-size pipeline, and in how much memory?

Pixels through the autoencoder, guidance 7.5: SDS, one-call MSD, exact product MSD with 8 DDIM steps, SDI with 10
inversion steps, VSD with a LoRA as its second score, and a plain loop as tutorials write it, which decodes the
posterior mean every step for its log. Random weights from configuration. With CUDA: the shapes of Stable Diffusion
1.5 and SDXL at 512 pixels in float16, and SDS with the encoder recomputed. On the CPU: a fifth of the width at 128
pixels.
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
    """One step of each method, from pixels to their gradient."""
    rng = torch.Generator(prior.device).manual_seed(0)
    image = torch.rand(1, 3, side, side, device=prior.device, requires_grad=True)
    told, guided = prior.conditions([TEXT]), ms.Guided(prior, SCALE)
    product = ms.MSD(ms.Fixed(1.0), estimator="product", steps=8, sampler=ms.ddim)
    z = torch.zeros(1, *prior.shape, device=prior.device)
    methods: dict[str, tuple[Any, ms.Prior]] = {
        "sds": (ms.SDS(), guided),
        "msd, one call": (ms.MSD(ms.Fixed(1.0)), guided),
        "msd, product of 8": (product, guided),
        "sdi": (ms.SDI(scale=SCALE, inversion_scale=-SCALE, inversion_steps=10), prior),
        "vsd, LoRA": (ms.VSD(scale=SCALE, auxiliary=ms.LoRAAuxiliary()), prior),
    }
    states = {name: method.init(z, asked) for name, (method, asked) in methods.items()}

    def one(name: str) -> Callable[[], None]:
        method, asked = methods[name]

        def step() -> None:
            z = prior.codec.encode(image)
            found, states[name] = method.step(z.detach(), asked, states[name], conditions=told, progress=0.5, rng=rng)
            image.grad = None
            z.backward(gradient=found.grad)

        return step

    alphas = prior.schedule(torch.linspace(0, 1, 1000))[0].to(prior.device)
    both = concatenate([told.null, told.positive])

    def plain() -> None:
        z = prior.codec.encode(image)
        index = torch.randint(20, 980, (1,), generator=rng, device=prior.device)
        alpha = alphas[index].view(-1, 1, 1, 1)
        sigma = (1 - alpha**2).sqrt()
        noise = torch.randn(z.shape, generator=rng, device=prior.device)
        with torch.no_grad():
            z_t = alpha * z + sigma * noise
            double = z_t.repeat(2, 1, 1, 1).to(prior.network.dtype)
            raw = prior.family.predict(prior.pipe, double, index.float().repeat(2) / 999, both, 0.0).float()
            eps = raw[:1] + SCALE * (raw[1:] - raw[:1])
            prior.codec.decode((z_t - sigma * eps) / alpha)
        image.grad = None
        z.backward(gradient=sigma**2 * (eps - noise))

    return {"plain loop": plain} | {name: one(name) for name in methods}


def peak_memory(task: Callable[[], object]) -> float:
    """Gigabytes at most while a task runs, with all that lies there already."""
    torch.cuda.reset_peak_memory_stats()
    task()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() / 1e9


def main() -> None:
    """Measures, prints, saves."""
    args = parse_args("How many steps a second does each method take under a full-size pipeline, in how much memory?")
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
            "steps_per_second": {task: 1 / told["median"] for task, told in seconds.items()},
            "over_plain_loop": {task: ratio(timings, task, "plain loop") for task in work},
        }
        if cuda:
            results[name]["peak_gb"] = {task: peak_memory(step) for task, step in work.items()}
            del prior, work
            with tempfile.TemporaryDirectory() as scratch:
                prior = full_size_pipeline(SHAPES[name], Path(scratch), side, device, ms.MemoryOptions(recompute=True))
            least = results[name]["peak_gb"]["sds, encoder recomputed"] = peak_memory(tasks(prior, side)["sds"])
            if name == "sd-1.5":
                targets["SDS through the encoder, float16"] = goal("<= 8 GB", least, least <= 8)
            del prior
        print(name, json.dumps({task: round(told["median"], 4) for task, told in seconds.items()}))
    save(args, results, targets)


if __name__ == "__main__":
    main()
