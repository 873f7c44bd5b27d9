"""Memory requirements of a pipeline, and a timed SDS direction, for `modeseek doctor --prior`."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from modeseek.config.priors import PipelinePriorConfig
from modeseek.methods.sds import SDS
from modeseek.priors.guidance import Guided
from modeseek.priors.pipeline.requirements import read_requirements


def describe_pipeline(source: PipelinePriorConfig, device: str, free: float, try_it: bool) -> Iterator[str]:
    """Yields lines on a pipeline: shapes, parts, memory, advice, and a timed direction.

    Args:
        source: configuration of the pipeline.
        device: device to run it on.
        free: free memory of that device, bytes.
        try_it: whether to load it and time one guided SDS direction from pixels.

    Raises:
        ValueError: there is no such pipeline.
    """
    dtype = getattr(torch, source.dtype or ("bfloat16" if torch.device(device).type == "cuda" else "float32"))
    requirements = read_requirements(source.path, dtype, source.size, source.config)
    height, width = requirements.pixels
    shape = " x ".join(map(str, requirements.shape))
    yield f"pipeline   {requirements.kind}, {height} x {width} pixels, z {shape}"
    for part in requirements.components:
        yield (
            f"part       {part.name} ({part.kind}): {part.n_parameters / 1e6:.3g} M numbers, {_size(part.bytes)}, "
            f"in memory when {part.phase}; from {part.weights} ({part.stored})"
        )
    for name in requirements.absent:
        yield f"part       {name}: none (null in model_index.json); zeros stand for it, as in diffusers"
    for name in requirements.unused:
        yield f"part       {name}: never loaded"
    yield "weights    every key of every part is there; scheduler, tokenizers and configurations are supported"
    weights = requirements.bytes_in_phase("optimising")
    encoding = weights + requirements.bytes_in_phase("encoding a new text")
    yield (
        f"memory     {_size(weights)} of weights while optimising, {_size(encoding)} while a new text is encoded; "
        f"{_size(free)} free on {device}; plus activations"
    )
    yield from _advice(weights, encoding, free)
    if try_it:
        yield f"direction  {_time_direction(source, device)}"


def _advice(weights: int, encoding: int, free: float) -> Iterator[str]:
    if weights > 0.8 * free:
        yield (
            "advice     the weights need most of the free memory: use half precision, "
            "prior.pipeline.economy.offload=blocks or leaves (smaller, slower), and economy.recompute=true for pixels "
            "through the autoencoder"
        )
    elif encoding > 0.8 * free:
        yield "advice     encode the prompts on a machine with more memory and copy its cache folder"


def _size(n: float | int) -> str:
    return f"{n / 2**30:.2f} GiB" if n >= 2**30 else f"{n / 2**20:.2f} MiB"


def _time_direction(source: PipelinePriorConfig, device: str) -> str:
    prior = source.pipeline(device)
    began = time.perf_counter()
    conditions = prior.conditions(["a test"])
    encoding = time.perf_counter() - began
    loaded_on, cuda = prior.device, torch.device(device).type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(loaded_on)
    height, width = read_requirements(source.path, size=source.size, config=source.config).pixels
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)).to(loaded_on).requires_grad_()
    rng, seconds = torch.Generator(loaded_on).manual_seed(0), []
    for _ in range(2):  # the first is a warm-up
        began = time.perf_counter()
        z = prior.codec.encode(image)
        direction, _ = SDS().step(z.detach(), Guided(prior, 7.5), None, conditions=conditions, progress=0.5, rng=rng)
        z.backward(gradient=direction.grad)
        if cuda:
            torch.cuda.synchronize(loaded_on)
        seconds.append(time.perf_counter() - began)
    peak = f", peak {_size(torch.cuda.max_memory_allocated(loaded_on))}" if cuda else ""
    return f"guided SDS from pixels in {seconds[-1]:.2f} s{peak}; prompt encoded or cached in {encoding:.1f} s"
