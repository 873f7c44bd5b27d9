"""Base classes of the training stages: examples, optimizer, random streams and checkpoint state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modeseek.datasets.scenes import Scenes
from modeseek.io.progress import Progress
from tools.bundled_priors.example_pool import ExamplePool, Examples
from tools.bundled_priors.lr_schedule import learning_rate
from tools.bundled_priors.muon import DECAY
from tools.bundled_priors.recipe import StageRecipe, TrainingRecipe
from tools.bundled_priors.threaded_gradient import accumulate_gradient

_MAX_GRADIENT_NORM = 1.0
STAGES = ("words", "autoencoder", "network")


class StageTrainer(ABC):
    """Trainer of one stage.

    Args:
        name: name of the stage, one of `STAGES`.
        recipe: hyperparameters of the whole training.
        stage: hyperparameters of this stage.
        device: device of the network; scenes are rendered on the CPU.
        modules: trained modules by name.

    Attributes:
        step: number of finished steps.
        lr: learning rate of the last step.
    """

    def __init__(
        self, name: str, recipe: TrainingRecipe, stage: StageRecipe, device: torch.device, modules: dict[str, nn.Module]
    ) -> None:
        self.name, self.recipe, self.stage, self.device, self.modules = name, recipe, stage, device, modules
        self.renderer = Scenes(size=recipe.model.size, variety=recipe.variety)
        stage_seed = len(STAGES) * recipe.seed + STAGES.index(name)
        self.scene_rng = torch.Generator().manual_seed(stage_seed)
        self.noise_rng = torch.Generator().manual_seed(2**32 + stage_seed)
        self.optimizers = self.make_optimizers()
        self.pool = ExamplePool(self.make_examples, stage.pool)
        self.step, self.lr = 0, 0.0

    def parameters(self) -> list[nn.Parameter]:
        """All trained parameters."""
        return [parameter for module in self.modules.values() for parameter in module.parameters()]

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Optimizers, which together hold all parameters."""
        return [adamw(self.parameters())]

    @abstractmethod
    def make_examples(self, n: int) -> Examples:
        """Renders n examples for the pool."""

    @abstractmethod
    def add_noise(self, examples: Examples) -> Examples:
        """Adds all random draws of a step to the examples, one row each; the loss itself draws nothing."""

    @abstractmethod
    def loss(self, examples: Examples) -> Tensor:
        """Training loss, mean over examples."""

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Metrics on held-out scenes."""

    def fill_pool(self) -> Generator[Progress, None, None]:
        """Renders the first examples into the pool."""
        while len(self.pool) < min(self.stage.first, self.stage.pool):
            self.pool.grow(self.stage.chunk)
            yield Progress("rendering", min(len(self.pool), self.stage.first), self.stage.first)

    def train_step(self, progress: float) -> float:
        """Takes one optimizer step at `progress` in [0, 1] of the stage; returns the loss."""
        if self.step and self.step % self.stage.every == 0:
            self.pool.grow(self.stage.chunk)
        self.lr = learning_rate(progress, self.lr, self.stage.lr, self.stage.warm)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.lr * group.get("stretch", 1.0)
        examples = self.add_noise(self.pool.draw(self.stage.batch, self.noise_rng))
        loss = accumulate_gradient(
            {name: rows.to(self.device) for name, rows in examples.items()}, self.loss, self.parameters()
        )
        nn.utils.clip_grad_norm_(self.parameters(), _MAX_GRADIENT_NORM)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        return loss

    def autocast(self) -> Any:
        """Context of mixed precision."""
        return mixed_precision(self.device)

    def held_out_rng(self) -> torch.Generator:
        """Random generator of the held-out scenes, in the same state every time."""
        return torch.Generator().manual_seed(self.recipe.seed)

    def checkpoint_state(self) -> dict[str, Any]:
        """State for a checkpoint."""
        state = {"step": self.step, "lr": self.lr, "scenes": self.scene_rng, "noise": self.noise_rng}
        return state | {"modules": self.modules, "optimizers": self.optimizers, "pool": self.pool.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restores step, learning rate and pool; modules, optimizer and generators are restored in place."""
        self.step, self.lr = state["step"], state["lr"]
        self.pool.restore(state["pool"])


class ImageStageTrainer(StageTrainer):
    """Trainer of a stage on images."""

    _held_out_examples: Examples | None = None

    @abstractmethod
    def encode_examples(self, image: Tensor, captions: list[str]) -> Examples:
        """Examples for the pool from images (n, 3, s, s) in [0, 1] and their captions."""

    def make_examples(self, n: int) -> Examples:
        renders = self.renderer.batch(n, self.scene_rng)
        return self.encode_examples(renders.image, renders.captions)

    def held_out_examples(self) -> Examples:
        """Examples of held-out scenes, the same every time."""
        if self._held_out_examples is None:
            renders = self.renderer.batch(self.recipe.tested, self.held_out_rng(), held_out=True)
            self._held_out_examples = self.encode_examples(renders.image, renders.captions)
        return {name: rows.to(self.device) for name, rows in self._held_out_examples.items()}


def adamw(parameters: Sequence[Tensor]) -> torch.optim.AdamW:
    """AdamW with the settings of all stages."""
    return torch.optim.AdamW(parameters, lr=0.0, betas=(0.9, 0.99), weight_decay=DECAY, fused=True)


def mixed_precision(device: torch.device) -> torch.autocast:
    """Context of mixed precision, bfloat16 on hardware whose kernels support it."""
    mkldnn = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu" or mkldnn)
