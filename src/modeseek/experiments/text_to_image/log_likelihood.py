"""How likely the prior itself holds the pictures that were made from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.text_to_image.jobs import JobResult
from modeseek.experiments.text_to_image.pictures import in_turn
from modeseek.priors.pipeline import Pipeline
from modeseek.reports.table import Column
from modeseek.rng import Streams
from modeseek.sampling.likelihood import log_likelihood

COLUMN = Column(
    "log_p", "Log p", "Log-likelihood of the picture's z given its prompt, without guidance, by the probability-flow "
    "ODE; nats a dimension of z; resampled by prompt. High for what is typical and for what is merely smooth.", ".3f",
    "high",
)  # fmt: skip


def log_p(
    prior: Pipeline, prompts: Sequence[str], jobs: Sequence[JobResult], steps: int, seed: int
) -> tuple[Float[Tensor, "n"], list[int]]:
    """`log p(z | prompt) / d` of every picture, and the number of its prompt.

    Args:
        prior: bare; its network must be differentiable.
        prompts: all of them.
        jobs: finished ones.
        steps: of Runge-Kutta; each takes 4 prior calls and as many vector-Jacobian products a picture.
        seed: of Hutchinson's probe, the same for every player.
    """
    values, numbers = [], []
    for image, items in in_turn(jobs):
        with torch.no_grad():
            z = prior.codec.encode(image.to(prior.device))
        cond = prior.encode([prompts[prompt] for prompt, _ in items])
        rng = Streams(seed, use="likelihood", items=tuple(2**20 * prompt + own for prompt, own in items))
        values.append(log_likelihood(prior, z, cond, rng=rng, steps=steps).cpu() / z[0].numel())
        numbers += [prompt for prompt, _ in items]
    return torch.cat(values), numbers
