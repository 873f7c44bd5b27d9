"""HiFA: distillation in latent and image space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from modeseek.diffusion.noise_levels import Annealed, Times
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput, add_noise


@dataclass(frozen=True)
class HiFA(NoisingMethod):
    """HiFA (Zhu, Zhuang and Koyejo 2023, arXiv 2305.18766): reconstruction of the denoised latent and its image.

    With z_hat the denoised point, `grad = w (z - z_hat)` and `grad_image = image_weight w (image - decode(z_hat))`.
    With one denoising step the latent term is SDS with weight `w sigma / alpha`. Nothing is decoded if
    `image_weight` is 0 (some reimplementations decode every step regardless), and the decoder is never
    differentiated.

    Costs `denoise_steps` prior calls per row and one decoding; guidance: pass a `Guided` prior (the authors:
    scale 100). Their regularizers (z-variance, depth) are regularizers of `distill`, not part of the method.

    Attributes:
        times: t in [0, 1] as a function of progress; by default equal for all rows, falling with its square root.
        weight: loss weight w(alpha, sigma) of both terms (the authors' default is a constant).
        image_weight: weight of the image term relative to the latent term, >= 0.
        denoise_steps: DDIM steps from z_t to z_hat, >= 1; one step is Tweedie's formula.
    """

    references: ClassVar[tuple[str, ...]] = ("hifa",)
    guides: ClassVar[bool] = False
    times: Times = Annealed(0.98, 0.3, 0.5)
    weight: Weight = unit_weight
    image_weight: float = 0.1
    denoise_steps: int = 1

    def __post_init__(self) -> None:
        if self.denoise_steps < 1 or not self.image_weight >= 0:
            raise ValueError(
                f"HiFA needs denoise_steps >= 1 and image_weight >= 0, got {self.denoise_steps} and {self.image_weight}"
            )

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        """Returns the direction at the noised points; ValueError if image_weight > 0 and there is no context."""
        context, conditions = inputs.context, inputs.conditions
        if self.image_weight > 0 and context is None:
            raise ValueError("HiFA's image term needs a context, got none; try context=... or image_weight=0")
        p = noised.predict(inputs.prior, conditions)
        for k in range(1, self.denoise_steps):
            level = inputs.prior.schedule(noised.t * (1 - k / self.denoise_steps))
            p = inputs.prior.at(add_noise(p.z, p.eps, *level), *level, conditions)
        direction = noised.direction(self.weight, noised.z - p.z, p)
        if self.image_weight == 0 or context is None:
            return direction
        with torch.no_grad():
            decoded = context.codec.decode(p.z)
        w = expand_like(self.weight(noised.alpha, noised.sigma).to(decoded), decoded)
        return replace(direction, grad_image=self.image_weight * w * (context.image.detach() - decoded))
