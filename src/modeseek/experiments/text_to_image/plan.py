"""What the text-to-image experiment does: which pictures, by whom, in which batches."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from modeseek.config.config import Config, GuardConfig
from modeseek.config.generators import FieldConfig, GeneratorConfig, LatentConfig, PixelsConfig
from modeseek.config.optimizers import AdamConfig
from modeseek.config.priors import PipelinePriorConfig
from modeseek.experiments.text_to_image.entries import TextToImageEntry
from modeseek.runs.count_calls import count_prior_calls

REFERENCE = "reference"
_PREVIEWS = 6


@dataclass(frozen=True)
class ImageBatch:
    """Pictures that one job makes together.

    Attributes:
        player: who makes them.
        name: of the job's folder.
        items: (prompt, seed) of each, by number.
        seed: of all its draws; the same for all who are compared.
    """

    entry: TextToImageEntry
    name: str
    items: tuple[tuple[int, int], ...]
    seed: int


@dataclass(frozen=True)
class TextToImage:
    """Every method makes a picture of every prompt from every seed; DDIM samples with seeds of their own are the truth.

    Attributes:
        prior_config: the pipeline.
        prompts: what the pictures shall show.
        players: who is compared.
        scales: guidance, by player's name.
        seeds: pictures of a prompt and player.
        steps: of the optimizer.
        generator: what is optimised: field (a coordinate network, as in the paper), pixels or latent.
        reference: DDIM samples that FID and KID compare with, in all.
        sample_steps: of DDIM.
        budget: prior calls a picture that every player may spend, in place of the steps; None leaves the steps.
        batch: pictures made together, at most.
        seed: of the experiment.
        device: where.
        likelihood: Runge-Kutta steps of the pictures' likelihood; 0 leaves it out.
    """

    prior_config: PipelinePriorConfig
    prompts: tuple[str, ...]
    entries: tuple[TextToImageEntry, ...]
    scales: Mapping[str, float]
    seeds: int = 3
    steps: int = 400
    generator: Literal["field", "pixels", "latent"] = "field"
    reference: int = 120
    sample_steps: int = 50
    budget: int | None = None
    batch: int = 10
    seed: int = 0
    device: str = "cpu"
    likelihood: int = 0

    def __post_init__(self) -> None:
        if not self.prompts:
            raise ValueError("the experiment needs prompts: got none; write one a line")
        for name in ("seeds", "steps", "sample_steps", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1: got {getattr(self, name)}; raise it")
        if 0 < self.reference < self.compared:
            raise ValueError(
                f"a reference holds more pictures than are compared ({self.compared} a method): got {self.reference}; "
                "raise --reference, or 0 for none"
            )
        if not 0 <= self.reference <= 10**6:
            raise ValueError(f"a reference holds 0 to 1e6 pictures: got {self.reference}; choose another number")
        if torch.device(self.device).type == "cuda" and not torch.cuda.is_available():
            raise ValueError(f"there is no CUDA device here: got device {self.device!r}; use cpu")
        if self.likelihood < 0:
            raise ValueError(f"steps of the likelihood are at least 0: got {self.likelihood}; 0 leaves it out")
        for name, scale in self.scales.items():
            if not math.isfinite(scale):
                raise ValueError(f"a guidance scale is finite: got {scale} for {name}; 1 is none")

    @property
    def compared(self) -> int:
        """Pictures of each player."""
        return self.seeds * len(self.prompts)

    def batches(self, entry: TextToImageEntry) -> list[ImageBatch]:
        """The jobs of one player."""
        items = [(prompt, seed) for seed in range(self.seeds) for prompt in range(len(self.prompts))]
        return self._cut(entry, entry.name, items, "compared")

    def references(self, entry: TextToImageEntry) -> list[ImageBatch]:
        """The jobs that draw the reference; `player` is DDIM."""
        n = len(self.prompts)
        return self._cut(entry, REFERENCE, [(k % n, k // n) for k in range(self.reference)], REFERENCE)

    def config(self, batch: ImageBatch) -> Config:
        """The run of one job that optimises.

        Raises:
            ValueError: something does not fit, or the budget is below two steps.
        """
        entry, n = batch.entry, len(batch.items)
        if entry.method is None:
            raise ValueError(f"{entry.name} optimises nothing: it has no run")
        scale = self.scales[entry.name]
        sources: dict[str, GeneratorConfig] = {
            "field": FieldConfig(n),
            "pixels": PixelsConfig(n),
            "latent": LatentConfig(n),
        }
        return Config(
            prior=self.prior_config,
            method=entry.method(scale),
            generator=sources[self.generator],
            optimizer=AdamConfig(entry.lr),
            name=batch.name,
            steps=self.steps_of(entry),
            seed=batch.seed,
            prompts=tuple(self.prompts[prompt] for prompt, _ in batch.items),
            scale=scale if entry.guided else 1.0,
            device=self.device,
            guard=GuardConfig(active=False),  # a gray or glaring picture is a result here, and is measured
            previews=_PREVIEWS,
        )

    def steps_of(self, entry: TextToImageEntry) -> int:
        """Steps that a player takes; where there is a budget, what it allows."""
        if self.budget is None:
            return self.sample_steps if entry.method is None else self.steps
        first, each = self.calls(entry)
        steps = (self.budget - first) // each
        if steps < 2:
            raise ValueError(
                f"a budget of {self.budget} prior calls a picture is too small: two steps of {entry.name} take "
                f"{first + 2 * each}; pass at least as many"
            )
        return min(self.sample_steps, steps) if entry.method is None else steps

    def calls(self, entry: TextToImageEntry) -> tuple[int, int]:
        """Prior calls a picture: before the first step, and each step."""
        scale = self.scales[entry.name]
        if entry.method is None:
            return 0, 1 if scale == 1 else 2
        return count_prior_calls(entry.method(scale), scale, entry.guided)

    def _cut(self, entry: TextToImageEntry, name: str, items: list[tuple[int, int]], use: str) -> list[ImageBatch]:
        parts = [items[k : k + self.batch] for k in range(0, len(items), self.batch)]
        return [
            ImageBatch(entry, f"{name}-{number:03d}", tuple(part), _seed(self.seed, use, number))
            for number, part in enumerate(parts)
        ]


def _seed(*key: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1
