"""Third training stage: text-conditional denoiser of latents."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from tools.bundled_priors.ema import update_average
from tools.bundled_priors.example_pool import Examples
from tools.bundled_priors.losses import velocity_loss
from tools.bundled_priors.model import ModelParts, alpha_squared_levels, use_plain_attention
from tools.bundled_priors.muon import MatrixMuon, split_parameters
from tools.bundled_priors.recipe import TrainingRecipe
from tools.bundled_priors.stage_trainer import ImageStageTrainer, adamw

_PLAIN = ("conv_in", "conv_out", "time_embedding", "add_embedding")  # optimised by AdamW


class DenoiserTrainer(ImageStageTrainer):
    """Trainer of the denoiser; text encoder and autoencoder are frozen.

    Attributes:
        average: denoiser with the moving average of the weights, for sampling.
    """

    def __init__(self, recipe: TrainingRecipe, parts: ModelParts, device: torch.device) -> None:
        self.parts = parts
        self.vae = parts.vae.to(device).eval().requires_grad_(False)
        self.encoder = parts.text_encoder.to(device).eval().requires_grad_(False)
        self.unet = parts.unet.to(device).train()
        self.average: Any = copy.deepcopy(self.unet).eval().requires_grad_(False)
        if device.type == "cpu":
            for module in (self.encoder, self.unet, self.average):
                use_plain_attention(module)
        self.levels = alpha_squared_levels().to(device)
        self.null = parts.tokens([""])
        super().__init__("network", recipe, recipe.network, device, {"unet": self.unet})

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        matrices, others = split_parameters(self.unet, plain=_PLAIN)
        return [MatrixMuon(matrices, self.recipe.stretch), adamw(others)]

    def encode_examples(self, image: Tensor, captions: list[str]) -> Examples:
        with torch.no_grad():
            parts = [self.vae.encode(2 * part.to(self.device) - 1).latents for part in image.split(64)]
        z = self.vae.config.scaling_factor * torch.cat(parts)
        return {"z": z.to("cpu", torch.float16), "tokens": self.parts.tokens(captions).int()}

    def add_noise(self, examples: Examples) -> Examples:
        z = examples["z"].float()
        share = torch.rand(len(z), generator=self.noise_rng) ** self.recipe.lean
        index = (len(self.levels) * share).long().clamp(max=len(self.levels) - 1)
        dropped = torch.rand(len(z), generator=self.noise_rng) < self.recipe.drop
        tokens = torch.where(dropped[:, None], self.null, examples["tokens"].long())
        return {"z": z, "tokens": tokens, "eps": torch.randn(z.shape, generator=self.noise_rng), "index": index}

    def loss(self, examples: Examples) -> Tensor:
        return self._losses(self.unet, **examples).mean()

    def train_step(self, progress: float) -> float:
        loss = super().train_step(progress)
        update_average(self.average, self.unet, self.step - 1, self.recipe.decay)
        return loss

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Loss of the averaged network on held-out scenes with fixed noise, and its means over three noise ranges."""
        examples = self.held_out_examples()
        z, tokens = examples["z"].float(), examples["tokens"].long()
        rng = torch.Generator().manual_seed(self.recipe.seed)
        index = (torch.arange(len(z)) * len(self.levels) // len(z)).to(self.device)
        eps = torch.randn(z.shape, generator=rng).to(self.device)
        parts = zip(z.split(64), tokens.split(64), eps.split(64), index.split(64), strict=True)
        losses = torch.cat([self._losses(self.average, *part) for part in parts])
        low, middle, high = (part.mean().item() for part in losses.tensor_split(3))
        return {"held_out": losses.mean().item(), "little": low, "some": middle, "much": high}

    def checkpoint_state(self) -> dict[str, Any]:
        return super().checkpoint_state() | {"average": self.average}

    def averaged_model(self) -> ModelParts:
        """Model with the averaged denoiser, for sampling."""
        return ModelParts(self.parts.tokenizer, self.encoder, self.vae, self.average)

    def _losses(self, unet: Any, z: Tensor, tokens: Tensor, eps: Tensor, index: Tensor) -> Tensor:
        with self.autocast():
            with torch.no_grad():
                text_embeddings = self.encoder(tokens)[0]
            return velocity_loss(unet, text_embeddings, z, eps, index, self.levels)
