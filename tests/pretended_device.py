"""A pretended accelerator: torch's meta device, on which nothing is computed and every read of a value is an error.

Shapes, dtypes and devices are followed: an operation on tensors of two devices is an error, as on CUDA. Random draws
become empty tensors on the device that they are for. What copies from the CPU would wait there, too, and is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_stack
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import modeseek as ms
from modeseek import rng as rng_module
from modeseek.diffusion.prediction import Prediction
from modeseek.priors.base import BasePrior, positive_condition
from modeseek.priors.pipeline.readings import IndexReading

DEVICE = torch.device("meta")
_PACKAGE = Path(ms.__file__).parent


class Copies(TorchDispatchMode):
    """Counts copies from the CPU to the pretended device that wait, by the innermost lines of the package."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_):
            source = args[1] if func.overloadpacket is torch.ops.aten.copy_ else args[0]
            asynchronous = kwargs.get("non_blocking") or (len(args) > 2 and args[2])
            if source.is_cpu and out.is_meta and not asynchronous:
                self.found[" < ".join(lines_of_package())] += 1
        return out


def lines_of_package(n: int = 3) -> list[str]:
    """The innermost lines of the package on the stack, the innermost first."""
    frames = [f for f in extract_stack() if Path(f.filename).is_relative_to(_PACKAGE)]
    return [f"{Path(f.filename).relative_to(_PACKAGE)}:{f.lineno}" for f in reversed(frames[-n:])]


@contextmanager
def pretended_device() -> Iterator[Copies]:
    """Within it, draws for `DEVICE` are empty tensors; yields the copies to it."""
    original = rng_module._draw

    def draw(draw, shape, rng, device):
        return torch.empty(shape, device=device) if device == DEVICE else original(draw, shape, rng, device)

    with mock.patch.object(rng_module, "_draw", draw), Copies() as copies:
        yield copies


class IndexedNetwork(BasePrior):
    """Noise-predicting network of one convolution, conditioned on embeddings, as a pipeline reads its own."""

    def __init__(self, device: torch.device | str = DEVICE, channels: int = 4, side: int = 8) -> None:
        levels = ms.schedules.Discrete(tuple(8 - 12 * i / 49 for i in range(50)))
        self.reading = IndexReading(levels, "eps")
        self.schedule, self.shape, self.dtype = levels, (channels, side, side), torch.float32
        self.device = torch.device(device)
        self.network = nn.Conv2d(channels, channels, 3, padding=1, device=device)

    @property
    def n_classes(self) -> int:
        return 1

    def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond=None) -> Prediction:
        embedding = positive_condition(cond)

        def call(z: Tensor, timestep: Tensor) -> Tensor:
            out = self.network(z) + 1e-3 * timestep.float()[:, None, None, None]
            return (
                out
                if embedding is None
                else out + embedding.float().reshape(len(embedding), -1).mean(1)[:, None, None, None]
            )

        return self.reading.predict(call, z_t, alpha, sigma)
