"""Base classes of the training stages: examples, optimizer step, random streams and checkpoint state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from modeseek.rng import Streams
from tools.bundled_priors.example_pool import Examples
from tools.bundled_priors.feeds import Feed
from tools.bundled_priors.lr_schedule import learning_rate
from tools.bundled_priors.model import ModelParts
from tools.bundled_priors.recipe import StageRecipe, TrainingRecipe
from tools.bundled_priors.sources import DataSource
from tools.bundled_priors.update import Update, adamw, mixed_precision

STAGES = ("words", "autoencoder", "network")


class StageTrainer(ABC):
    """Trainer of one stage.

    Args:
        recipe: hyperparameters of the whole training.
        stage: hyperparameters of this stage.
        device: training device.
        feed: training examples.
        modules: trained modules by name; each is clipped as a whole.
        averages: moving averages of some of the modules, by the same names.

    Attributes:
        name: name of the stage, one of `STAGES`.
        measure: name of its metric in the history of a training.
        trains: trained components, for display.
        step: number of finished steps.
        samples: number of examples of all steps.
        lr: learning rate of the last step.
        update: optimizer step.
    """

    name: ClassVar[str]
    measure: ClassVar[str]
    trains: str

    def __init__(
        self,
        recipe: TrainingRecipe,
        stage: StageRecipe,
        device: torch.device,
        feed: Feed,
        modules: Mapping[str, nn.Module],
        averages: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.recipe, self.stage, self.device, self.feed = recipe, stage, device, feed
        self.modules, self.averages = dict(modules), dict(averages or {})
        self.optimizers = self.make_optimizers()
        pairs = [(list(mean.parameters()), list(modules[name].parameters())) for name, mean in self.averages.items()]
        groups = [list(module.parameters()) for module in self.modules.values()]
        self.update = Update(self.prepare, self.loss, groups, self.optimizers, pairs, recipe.decay, device)
        self.step, self.samples, self.lr = 0, 0, 0.0

    def make_optimizers(self) -> Sequence[torch.optim.Optimizer]:
        """Optimizers, which together hold all parameters."""
        return [adamw([p for module in self.modules.values() for p in module.parameters()])]

    def add_noise(self, examples: Examples, rng: torch.Generator) -> Examples:
        """Adds all random draws of a step to the examples, one row each; the loss itself draws nothing."""
        return examples

    def prepare(self, examples: Examples) -> Examples:
        """Inputs of the loss, computed without gradient."""
        return examples

    @abstractmethod
    def loss(self, inputs: Examples) -> Tensor:
        """Training loss, mean over examples; it changes nothing and reads nothing back from the device."""

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Metrics on held-out data, that of history under `measure`."""

    def train_step(self, progress: float) -> Tensor:
        """Takes a step at `progress` in [0, 1] of the stage; returns the loss, valid until the next step."""
        self.lr = learning_rate(progress, self.lr, self.stage.lr, self.stage.warm)
        rng = Streams(self.recipe.seed, self.step, use=self.name).generator(0, self.device)
        examples = self.add_noise(self.feed.draw(self.stage.batch, self.step, rng), rng)
        loss = self.update(examples, self.lr, self.step)
        self.step += 1
        self.samples += self.stage.batch
        return loss

    def autocast(self) -> Any:
        """Context of mixed precision."""
        return mixed_precision(self.device)

    def checkpoint_state(self) -> dict[str, Any]:
        """State for a checkpoint; the draws of a step depend on its number alone."""
        state = {"step": self.step, "samples": self.samples, "lr": self.lr, "feed": self.feed.state()}
        return state | {"modules": self.modules, "averages": self.averages, "optimizers": list(self.optimizers)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restores step, learning rate and feed; modules and optimizers were restored in place."""
        self.step, self.samples, self.lr = state["step"], state["samples"], state["lr"]
        self.feed.restore(state["feed"])
        self.update.bind(self.lr)


class ImageStageTrainer(StageTrainer):
    """Trainer of a stage on captioned images.

    Args:
        recipe: hyperparameters of the whole training.
        stage: hyperparameters of this stage.
        device: training device.
        source: captioned images.
        parts: components of the model.
        modules: trained modules by name.
        averages: moving averages of some of the modules.
    """

    _held_out: Examples | None = None

    def __init__(
        self,
        recipe: TrainingRecipe,
        stage: StageRecipe,
        device: torch.device,
        source: DataSource,
        parts: ModelParts,
        modules: Mapping[str, nn.Module],
        averages: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.source, self.parts = source, parts
        feed = source.feed(self.name, stage, self.encode, parts.tokens, device)
        super().__init__(recipe, stage, device, feed, modules, averages)

    @abstractmethod
    def encode(self, image: Float[Tensor, "n 3 s s"], tokens: Int[Tensor, "n l"]) -> Examples:
        """Examples of images in [0, 1] and token ids of their captions, on the training device."""

    def held_out_examples(self) -> Examples:
        """Examples for evaluation, the same every time."""
        if self._held_out is None:
            image, captions = self.source.held_out(self.recipe.tested)
            self._held_out = self.encode(image.to(self.device), self.parts.tokens(captions).to(self.device))
        return self._held_out
