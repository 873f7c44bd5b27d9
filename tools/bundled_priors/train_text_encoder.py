"""The first stage: captions to embeddings that say what captions say."""

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
    """Trains the text encoder: linear functions of its mean embedding answer what the caption says.

    Captions alone, no pictures: it takes a minute, and a denoiser that is told by such an encoder needs not find out
    what words mean while it learns what things look like. The encoder stays as it is afterwards, as Stable
    Diffusion's does.
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
            functional.cross_entropy(answer, examples["said"][:, i].long())
            for i, answer in enumerate(self._logits(examples))
        ]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Share of held-out captions of which every question is answered rightly."""
        captions = self.renderer.draw(self.recipe.tested, self.held_out_rng(), held_out=True).captions
        held = {name: rows.to(self.device) for name, rows in self.encode_examples(captions).items()}
        right = [answer.argmax(1) == held["said"][:, i] for i, answer in enumerate(self._logits(held))]
        return {"understood": torch.stack(right).all(0).float().mean().item()}

    def encode_examples(self, captions: list[str]) -> Examples:
        """Captions as the pool keeps them."""
        return {"tokens": self.parts.tokens(captions).int(), "said": caption_targets(captions).int()}

    def _logits(self, examples: Examples) -> list[Tensor]:
        with self.autocast():
            mean = self.encoder(examples["tokens"].long())[0].mean(1)
        return [head(mean.float()) for head in self.heads]
