"""First training stage: text encoder with classification heads on caption content."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.bundled_priors.caption_targets import TARGET_SIZES, caption_targets
from tools.bundled_priors.example_pool import Examples
from tools.bundled_priors.model import ModelParts, use_plain_attention
from tools.bundled_priors.recipe import TrainingRecipe
from tools.bundled_priors.stage_trainer import StageTrainer


class TextEncoderTrainer(StageTrainer):
    """Trainer of the text encoder: linear heads on its mean embedding classify the content of the caption.

    Training uses captions alone and takes a minute; a denoiser conditioned on such an encoder need not learn the
    meaning of words together with the appearance of objects. The encoder is frozen afterwards, as in Stable Diffusion.
    """

    def __init__(self, recipe: TrainingRecipe, parts: ModelParts, device: torch.device) -> None:
        self.parts = parts
        self.encoder: Any = parts.text_encoder.to(device).train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.heads = nn.ModuleList([nn.Linear(recipe.model.text_width, n) for n in TARGET_SIZES]).to(device)
        if device.type == "cpu":
            use_plain_attention(self.encoder)
        super().__init__("words", recipe, recipe.words, device, {"encoder": self.encoder, "heads": self.heads})

    def make_examples(self, n: int) -> Examples:
        return self.encode_examples(self.renderer.draw(n, self.scene_rng).captions)

    def add_noise(self, examples: Examples) -> Examples:
        return examples

    def loss(self, examples: Examples) -> Tensor:
        losses = [
            functional.cross_entropy(logits, examples["said"][:, i].long())
            for i, logits in enumerate(self._logits(examples))
        ]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Share of held-out captions with all targets right."""
        captions = self.renderer.draw(self.recipe.tested, self.held_out_rng(), held_out=True).captions
        examples = {name: rows.to(self.device) for name, rows in self.encode_examples(captions).items()}
        correct = [logits.argmax(1) == examples["said"][:, i] for i, logits in enumerate(self._logits(examples))]
        return {"understood": torch.stack(correct).all(0).float().mean().item()}

    def encode_examples(self, captions: list[str]) -> Examples:
        """Examples for the pool from captions."""
        return {"tokens": self.parts.tokens(captions).int(), "said": caption_targets(captions).int()}

    def _logits(self, examples: Examples) -> list[Tensor]:
        with self.autocast():
            mean = self.encoder(examples["tokens"].long())[0].mean(1)
        return [head(mean.float()) for head in self.heads]
