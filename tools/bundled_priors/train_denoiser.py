"""The third stage: words and noise to z."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from tools.bundled_priors.ema import follow
from tools.bundled_priors.example_pool import Examples
from tools.bundled_priors.loss import velocity_loss
from tools.bundled_priors.model import Parts, levels, plain_attention
from tools.bundled_priors.muon import Muon, split
from tools.bundled_priors.recipe import Recipe
from tools.bundled_priors.training import Pictured

_PLAIN = ("conv_in", "conv_out", "time_embedding", "add_embedding")  # ends, and tables: AdamW's


class Denoising(Pictured):
    """Trains the denoiser; text encoder and autoencoder stay as they are.

    Attributes:
        average: moving average of its weights, which samples are drawn with.
    """

    def __init__(self, recipe: Recipe, parts: Parts, device: torch.device) -> None:
        self.parts = parts
        self.vae = parts.vae.to(device).eval().requires_grad_(False)
        self.encoder = parts.text_encoder.to(device).eval().requires_grad_(False)
        self.unet = parts.unet.to(device).train()
        self.average: Any = copy.deepcopy(self.unet).eval().requires_grad_(False)
        if device.type == "cpu":
            for module in (self.encoder, self.unet, self.average):
                plain_attention(module)
        self.levels = levels().to(device)
        self.null = parts.tokens([""])
        super().__init__("network", recipe, recipe.network, device, {"unet": self.unet})

    def descent(self) -> torch.optim.Optimizer:
        matrices, others = split(self.unet, plain=_PLAIN)
        return Muon(matrices, others, lr=0.0, stretch=self.recipe.stretch)

    def examples(self, image: Tensor, captions: list[str]) -> Examples:
        with torch.no_grad():
            parts = [self.vae.encode(2 * part.to(self.device) - 1).latents for part in image.split(64)]
        z = self.vae.config.scaling_factor * torch.cat(parts)
        return {"z": z.to("cpu", torch.float16), "tokens": self.parts.tokens(captions).int()}

    def noised(self, examples: Examples) -> Examples:
        z = examples["z"].float()
        share = torch.rand(len(z), generator=self.noise) ** self.recipe.lean
        index = (len(self.levels) * share).long().clamp(max=len(self.levels) - 1)
        left_out = torch.rand(len(z), generator=self.noise) < self.recipe.drop
        tokens = torch.where(left_out[:, None], self.null, examples["tokens"].long())
        return {"z": z, "tokens": tokens, "eps": torch.randn(z.shape, generator=self.noise), "index": index}

    def loss(self, examples: Examples) -> Tensor:
        return self._losses(self.unet, **examples).mean()

    def advance(self, progress: float) -> float:
        loss = super().advance(progress)
        follow(self.average, self.unet, self.step - 1, self.recipe.decay)
        return loss

    @torch.no_grad()
    def test(self) -> dict[str, float]:
        """The averaged network's loss on held-out scenes, with the same noise every time."""
        held = self.tested()
        z, tokens = held["z"].float(), held["tokens"].long()
        rng = torch.Generator().manual_seed(self.recipe.seed)
        index = (torch.arange(len(z)) * len(self.levels) // len(z)).to(self.device)
        eps = torch.randn(z.shape, generator=rng).to(self.device)
        parts = zip(z.split(64), tokens.split(64), eps.split(64), index.split(64), strict=True)
        losses = torch.cat([self._losses(self.average, *part) for part in parts])
        low, middle, high = (part.mean().item() for part in losses.tensor_split(3))
        return {"held_out": losses.mean().item(), "little": low, "some": middle, "much": high}

    def packed(self) -> dict[str, Any]:
        return super().packed() | {"average": self.average}

    def averaged(self) -> Parts:
        """The model that samples are drawn from."""
        return Parts(self.parts.tokenizer, self.encoder, self.vae, self.average)

    def _losses(self, unet: Any, z: Tensor, tokens: Tensor, eps: Tensor, index: Tensor) -> Tensor:
        with self.half():
            with torch.no_grad():
                words = self.encoder(tokens)[0]
            return velocity_loss(unet, words, z, eps, index, self.levels)
