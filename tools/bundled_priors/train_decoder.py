"""Training stage of the decoder: autoencoder between pixels and latents."""

from __future__ import annotations

import torch
from torch import Tensor

from tools.bundled_priors.example_pool import Examples
from tools.bundled_priors.losses import psnr, reconstruction_loss
from tools.bundled_priors.model import ModelParts
from tools.bundled_priors.patch_pca import patch_components, write_encoder
from tools.bundled_priors.recipe import StageRecipe, TrainingRecipe
from tools.bundled_priors.sources import DataSource
from tools.bundled_priors.stage_trainer import ImageStageTrainer


class DecoderTrainer(ImageStageTrainer):
    """Trainer of the decoder; the encoder is fixed to principal components of image patches."""

    name, trains, measure = "autoencoder", "decoder", "psnr"

    def __init__(
        self, recipe: TrainingRecipe, stage: StageRecipe, device: torch.device, source: DataSource, parts: ModelParts
    ) -> None:
        components = patch_components(source.images(recipe.fitted), recipe.model.patch, recipe.model.latent)
        write_encoder(parts.vae.cpu(), components)
        self.vae = parts.vae.to(device).train()
        self.vae.encoder.requires_grad_(False)
        super().__init__(recipe, stage, device, source, parts, {"decoder": self.vae.decoder})

    def encode(self, image: Tensor, tokens: Tensor) -> Examples:
        return {"image": (255 * image).round().byte()}

    def add_noise(self, examples: Examples, rng: torch.Generator) -> Examples:
        model = self.recipe.model
        shape = (len(examples["image"]), model.latent, model.side, model.side)
        return examples | {"eps": torch.randn(shape, generator=rng, device=rng.device)}

    def prepare(self, examples: Examples) -> Examples:
        image = examples["image"].float() / 127.5 - 1
        jitter = self.recipe.jitter / self.vae.config.scaling_factor
        return {"image": image, "z": self.vae.encode(image).latents + jitter * examples["eps"]}

    def loss(self, inputs: Examples) -> Tensor:
        with self.autocast():
            prediction = self.vae.decode(inputs["z"]).sample
        return reconstruction_loss(prediction, inputs["image"], self.recipe.edge)

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """PSNR of held-out images, in full precision."""
        image = self.held_out_examples()["image"].float() / 255
        predictions = [self.vae.decode(self.vae.encode(2 * part - 1).latents).sample for part in image.split(64)]
        return {self.measure: psnr(torch.cat(predictions) / 2 + 0.5, image)}
