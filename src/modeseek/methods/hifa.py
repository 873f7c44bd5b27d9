"""High-fidelity distillation in latent and image space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Annealed, Times
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import add_noise, sample_noised
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng


@dataclass(frozen=True)
class HiFA:
    """HiFA (Zhu, Zhuang and Koyejo 2023, arXiv 2305.18766): reconstruct the denoised latent and its picture.

    With z_hat the denoised point, `grad = w (z - z_hat)` and `grad_image = image_weight w (image - decode(z_hat))`.
    With one denoising step the latent part is SDS with weight `w sigma / alpha`. Nothing is decoded where
    `image_weight` is 0 (some copies decode every step all the same), and the decoder is never differentiated.

    `denoise_steps` calls of the given prior a row, and one decoding; guidance: pass a `Guided` prior (the authors:
    scale 100). Their regularizers (z-variance, depth) are regularizers of the loop here, not part of the method.

    Attributes:
        times: one level for all rows, falling with the square root of progress.
        weight: w(alpha, sigma) of both reconstructions (the authors' default is a constant).
        image_weight: of the image term against the latent one.
        denoise_steps: DDIM steps from z_t to z_hat; one is Tweedie's.
    """

    times: Times = Annealed(0.98, 0.3, 0.5)
    weight: Weight = unit_weight
    image_weight: float = 0.1
    denoise_steps: int = 1

    def __post_init__(self) -> None:
        if self.denoise_steps < 1 or not self.image_weight >= 0:
            raise ValueError(
                f"HiFA needs denoise_steps >= 1 and image_weight >= 0: got {self.denoise_steps} and "
                f"{self.image_weight}; fix them"
            )

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        return None

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: None,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, None]:
        """The direction; no state.

        Raises:
            ValueError: the image term is on and there is no context.
        """
        if self.image_weight > 0 and context is None:
            raise ValueError("HiFA's image term needs the context: got none; pass context=... or set image_weight=0")
        z = z.detach()
        start = sample_noised(z, prior, self.times, progress, rng)
        p = prior.at(start.z_t, start.alpha, start.sigma, conditions)
        for k in range(1, self.denoise_steps):
            level = prior.schedule(start.t * (1 - k / self.denoise_steps))
            p = prior.at(add_noise(p.z, p.eps, *level), *level, conditions)
        w = self.weight(start.alpha, start.sigma)
        grad_image = None
        if self.image_weight > 0 and context is not None:
            with torch.no_grad():
                picture = context.codec.decode(p.z)
            grad_image = self.image_weight * expand_like(w.to(picture), picture) * (context.image.detach() - picture)
        grad = expand_like(w, z) * (z - p.z)
        return Direction(grad, grad_image, t=start.t, eps=start.eps, prediction=p, logs={"t": start.t}), None
