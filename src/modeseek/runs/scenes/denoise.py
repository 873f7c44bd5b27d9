"""The second stage: words and noise to z."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from modeseek.priors.pipeline.small import Parts, levels, plain_attention
from modeseek.runs.scenes.average import follow
from modeseek.runs.scenes.loss import velocity_loss
from modeseek.runs.scenes.pool import Examples
from modeseek.runs.scenes.recipe import Recipe
from modeseek.runs.scenes.stage import Training


class Denoising(Training):
    """Trains the denoiser and the text encoder together, from scratch; the autoencoder stays as it is.

    Attributes:
        average: moving average of both, which samples are drawn from.
    """

    def __init__(self, recipe: Recipe, parts: Parts, device: torch.device) -> None:
        self.parts = parts
        self.vae = parts.vae.to(device).eval().requires_grad_(False)
        modules = {"unet": parts.unet.to(device).train(), "text_encoder": parts.text_encoder.to(device).train()}
        self.average: dict[str, Any] = {
            name: copy.deepcopy(module).eval().requires_grad_(False) for name, module in modules.items()
        }
        if device.type == "cpu":
            for module in (*modules.values(), *self.average.values()):
                plain_attention(module)
        self.levels = levels().to(device)
        self.null = parts.tokens([""])
        super().__init__("network", recipe, recipe.network, device, modules)

    def make(self, n: int) -> Examples:
        shots = self.world.batch(n, self.scenes)
        return self.examples(shots.image, shots.captions)

    def examples(self, image: Tensor, captions: list[str]) -> Examples:
        with torch.no_grad(), self.half():
            parts = [self.vae.encode(2 * part.to(self.device) - 1).latent_dist.mode() for part in image.split(64)]
        return {"z": torch.cat(parts).to("cpu", torch.float16), "tokens": self.parts.tokens(captions).int()}

    def noised(self, examples: Examples) -> Examples:
        z = examples["z"].float()
        index = torch.randint(len(self.levels), (len(z),), generator=self.noise)
        left_out = torch.rand(len(z), generator=self.noise) < self.recipe.drop
        tokens = torch.where(left_out[:, None], self.null, examples["tokens"].long())
        return {"z": z, "tokens": tokens, "eps": torch.randn(z.shape, generator=self.noise), "index": index}

    def loss(self, examples: Examples) -> Tensor:
        return self._losses(self.modules, **examples).mean()

    def advance(self, progress: float) -> float:
        loss = super().advance(progress)
        for name, module in self.modules.items():
            follow(self.average[name], module, self.step - 1, self.recipe.decay)
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
        return Parts(self.parts.tokenizer, self.average["text_encoder"], self.vae, self.average["unet"])

    def _losses(self, modules: dict[str, Any], z: Tensor, tokens: Tensor, eps: Tensor, index: Tensor) -> Tensor:
        with self.half():
            words = modules["text_encoder"](tokens)[0]
            return velocity_loss(modules["unet"], words, z, eps, index, self.levels)
