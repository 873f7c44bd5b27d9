"""Samples of images from a prior, the likeliest of several under their prompt."""

from __future__ import annotations

from collections.abc import Generator

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.codec.base import Codec
from modeseek.diffusion.prediction import expand_like
from modeseek.io.progress import Progress
from modeseek.priors.base import Conditions, Prior, positive_condition
from modeseek.priors.guidance import Guided, check_scale
from modeseek.pytree import Cond
from modeseek.rng import Rng, at_step, randn
from modeseek.sampling.samplers import ddim

_TIMES = (0.2, 0.4, 0.6, 0.8)  # of the levels at which samples are compared
_DRAWS = 2  # noises per level


def sample_images(
    prior: Prior,
    codec: Codec,
    conditions: Conditions | None,
    n: int,
    rng: Rng,
    *,
    steps: int = 25,
    scale: float = 1.0,
    candidates: int = 1,
) -> Generator[Progress, None, Float[Tensor, "n 3 h w"]]:
    """Samples n images by DDIM, each the likeliest of its candidates by `denoising_loss` under its condition.

    Costs `steps` prior calls per candidate of each image, twice that under guidance, and 8 more to compare it where
    there are several.

    Args:
        prior: unguided prior.
        codec: codec from its z to images.
        conditions: conditions, one row per image or one for all; None for a prior without.
        n: number of images, >= 1.
        rng: random numbers; each image has a stream of its own, candidates of an image draw one after another.
        steps: number of steps of the sampler, >= 1.
        scale: guidance scale; 1 is none.
        candidates: number of candidates of each image, >= 1.

    Yields:
        Progress after each step.

    Returns:
        Images, pixels in [0, 1], (n, 3, h, w).

    Raises:
        ValueError: a number out of its range, or samples that are not finite.
    """
    check_scale(scale)
    if n < 1 or steps < 1 or candidates < 1:
        raise ValueError(f"samples need n, steps and candidates >= 1, got {n}, {steps} and {candidates}; try 1, 25, 4")
    positive = positive_condition(conditions)
    guided, cond = (prior, positive) if scale == 1 or conditions is None else (Guided(prior, scale), conditions)
    times, items = prior.grid(steps), tuple(range(n))
    found: list[Tensor] = []
    for candidate in range(candidates):
        z = prior.start(n, at_step(rng, candidate, items, use="sample"))
        for step in range(steps):
            with torch.no_grad():  # not around the yield: the caller may need gradients in between
                z = ddim(guided, z, times[step : step + 2], cond)
            yield Progress("sampling", candidate * steps + step + 1, candidates * steps)
        found.append(z)
    samples = torch.stack(found)
    if not samples.isfinite().all():
        raise ValueError("samples must be finite, got NaN or infinity; lower the scale, or try another dtype")
    best = torch.zeros(n, dtype=torch.long, device=samples.device)
    if candidates > 1:
        best = denoising_loss(prior, samples, positive, at_step(rng, 0, items, use="compare")).argmin(0)
    samples = samples[best, torch.arange(n, device=samples.device)]
    with torch.no_grad():
        return codec.decode(samples).float().clamp(0, 1)


@torch.no_grad()
def denoising_loss(prior: Prior, samples: Float[Tensor, "c n *d"], cond: Cond, rng: Rng) -> Float[Tensor, "c n"]:
    """Mean squared error of the predicted noise, over 4 noise levels and 2 noises that all candidates share.

    Its weighted integral over levels bounds the negative log-likelihood (Ho et al. 2020, arXiv 2006.11239); shared
    noises cancel in comparisons (Li et al. 2023, arXiv 2303.16203). Costs 8 prior calls per sample.

    Args:
        prior: unguided prior.
        samples: z of c candidates of each of n items.
        cond: condition, one row per item or one for all.
        rng: random numbers, a stream per item.
    """
    losses = torch.zeros(samples.shape[:2], dtype=torch.float64, device=samples.device)
    for t in _TIMES:
        alpha, sigma = prior.schedule(torch.full((samples.shape[1],), t, dtype=prior.dtype, device=samples.device))
        for _ in range(_DRAWS):
            noise = randn(tuple(samples.shape[1:]), rng, samples)
            for candidate, z in enumerate(samples):
                z_t = expand_like(alpha, z) * z + expand_like(sigma, z) * noise
                error = prior.at(z_t, alpha, sigma, cond).eps - noise
                losses[candidate] += error.flatten(1).square().mean(1) / (len(_TIMES) * _DRAWS)
    return losses
