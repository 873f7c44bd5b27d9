"""The first stage: pixels to a small z and back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modeseek.priors.pipeline.small import whiten
from modeseek.runs.scenes.loss import divergence, psnr, reconstruction_loss
from modeseek.runs.scenes.pool import Examples
from modeseek.runs.scenes.recipe import Recipe
from modeseek.runs.scenes.stage import Training

_MEASURED = 1024  # pictures that z's mean and deviation are measured on


class Autoencoding(Training):
    """Trains the autoencoder on reconstructions from noisy z, so that z is smooth."""

    def __init__(self, recipe: Recipe, vae: Any, device: torch.device) -> None:
        self.vae = vae.to(device).train()
        super().__init__("autoencoder", recipe, recipe.autoencoder, device, {"vae": self.vae})

    def make(self, n: int) -> Examples:
        shots = self.world.batch(n, self.scenes)
        return self.examples(shots.image, shots.captions)

    def examples(self, image: Tensor, captions: list[str]) -> Examples:
        return {"image": (255 * image).round().byte()}

    def noised(self, examples: Examples) -> Examples:
        model = self.recipe.model
        shape = (len(examples["image"]), model.latent, model.side, model.side)
        return examples | {"eps": torch.randn(shape, generator=self.noise)}

    def loss(self, examples: Examples) -> Tensor:
        image = examples["image"].float() / 127.5 - 1
        with self.half():
            mean, log_var = self._moments(image)
            z = mean + (0.5 * log_var).exp() * examples["eps"]
            answer = self.vae.decode(z, return_dict=False)[0]
        loss = reconstruction_loss(answer, image, self.recipe.edge)
        return loss + self.recipe.kl * divergence(mean, log_var)

    @torch.no_grad()
    def test(self) -> dict[str, float]:
        """PSNR of held-out pictures, in full precision."""
        image = self.tested()["image"].float() / 255
        answers = []
        for part in image.split(64):
            mean, _ = self._moments(2 * part - 1)
            answers.append(self.vae.decode(mean, return_dict=False)[0] / 2 + 0.5)
        return {"psnr": psnr(torch.cat(answers), image)}

    @torch.no_grad()
    def finish(self) -> None:
        """Gives z mean 0 and standard deviation 1 in every channel."""
        rows = self.pool.draw(_MEASURED, self.noise)["image"].to(self.device)
        z = torch.cat([self._moments(part.float() / 127.5 - 1)[0] for part in rows.split(64)])
        whiten(self.vae, z.mean((0, 2, 3)), z.std((0, 2, 3)))

    def _moments(self, image: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = self.vae.encode(image, return_dict=False)[0].parameters.float().chunk(2, 1)
        return mean, log_var.clamp(-30, 20)
