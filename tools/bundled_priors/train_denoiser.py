"""Last training stage: text-conditional denoiser of latents, alone or together with the text encoder."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tools.bundled_priors.example_pool import Examples
from tools.bundled_priors.losses import velocity_loss
from tools.bundled_priors.model import ModelParts, alpha_squared_levels, use_plain_attention
from tools.bundled_priors.muon import BatchedMuon, split_parameters
from tools.bundled_priors.recipe import StageRecipe, TrainingRecipe
from tools.bundled_priors.sources import DataSource
from tools.bundled_priors.stage_trainer import ImageStageTrainer
from tools.bundled_priors.update import adamw

_PLAIN = ("conv_in", "conv_out", "time_embedding", "add_embedding")  # optimised by AdamW
_BLOCK = 256  # images encoded at a time


class DenoiserTrainer(ImageStageTrainer):
    """Trainer of the denoiser with Muon and AdamW; the autoencoder is frozen.

    Args:
        recipe: hyperparameters of the whole training.
        stage: hyperparameters of this stage.
        device: training device.
        source: captioned images.
        parts: components of the model.
        frozen_text: whether the text encoder is frozen; otherwise AdamW trains it beside the denoiser.
    """

    name, measure = "network", "held_out"

    def __init__(
        self,
        recipe: TrainingRecipe,
        stage: StageRecipe,
        device: torch.device,
        source: DataSource,
        parts: ModelParts,
        frozen_text: bool,
    ) -> None:
        self.vae = parts.vae.to(device).eval().requires_grad_(False)
        self.unet = parts.unet.to(device).train()
        self.encoder = parts.text_encoder.to(device).train(not frozen_text).requires_grad_(not frozen_text)
        self.frozen_text = frozen_text
        self.trains = "denoiser" if frozen_text else "text encoder and denoiser"
        modules: dict[str, Any] = {"unet": self.unet} | ({} if frozen_text else {"encoder": self.encoder})
        averages = {name: copy.deepcopy(module).eval().requires_grad_(False) for name, module in modules.items()}
        self.average_unet = averages["unet"]
        self.average_encoder = averages.get("encoder", self.encoder)
        if device.type == "cpu":
            for module in (self.encoder, self.unet, *averages.values()):
                use_plain_attention(module)
        self.levels = alpha_squared_levels().to(device)
        self.null = parts.tokens([""]).to(device)
        super().__init__(recipe, stage, device, source, parts, modules, averages)

    def make_optimizers(self) -> Sequence[torch.optim.Optimizer]:
        matrices, others = split_parameters(self.unet, plain=_PLAIN)
        text = [] if self.frozen_text else [adamw(list(self.encoder.parameters()))]
        return [BatchedMuon(matrices, self.recipe.stretch), adamw(others), *text]

    @torch.no_grad()
    def encode(self, image: Tensor, tokens: Tensor) -> Examples:
        z = torch.cat([self.vae.encode(2 * part - 1).latents for part in image.split(_BLOCK)])
        return {"z": (self.vae.config.scaling_factor * z).half(), "tokens": tokens.int()}

    def add_noise(self, examples: Examples, rng: torch.Generator) -> Examples:
        z, n = examples["z"].float(), len(examples["z"])
        share = torch.rand(n, generator=rng, device=rng.device) ** self.recipe.lean
        index = (len(self.levels) * share).long().clamp(max=len(self.levels) - 1)
        dropped = torch.rand(n, generator=rng, device=rng.device) < self.recipe.drop
        tokens = torch.where(dropped[:, None], self.null, examples["tokens"].long())
        eps = torch.randn(z.shape, generator=rng, device=rng.device)
        return {"z": z, "tokens": tokens, "eps": eps, "index": index}

    def prepare(self, examples: Examples) -> Examples:
        """Embeds the captions if the text encoder is frozen."""
        if not self.frozen_text:
            return examples
        with self.autocast():
            embeddings = self.encoder(examples["tokens"])[0]
        return {name: examples[name] for name in ("z", "eps", "index")} | {"text_embeddings": embeddings}

    def loss(self, inputs: Examples) -> Tensor:
        with self.autocast():
            embeddings = inputs["text_embeddings"] if self.frozen_text else self.encoder(inputs["tokens"])[0]
            z, eps, index = (inputs[name] for name in ("z", "eps", "index"))
            return velocity_loss(self.unet, embeddings, z, eps, index, self.levels).mean()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Loss of the averaged network on held-out images with fixed noise, and its means over three noise ranges."""
        examples = self.held_out_examples()
        z, tokens = examples["z"].float(), examples["tokens"].long()
        rng = torch.Generator().manual_seed(self.recipe.seed)
        order = torch.randperm(len(z), generator=rng)  # neighbours of a set of drawings are alike
        index = (torch.arange(len(z)) * len(self.levels) // len(z)).to(self.device)
        eps = torch.randn(z.shape, generator=rng).to(self.device)
        z, tokens = z[order.to(self.device)], tokens[order.to(self.device)]
        losses = []
        for part in zip(z.split(64), tokens.split(64), eps.split(64), index.split(64), strict=True):
            with self.autocast():
                embeddings = self.average_encoder(part[1])[0]
                losses.append(velocity_loss(self.average_unet, embeddings, part[0], *part[2:], self.levels))
        low, middle, high = (part.mean().item() for part in torch.cat(losses).tensor_split(3))
        return {self.measure: torch.cat(losses).mean().item(), "little": low, "some": middle, "much": high}

    def averaged_model(self) -> ModelParts:
        """Model with the averaged weights, for sampling."""
        return ModelParts(self.parts.tokenizer, self.average_encoder, self.vae, self.average_unet)
