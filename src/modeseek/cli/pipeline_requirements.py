"""What `modeseek doctor --prior` says of a pipeline: its weights, and one direction tried."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from modeseek.config.priors import PipelinePriorConfig
from modeseek.methods.sds import SDS
from modeseek.priors.guidance import Guided
from modeseek.priors.pipeline.requirements import read_requirements


def describe_pipeline(source: PipelinePriorConfig, device: str, free: float, try_it: bool) -> Iterator[str]:
    """Lines about a pipeline.

    Args:
        source: the pipeline and its settings.
        device: where it shall work.
        free: bytes that are free there.
        try_it: load it, and make one guided SDS direction from pixels.

    Raises:
        ValueError: no such pipeline.
    """
    dtype = getattr(torch, source.dtype or ("bfloat16" if torch.device(device).type == "cuda" else "float32"))
    told = read_requirements(source.path, dtype, source.size)
    yield f"pipeline   {told.kind}, {told.pixels[0]} x {told.pixels[1]} pixels, z {' x '.join(map(str, told.shape))}"
    for part in told.components:
        yield (
            f"part       {part.name} ({part.kind}): {part.n_parameters / 1e6:.3g} M numbers, {_size(part.bytes)}, "
            f"in memory {'when ' if part.phase != 'never' else ''}{part.phase}"
        )
    weights = told.bytes_in_phase("optimising")
    words = weights + told.bytes_in_phase("encoding a new text")
    yield (
        f"memory     {_size(weights)} of weights while optimising, {_size(words)} while a new text is encoded; "
        f"{_size(free)} free on {device}; activations come on top"
    )
    yield from _advice(weights, words, free)
    if try_it:
        yield f"direction  {_tried(source, device)}"


def _advice(weights: int, words: int, free: float) -> Iterator[str]:
    if weights > 0.8 * free:
        yield (
            "advice     the weights hardly fit: use half precision, prior.pipeline.economy.offload=blocks or leaves "
            "(smaller, slower), and economy.recompute=true for pixels through the autoencoder"
        )
    elif words > 0.8 * free:
        yield "advice     encode the texts once on a machine with more memory: the cache folder can be carried over"


def _size(n: float | int) -> str:
    return f"{n / 2**30:.2f} GiB" if n >= 2**30 else f"{n / 2**20:.2f} MiB"


def _tried(source: PipelinePriorConfig, device: str) -> str:
    prior = source.pipeline(device)
    encoded = time.perf_counter()
    told = prior.conditions(["a test"])
    encoded = time.perf_counter() - encoded
    where, cuda = prior.device, torch.device(device).type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(where)
    height, width = read_requirements(source.path, size=source.size).pixels
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)).to(where).requires_grad_()
    rng, seconds = torch.Generator(where).manual_seed(0), []
    for _ in range(2):  # the first also warms up
        began = time.perf_counter()
        z = prior.codec.encode(image)
        found, _ = SDS().step(z.detach(), Guided(prior, 7.5), None, conditions=told, progress=0.5, rng=rng)
        z.backward(gradient=found.grad)
        if cuda:
            torch.cuda.synchronize(where)
        seconds.append(time.perf_counter() - began)
    peak = f", peak {_size(torch.cuda.max_memory_allocated(where))}" if cuda else ""
    return f"guided SDS from pixels in {seconds[-1]:.2f} s{peak}; texts encoded or found in {encoded:.1f} s"
