"""What the stages of the training share: examples, an optimizer, a place in the stream, and what is kept of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor, nn

from modeseek.datasets.scenes import Scenes
from modeseek.io.progress import Progress
from tools.bundled_priors.example_pool import Examples, Pool
from tools.bundled_priors.lr_schedule import learning_rate
from tools.bundled_priors.recipe import Recipe, Stage
from tools.bundled_priors.threaded_gradient import descend

_CLIP = 1.0  # of the gradient's norm
STAGES = ("words", "autoencoder", "network")


class Training(ABC):
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
        self, name: str, recipe: Recipe, stage: Stage, device: torch.device, modules: dict[str, nn.Module]
    ) -> None:
        self.name, self.recipe, self.stage, self.device, self.modules = name, recipe, stage, device, modules
        self.world = Scenes(size=recipe.model.size, variety=recipe.variety)
        own = len(STAGES) * recipe.seed + STAGES.index(name)
        self.scenes = torch.Generator().manual_seed(own)
        self.noise = torch.Generator().manual_seed(2**32 + own)
        self.optimizer = self.descent()
        self.pool = Pool(self.make, stage.pool)
        self.step, self.lr = 0, 0.0

    def parameters(self) -> list[nn.Parameter]:
        """All that is trained."""
        return [parameter for module in self.modules.values() for parameter in module.parameters()]

    def descent(self) -> torch.optim.Optimizer:
        """What moves the parameters."""
        return torch.optim.AdamW(self.parameters(), lr=0.0, betas=(0.9, 0.99), weight_decay=0.01, fused=True)

    @abstractmethod
    def make(self, n: int) -> Examples:
        """n rendered examples for the pool."""

    @abstractmethod
    def noised(self, examples: Examples) -> Examples:
        """Examples with all that a step draws at random, rows still being examples; its loss draws nothing."""

    @abstractmethod
    def loss(self, examples: Examples) -> Tensor:
        """What a step lowers, a mean over examples."""

    @abstractmethod
    def test(self) -> dict[str, float]:
        """Numbers on held-out scenes."""

    def fill(self) -> Generator[Progress, None, None]:
        """Renders the first examples."""
        while len(self.pool) < min(self.stage.first, self.stage.pool):
            self.pool.grow(self.stage.chunk)
            yield Progress("rendering", min(len(self.pool), self.stage.first), self.stage.first)

    def advance(self, progress: float) -> float:
        """One step, `progress` of the stage being done; returns its loss."""
        if self.step and self.step % self.stage.every == 0:
            self.pool.grow(self.stage.chunk)
        self.lr = learning_rate(progress, self.lr, self.stage.lr, self.stage.warm)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        examples = self.noised(self.pool.draw(self.stage.batch, self.noise))
        loss = descend({name: rows.to(self.device) for name, rows in examples.items()}, self.loss, self.parameters())
        nn.utils.clip_grad_norm_(self.parameters(), _CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        return loss

    def half(self) -> Any:
        """Mixed precision: products in bfloat16 where the machine multiplies it fast."""
        able = self.device.type != "cpu" or _multiplies_half()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=able)

    def held_out(self) -> torch.Generator:
        """Draws the held-out scenes, the same every time."""
        return torch.Generator().manual_seed(self.recipe.seed)

    def packed(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        kept = {"step": self.step, "lr": self.lr, "scenes": self.scenes, "noise": self.noise}
        return kept | {"modules": self.modules, "optimizer": self.optimizer, "pool": self.pool.state()}

    def restore(self, held: dict[str, Any]) -> None:
        """Goes on from what `packed` told; modules, optimizer and generators were filled already."""
        self.step, self.lr = held["step"], held["lr"]
        self.pool.restore(held["pool"])


class Pictured(Training):
    """One that learns from pictures."""

    _tested: Examples | None = None

    @abstractmethod
    def examples(self, image: Tensor, captions: list[str]) -> Examples:
        """Pictures (n, 3, s, s) in [0, 1] and their captions, as the pool keeps them."""

    def make(self, n: int) -> Examples:
        shots = self.world.batch(n, self.scenes)
        return self.examples(shots.image, shots.captions)

    def tested(self) -> Examples:
        """Held-out scenes, the same every time."""
        if self._tested is None:
            shots = self.world.batch(self.recipe.tested, self.held_out(), held_out=True)
            self._tested = self.examples(shots.image, shots.captions)
        return {name: rows.to(self.device) for name, rows in self._tested.items()}


def _multiplies_half() -> bool:
    """Whether this CPU's kernels take bfloat16."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
