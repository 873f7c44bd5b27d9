"""What the stages of the training share: examples, an optimizer, a place in the stream, and what is kept of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor, nn

from modeseek.datasets.scenes import Scenes
from modeseek.io.progress import Progress
from tools.bundled_priors.example_pool import Examples, ExamplePool
from tools.bundled_priors.lr_schedule import learning_rate
from tools.bundled_priors.recipe import TrainingRecipe, StageRecipe
from tools.bundled_priors.threaded_gradient import accumulate_gradient

_CLIP = 1.0  # of the gradient's norm
STAGES = ("words", "autoencoder", "network")


class StageTrainer(ABC):
    """One network on its way.

    Args:
        name: of the stage, for people.
        recipe: the whole recipe.
        stage: this stage's part of it.
        device: where the network lives; scenes are drawn on the CPU.
        modules: what is trained, by name.

    Attributes:
        step: steps done.
        lr: the rate of the last one.
    """

    def __init__(
        self, name: str, recipe: TrainingRecipe, stage: StageRecipe, device: torch.device, modules: dict[str, nn.Module]
    ) -> None:
        self.name, self.recipe, self.stage, self.device, self.modules = name, recipe, stage, device, modules
        self.renderer = Scenes(size=recipe.model.size, variety=recipe.variety)
        own = len(STAGES) * recipe.seed + STAGES.index(name)
        self.scene_rng = torch.Generator().manual_seed(own)
        self.noise_rng = torch.Generator().manual_seed(2**32 + own)
        self.optimizer = self.make_optimizer()
        self.pool = ExamplePool(self.make_examples, stage.pool)
        self.step, self.lr = 0, 0.0

    def parameters(self) -> list[nn.Parameter]:
        """All that is trained."""
        return [parameter for module in self.modules.values() for parameter in module.parameters()]

    def make_optimizer(self) -> torch.optim.Optimizer:
        """What moves the parameters."""
        return torch.optim.AdamW(self.parameters(), lr=0.0, betas=(0.9, 0.99), weight_decay=0.01, fused=True)

    @abstractmethod
    def make_examples(self, n: int) -> Examples:
        """n rendered examples for the pool."""

    @abstractmethod
    def add_noise(self, examples: Examples) -> Examples:
        """Examples with all that a step draws at random, rows still being examples; its loss draws nothing."""

    @abstractmethod
    def loss(self, examples: Examples) -> Tensor:
        """What a step lowers, a mean over examples."""

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Numbers on held-out scenes."""

    def fill_pool(self) -> Generator[Progress, None, None]:
        """Renders the first examples."""
        while len(self.pool) < min(self.stage.first, self.stage.pool):
            self.pool.grow(self.stage.chunk)
            yield Progress("rendering", min(len(self.pool), self.stage.first), self.stage.first)

    def train_step(self, progress: float) -> float:
        """One step, `progress` of the stage being done; returns its loss."""
        if self.step and self.step % self.stage.every == 0:
            self.pool.grow(self.stage.chunk)
        self.lr = learning_rate(progress, self.lr, self.stage.lr, self.stage.warm)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        examples = self.add_noise(self.pool.draw(self.stage.batch, self.noise_rng))
        loss = accumulate_gradient({name: rows.to(self.device) for name, rows in examples.items()}, self.loss, self.parameters())
        nn.utils.clip_grad_norm_(self.parameters(), _CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        return loss

    def autocast(self) -> Any:
        """Mixed precision: products in bfloat16 where the machine multiplies it fast."""
        able = self.device.type != "cpu" or _supports_bfloat16()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=able)

    def held_out_rng(self) -> torch.Generator:
        """Draws the held-out scenes, the same every time."""
        return torch.Generator().manual_seed(self.recipe.seed)

    def checkpoint_state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        kept = {"step": self.step, "lr": self.lr, "scenes": self.scene_rng, "noise": self.noise_rng}
        return kept | {"modules": self.modules, "optimizer": self.optimizer, "pool": self.pool.state()}

    def load_state(self, held: dict[str, Any]) -> None:
        """Goes on from what `packed` told; modules, optimizer and generators were filled already."""
        self.step, self.lr = held["step"], held["lr"]
        self.pool.restore(held["pool"])


class ImageStageTrainer(StageTrainer):
    """One that learns from pictures."""

    _held_out_examples: Examples | None = None

    @abstractmethod
    def encode_examples(self, image: Tensor, captions: list[str]) -> Examples:
        """Pictures (n, 3, s, s) in [0, 1] and their captions, as the pool keeps them."""

    def make_examples(self, n: int) -> Examples:
        shots = self.renderer.batch(n, self.scene_rng)
        return self.encode_examples(shots.image, shots.captions)

    def held_out_examples(self) -> Examples:
        """Held-out scenes, the same every time."""
        if self._held_out_examples is None:
            shots = self.renderer.batch(self.recipe.tested, self.held_out_rng(), held_out=True)
            self._held_out_examples = self.encode_examples(shots.image, shots.captions)
        return {name: rows.to(self.device) for name, rows in self._held_out_examples.items()}


def _supports_bfloat16() -> bool:
    """Whether this CPU's kernels take bfloat16."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
