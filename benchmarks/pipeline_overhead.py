"""Overhead of a direction under a pipeline over the batched network call and the encoder.

One SDS and one one-call MSD direction with guidance from pixels, encoder forward and backward included, against the
same encoder and one batched call of the network, alternating in one process; random weights from configuration. Tiny:
the smallest Stable Diffusion. SD 1.5-shaped: its configuration (860 M parameters), at 128 pixels on the CPU and 512 in
float16 with CUDA, then with peak memory. Prompts are encoded beforehand: encoding one again is an error.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _common import goal, parse_args, ratio, save, summarise, time_alternately
from _pipelines import SHAPES, TEXT, full_size_pipeline, tiny_pipeline

import modeseek as ms
from modeseek.pytree import concatenate

SCALE = 7.5


def tasks(prior: ms.Pipeline, side: int) -> dict[str, Callable[[], object]]:
    """Returns the network call with the encoder, and the directions that contain it."""
    rng = torch.Generator(prior.device).manual_seed(0)
    image = torch.rand(1, 3, side, side, device=prior.device, requires_grad=True)
    conditions = prior.conditions([TEXT])
    both = concatenate([conditions.null, conditions.positive])
    network, guided = prior.network, ms.Guided(prior, SCALE)
    sds, msd = ms.SDS(), ms.MSD(ms.Fixed(1.0))
    state = {"msd": msd.init(torch.zeros(1, *prior.shape, device=prior.device), guided)}

    def bare() -> None:
        z = prior.codec.encode(image)
        with torch.no_grad():
            double = z.detach().repeat(2, 1, 1, 1).to(network.dtype)
            steps = torch.tensor([500.0, 500.0], device=z.device)
            network(double, steps, encoder_hidden_states=both["text"], return_dict=False)
        image.grad = None
        z.backward(gradient=torch.ones_like(z))

    def direction(method: Any, name: str) -> Callable[[], None]:
        def step() -> None:
            z = prior.codec.encode(image)
            step_direction, state[name] = method.step(
                z.detach(), guided, state.get(name), conditions=prior.conditions([TEXT]), progress=0.5, rng=rng
            )
            image.grad = None
            z.backward(gradient=step_direction.grad)

        return step

    return {"bare": bare, "sds": direction(sds, "sds"), "msd": direction(msd, "msd")}


def main() -> None:
    """Measures, prints and saves the results."""
    args = parse_args("Overhead of a direction under a pipeline over the bare call and the encoder.")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    results: dict[str, Any] = {"device": torch.cuda.get_device_name() if device == "cuda" else "cpu"}
    reached: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        torch.manual_seed(args.seed)
        side = {"tiny": 64, "sd-1.5-shaped": 512 if device == "cuda" else 128}
        makers: dict[str, Callable[[], ms.Pipeline]] = {
            "tiny": lambda: tiny_pipeline(Path(scratch) / "tiny", 64, device)
        }
        if not args.quick:
            makers["sd-1.5-shaped"] = lambda: full_size_pipeline(
                SHAPES["sd-1.5"], Path(scratch) / "full", side["sd-1.5-shaped"], device
            )
        for name, make in makers.items():
            prior = make()
            rounds = {"tiny": 5 if args.quick else 60, "sd-1.5-shaped": 9}[name]
            timings = time_alternately(tasks(prior, side[name]), rounds)
            over = {task: ratio(timings.wall, task, "bare") for task in ("sds", "msd")}
            results[name] = {
                "pixels": side[name],
                "numbers": sum(p.numel() for p in prior.network.parameters()),
                "seconds": {task: summarise(times) for task, times in timings.wall.items()},
                "over_bare": over,
                "over_bare_cpu": {task: ratio(timings.cpu, task, "bare") for task in ("sds", "msd")},
            }
            if device == "cuda":
                results[name]["peak_memory_mb"] = torch.cuda.max_memory_allocated() / 2**20
            reached |= {f"{name} {task}": row["median"] for task, row in over.items()}
            print(name, json.dumps({k: round(v["median"], 4) for k, v in over.items()}))
            del prior
    targets = {f"{name}, over bare": goal("<= 1.05", value, value <= 1.05) for name, value in reached.items()}
    save(args, results, targets)


if __name__ == "__main__":
    main()
