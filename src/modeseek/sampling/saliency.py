"""Start of drawings: circles where a prompt changes the prediction of a prior most."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.codec.base import Codec
from modeseek.diffusion.prediction import expand_like
from modeseek.generators.vector.paths import Paths, circle, pixels_to_canvas
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.batched import predict_branches
from modeseek.priors.guidance import Guided
from modeseek.rng import Rng, at_step, rand, randn
from modeseek.sampling.samplers import ddim

_MIDDLE = 0.5  # time of the level at which predictions are compared
_RADII = (0.5, 0.08)  # of the first and the last circle, canvas units
_OPACITY = 0.7
_AGAIN = 0.25  # chance of a place within a circle, relative to its chance before


@torch.no_grad()
def saliency_start(
    prior: Prior,
    codec: Codec,
    conditions: Conditions,
    n: int,
    rng: Rng,
    *,
    size: tuple[int, int],
    paths: int,
    cubics: int = 4,
    steps: int = 8,
    draws: int = 4,
    scale: float = 3.0,
    background: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Paths:
    """Places circles where the prompt matters: where `|eps_cond - eps_null|` is large in the middle of sampling.

    `steps` guided DDIM steps down to the time 1/2 give a rough prediction; there, the difference of the two predictions
    is averaged over `draws` noises. Circles from large to small are drawn with a probability in proportion to its
    square, each less likely within those before, with the colour of the prediction at their centres. SVGDreamer (Xing
    et al. 2024, arXiv 2312.16476) samples places from attention maps instead; this needs no access to a network.

    Costs `2 steps + 2 draws` prior calls per drawing.

    Args:
        prior: unguided prior.
        codec: codec from its z to images.
        conditions: conditions with a baseline, one row per drawing or one for all.
        n: number of drawings, >= 1.
        rng: random numbers, one stream per drawing.
        size: (height, width) of the canvas, pixels.
        paths: number of circles of each drawing, >= 1.
        cubics: number of cubics of each, >= 2.
        steps: number of sampler steps down to the middle level, >= 1.
        draws: number of noises that are averaged, >= 1.
        scale: guidance scale of these steps.
        background: colour behind the circles.

    Raises:
        ValueError: a number out of its range, or conditions without a baseline.
    """
    if min(n, paths, steps, draws) < 1 or cubics < 2:
        raise ValueError(
            f"a saliency start needs n, paths, steps and draws >= 1 and cubics >= 2, got {n}, {paths}, {steps}, "
            f"{draws} and {cubics}; try 1, 24, 8, 4 and 4"
        )
    rng = at_step(rng, 0, tuple(range(n)), use="saliency")
    times = torch.linspace(1, _MIDDLE, steps + 1, dtype=prior.dtype, device=prior.device)
    alpha, sigma = prior.schedule(times[-1:].expand(n))
    z_t = ddim(Guided(prior, scale), prior.start(n, rng), times, conditions)
    difference, predicted = z_t.new_zeros(()), z_t.new_zeros(())
    for draw in range(draws):
        cond, base = predict_branches(prior, z_t, alpha, sigma, [conditions.positive, conditions.baseline])
        z = base.z + scale * (cond.z - base.z)
        difference = difference + (cond.eps - base.eps).flatten(2).square().sum(1).sqrt() / draws
        predicted = predicted + z / draws
        if draw + 1 < draws:
            z_t = expand_like(alpha, z) * z + expand_like(sigma, z) * randn(tuple(z.shape), rng, z)
    saliency = difference.reshape(n, 1, *predicted.shape[2:]).float()
    saliency = nn.functional.interpolate(saliency, size, mode="bilinear", align_corners=False)[:, 0]
    image = nn.functional.interpolate(
        codec.decode(predicted).float().clamp(0, 1), size, mode="bilinear", align_corners=False, antialias=True
    )
    return _circles(saliency, image, rng, paths, cubics, background)


def _circles(
    saliency: Float[Tensor, "n h w"],
    image: Float[Tensor, "n 3 h w"],
    rng: Rng,
    paths: int,
    cubics: int,
    background: tuple[float, float, float],
) -> Paths:
    """Circles at places drawn in proportion to the squared saliency, the largest at the bottom."""
    n, height, width = saliency.shape
    radii = torch.logspace(0, 1, paths, base=_RADII[1] / _RADII[0], dtype=torch.float64) * _RADII[0]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([columns, rows], -1).flatten(0, 1).double() + 0.5
    places = pixels_to_canvas(pixels, (height, width))
    chance = saliency.flatten(1).square().cpu().double() + 1e-12
    draws = rand((n, paths), rng, image.new_empty(0, dtype=torch.float64)).cpu()
    picked: list[Tensor] = []
    for draw, radius in zip(draws.unbind(1), radii, strict=True):
        total = chance.cumsum(1)
        found = torch.searchsorted(total, (draw[:, None] * total[:, -1:])).clamp(max=height * width - 1)
        inside = (places[None] - places[found]).norm(dim=-1) < radius
        chance = torch.where(inside, _AGAIN * chance, chance)
        picked.append(found)
    found = torch.cat(picked, 1)
    circles = circle(places[found], radii.expand(n, -1), cubics).to(image)
    colors = image.flatten(2).gather(2, found.to(image.device)[:, None].expand(-1, 3, -1)).mT
    return Paths(
        circles,
        image.new_zeros(n, 0, 4, 2),
        image.new_zeros(n, 0),
        torch.cat([colors, torch.full_like(colors[..., :1], _OPACITY)], -1),
        torch.arange(paths, device=image.device).expand(n, -1).clone(),
        torch.zeros(n, paths, dtype=torch.bool, device=image.device),
        image.new_tensor(background).expand(n, 3).clone(),
    )
