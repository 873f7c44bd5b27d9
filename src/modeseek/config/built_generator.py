"""Initialised generators of a configuration, and the prior and conditions on which an initialisation may depend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.codec import Codec
from modeseek.generators.base import BaseGenerator, View
from modeseek.io.progress import Progress
from modeseek.priors.base import Conditions, Prior

G_co = TypeVar("G_co", bound=BaseGenerator, covariant=True)


DistillStart = Callable[
    [BaseGenerator, Codec, int, torch.optim.Optimizer, Callable[[float], float], int], Iterator[Progress]
]


@dataclass(frozen=True)
class StartContext:
    """Prior and conditions of a run, for initial parameters that are computed from them.

    Attributes:
        prior: prior without guidance, which counts its calls.
        conditions: conditions of the run: fixed, a function of the view, or None.
        guidance: guidance scale of the run; 1 is none.
        codec: map between images and z, which shifts nothing.
        seed: random seed of the run.
        distill: function that optimises another generator under them by the run's method, for a start that is
            distilled itself: of generator, codec, batch size, optimizer, learning rate by progress, and steps.
    """

    prior: Prior
    conditions: Conditions | Callable[[View], Conditions] | None
    guidance: float
    codec: Codec
    seed: int
    distill: DistillStart


Initialize = Callable[[StartContext], Iterator[Progress]]
"""Function that sets initial parameters of a generator, and yields progress."""


@dataclass(frozen=True)
class BuiltGenerator(Generic[G_co]):
    """Initialised generator with its codec and batch size.

    Attributes:
        module: generator module, theta -> image.
        codec: map between its images and z.
        batch: number of items per step, >= 1.
        pixels: whether it renders pixels in [0, 1], which guards can check.
        initialize: function that sets initial parameters which depend on the prior; a run calls it once, before its
            first step. None: the module has its initial parameters.
        sources: images that it starts from, one per item, in [0, 1]; None: from noise.
    """

    module: G_co
    codec: Codec
    batch: int
    pixels: bool
    initialize: Initialize | None = None
    sources: Float[Tensor, "n c h w"] | None = None
