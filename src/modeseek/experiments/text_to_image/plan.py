"""Plan of the text-to-image experiment: its batches by entry, prompt and seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from modeseek.config.config import Config, GuardConfig
from modeseek.config.generators import FieldConfig, LatentConfig, PixelsConfig
from modeseek.config.optimizers import AdamConfig
from modeseek.config.priors import PriorConfig
from modeseek.experiments.common.entries import Entry, affordable_steps, check_least
from modeseek.experiments.text_to_image.entries import ENTRIES

REFERENCE = "reference"
OPTIMISED = {"field": "a coordinate network", "pixels": "a grid of pixels", "latent": "a latent"}
"""What each image is, by name of the generator, for sentences."""
GENERATORS: dict[str, type[FieldConfig | PixelsConfig | LatentConfig]] = {
    "field": FieldConfig,
    "pixels": PixelsConfig,
    "latent": LatentConfig,
}
_PREVIEWS = 6


@dataclass(frozen=True)
class ImageBatch:
    """Images that one job makes together.

    Attributes:
        entry: the method.
        name: name of the run folder.
        items: (prompt number, seed number) of each image.
        seed: random seed; equal for all entries that are compared.
    """

    entry: Entry
    name: str
    items: tuple[tuple[int, int], ...]
    seed: int

    @property
    def group(self) -> str:
        """Name of the entry, or "reference"."""
        return self.name.rpartition("-")[0]


@dataclass(frozen=True)
class TextToImage:
    """Plan in which every method makes an image of every prompt from every seed; DDIM samples are the reference.

    Attributes:
        prior_config: the pipeline.
        prompts: prompts of the images.
        entries: methods that are compared.
        scales: guidance scale by name of the entry.
        seeds: number of images of each prompt and entry.
        steps: number of optimisation steps.
        generator: what is optimised: field (a coordinate network, as in the paper), pixels or latent.
        shift: largest random shift of the images at every step, before they are encoded, pixels; 0 is none.
        reference: total number of DDIM samples that FID and KID compare with.
        sample_steps: number of DDIM steps.
        budget: prior calls per image of every entry, in place of `steps`; None uses `steps`.
        batch: maximum number of images made together.
        seed: random seed of the experiment.
        device: device of the prior and the generator.
        likelihood: number of Runge-Kutta steps of the log-likelihood; 0 skips it.
    """

    prior_config: PriorConfig
    prompts: tuple[str, ...]
    entries: tuple[Entry, ...]
    scales: Mapping[str, float]
    seeds: int = 3
    steps: int = 400
    generator: Literal["field", "pixels", "latent"] = "field"
    shift: int = 0
    reference: int = 120
    sample_steps: int = 50
    budget: int | None = None
    batch: int = 10
    seed: int = 0
    device: str = "cpu"
    likelihood: int = 0

    def __post_init__(self) -> None:
        if not self.prompts:
            raise ValueError("prompts must not be empty; write one per line")
        check_least(1, seeds=self.seeds, steps=self.steps, sample_steps=self.sample_steps, batch=self.batch)
        check_least(0, likelihood=self.likelihood)
        if 0 < self.reference < self.compared:
            raise ValueError(
                f"the reference must hold at least as many images as each method ({self.compared}), got "
                f"{self.reference}; raise --reference, or use 0 for none"
            )
        if not 0 <= self.reference <= 10**6:
            raise ValueError(f"the reference must hold 0 to 1e6 images, got {self.reference}; change --reference")
        for name, scale in self.scales.items():
            if not math.isfinite(scale):
                raise ValueError(f"a guidance scale must be finite, got {scale} for {name}; 1 is none")

    @property
    def compared(self) -> int:
        """Number of images of each entry."""
        return self.seeds * len(self.prompts)

    def batches(self, entry: Entry) -> list[ImageBatch]:
        """Batches of one entry."""
        items = [(prompt, seed) for seed in range(self.seeds) for prompt in range(len(self.prompts))]
        return self._cut(entry, entry.name, items, "compared")

    def references(self) -> list[ImageBatch]:
        """Batches of the reference."""
        n = len(self.prompts)
        return self._cut(ENTRIES["ddim"], REFERENCE, [(k % n, k // n) for k in range(self.reference)], REFERENCE)

    def config(self, batch: ImageBatch) -> Config:
        """Run configuration of a batch that is optimised.

        Raises:
            ValueError: the settings conflict, or the budget is below two steps.
        """
        entry, n = batch.entry, len(batch.items)
        scale = self.scales[entry.name]
        return Config(
            prior=self.prior_config,
            method=entry.method(scale),
            generator=GENERATORS[self.generator](n),
            optimizer=AdamConfig(entry.lr, fall=entry.fall),
            name=batch.name,
            steps=self.steps_of(entry),
            seed=batch.seed,
            prompts=tuple(self.prompts[prompt] for prompt, _ in batch.items),
            scale=1.0 if entry.guides else scale,
            shift=self.shift,
            inner_steps=entry.inner_steps,
            device=self.device,
            guard=GuardConfig(active=False),  # a grey or oversaturated image is a result here, and is measured
            previews=_PREVIEWS,
        )

    def steps_of(self, entry: Entry) -> int:
        """Number of steps of an entry; with a budget, what it allows."""
        if self.budget is None:
            return self.sample_steps if entry.make is None else self.steps
        steps = affordable_steps(entry, self.budget, self.calls(entry))
        return min(self.sample_steps, steps) if entry.make is None else steps

    def calls(self, entry: Entry) -> tuple[int, int]:
        """Prior calls per image, before the first step and in each step."""
        return entry.calls(self.scales[entry.name])

    def _cut(self, entry: Entry, name: str, items: list[tuple[int, int]], use: str) -> list[ImageBatch]:
        parts = [items[k : k + self.batch] for k in range(0, len(items), self.batch)]
        return [
            ImageBatch(entry, f"{name}-{number:03d}", tuple(part), _seed(self.seed, use, number))
            for number, part in enumerate(parts)
        ]


def _seed(*key: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1
