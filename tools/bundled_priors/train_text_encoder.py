"""First training stage of scenes: text encoder with classification heads on caption content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modeseek.datasets.scenes import Scenes
from modeseek.rng import Streams
from tools.bundled_priors.caption_targets import TARGET_SIZES, caption_targets
from tools.bundled_priors.example_pool import Examples
from tools.bundled_priors.feeds import InProcess, PooledFeed
from tools.bundled_priors.model import ModelParts, use_plain_attention
from tools.bundled_priors.recipe import StageRecipe, TrainingRecipe
from tools.bundled_priors.stage_trainer import StageTrainer

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class CaptionChunks:
    """Captions of the training set by chunk."""

    scenes: Scenes
    n: int
    seed: int

    def __getitem__(self, number: int) -> list[str]:
        return self.scenes.draw(self.n, Streams(self.seed, number, use="captions").generator(0, _CPU)).captions


class TextEncoderTrainer(StageTrainer):
    """Trainer of the text encoder: linear heads on its mean embedding classify the content of the caption.

    Training uses captions alone and takes a minute; a denoiser conditioned on such an encoder need not learn the
    meaning of words together with the appearance of objects. The encoder is frozen afterwards, as in Stable Diffusion.
    """

    name, trains, measure = "words", "text encoder", "understood"

    def __init__(self, recipe: TrainingRecipe, stage: StageRecipe, device: torch.device, parts: ModelParts) -> None:
        self.parts, self._scenes = parts, Scenes(size=recipe.model.size, variety=recipe.variety)
        self.encoder: Any = parts.text_encoder.to(device).train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.heads = nn.ModuleList([nn.Linear(recipe.model.text_width, n) for n in TARGET_SIZES]).to(device)
        if device.type == "cpu":
            use_plain_attention(self.encoder)
        chunks = InProcess(CaptionChunks(self._scenes, stage.pool.chunk, recipe.seed))
        feed = PooledFeed(chunks, self.encode, stage.pool, stage.pool.size, device)
        modules = {"words": nn.ModuleDict({"encoder": self.encoder, "heads": self.heads})}
        super().__init__(recipe, stage, device, feed, modules)

    def encode(self, captions: Sequence[str]) -> Examples:
        """Token ids and classes of captions."""
        examples = {"tokens": self.parts.tokens(captions).int(), "said": caption_targets(captions).int()}
        return {name: rows.to(self.device) for name, rows in examples.items()}

    def loss(self, inputs: Examples) -> Tensor:
        losses = [
            functional.cross_entropy(logits, inputs["said"][:, i].long())
            for i, logits in enumerate(self._logits(inputs))
        ]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Share of held-out captions with all targets right."""
        rng = Streams(self.recipe.seed, use="held-out captions").generator(0, _CPU)
        examples = self.encode(self._scenes.draw(self.recipe.tested, rng, held_out=True).captions)
        correct = [logits.argmax(1) == examples["said"][:, i] for i, logits in enumerate(self._logits(examples))]
        return {self.measure: torch.stack(correct).all(0).float().mean().item()}

    def _logits(self, examples: Examples) -> list[Tensor]:
        with self.autocast():
            mean = self.encoder(examples["tokens"].long())[0].mean(1)
        return [head(mean.float()) for head in self.heads]
