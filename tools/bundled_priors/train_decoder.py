"""Second training stage: autoencoder between pixels and latents."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tools.bundled_priors.example_pool import Examples
from tools.bundled_priors.losses import psnr, reconstruction_loss
from tools.bundled_priors.patch_pca import patch_components, write_encoder
from tools.bundled_priors.recipe import TrainingRecipe
from tools.bundled_priors.stage_trainer import ImageStageTrainer


class DecoderTrainer(ImageStageTrainer):
    """Trainer of the decoder; the encoder is fixed to principal components of render patches."""

    def __init__(self, recipe: TrainingRecipe, vae: Any, device: torch.device) -> None:
        self.vae = vae.to(device).train()
        self.vae.encoder.requires_grad_(False)
        super().__init__("autoencoder", recipe, recipe.autoencoder, device, {"decoder": self.vae.decoder})
        images = self.renderer.batch(recipe.fitted, torch.Generator().manual_seed(recipe.seed + 1)).image
        write_encoder(self.vae, patch_components(images, recipe.model.patch, recipe.model.latent))

    def encode_examples(self, image: Tensor, captions: list[str]) -> Examples:
        return {"image": (255 * image).round().byte()}

    def add_noise(self, examples: Examples) -> Examples:
        model = self.recipe.model
        shape = (len(examples["image"]), model.latent, model.side, model.side)
        return examples | {"eps": torch.randn(shape, generator=self.noise_rng)}

    def loss(self, examples: Examples) -> Tensor:
        image = examples["image"].float() / 127.5 - 1
        with torch.no_grad():
            z = self.vae.encode(image).latents
        z = z + self.recipe.jitter / self.vae.config.scaling_factor * examples["eps"]
        with self.autocast():
            prediction = self.vae.decode(z).sample
        return reconstruction_loss(prediction, image, self.recipe.edge)

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """PSNR of held-out images, in full precision."""
        image = self.held_out_examples()["image"].float() / 255
        predictions = [self.vae.decode(self.vae.encode(2 * part - 1).latents).sample for part in image.split(64)]
        return {"psnr": psnr(torch.cat(predictions) / 2 + 0.5, image)}
