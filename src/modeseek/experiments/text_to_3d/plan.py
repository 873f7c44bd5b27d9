"""What the text-to-3-D experiment does: which things, by whom, told what, from which seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from modeseek.config.camera_prompts import CameraPromptsConfig
from modeseek.config.config import Config, GuardConfig
from modeseek.config.generators3d import NeRFConfig, VolumeKind
from modeseek.config.optimizers import AdamConfig
from modeseek.config.priors import PipelinePriorConfig, PriorConfig, RenderedPriorConfig
from modeseek.datasets.scenes.lighting import OVERHEAD_LIGHT
from modeseek.datasets.scenes.static_scene import StaticScene
from modeseek.experiments.text_to_3d.defaults import RATES
from modeseek.experiments.text_to_3d.entries import TextTo3DEntry
from modeseek.experiments.text_to_3d.view_conditioning import ViewConditioning
from modeseek.metrics.scenes.janus import has_front_face
from modeseek.runs.count_calls import count_prior_calls

RENDERS = "renders"
_OPPOSED = 2  # times as many calls as plain guidance: Perp-Neg asks for two other views as well
_SIDE = 64  # of what the exact prior sees, where nothing else is said


@dataclass(frozen=True)
class TextTo3DJob:
    """One thing by one method.

    Attributes:
        player: who makes it.
        telling: what the prior is told of views.
        caption: number of what it shall be.
        seed: of all its draws; the same for all who are compared.
        name: of its folder.
    """

    entry: TextTo3DEntry
    conditioning: ViewConditioning
    caption: int
    seed: int
    name: str


@dataclass(frozen=True)
class TextTo3D:
    """Every method makes the thing that each caption names, from every seed, with equally many prior calls.

    Attributes:
        prior: renders (the exact prior of each caption's own pictures), or a pipeline's folder or name.
        captions: within the grammar of `problems.scenes`, one object or one on another.
        players: who is compared, by how many of the captions: the first so many; None is all.
        tellings: what the prior is told of views. The first is for all; under the others only captions with a front
            are played, by players of all captions.
        seeds: runs of a caption and player.
        steps: of a player that asks the prior once a step (twice when guided); others take fewer, see `steps_of`.
        budget: prior calls an item that every player may spend, in place of the steps; None leaves the steps.
        size: side of the pictures, pixels; None is 64, or what the pipeline sees.
        views: cameras a step.
        volume: what holds density and colour.
        scale: of classifier-free guidance; the exact prior knows none.
        seed: of the experiment.
        device: where.
    """

    prior: str
    captions: tuple[str, ...]
    entries: Mapping[TextTo3DEntry, int | None]
    conditionings: tuple[ViewConditioning, ...]
    seeds: int = 3
    steps: int = 300
    budget: int | None = None
    size: int | None = None
    views: int = 4
    volume: VolumeKind = "dense"
    scale: float = 3.0
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.captions or not self.entries or not self.conditionings:
            raise ValueError("the experiment needs captions, methods and a way to tell views: got none; name some")
        if len(set(self.captions)) < len(self.captions):
            raise ValueError(f"a caption is played once: got {list(self.captions)}; leave out the second")
        for name, least in (("seeds", 1), ("steps", 2), ("views", 1), ("size", 8)):
            if getattr(self, name) is not None and getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}: got {getattr(self, name)}; raise it")
        if not math.isfinite(self.scale):
            raise ValueError(f"a guidance scale is finite: got {self.scale}; 1 is none")
        for conditioning in self.conditionings:
            if self.exact and conditioning.bins is None:
                raise ValueError(
                    f"the prior of renders is told the camera, no words: got consistency {conditioning.name!r}; choose "
                    "none, words or fine, or a pipeline with --prior"
                )

    @property
    def exact(self) -> bool:
        """Whether the prior is the exact one of renders."""
        return self.prior == RENDERS

    @property
    def guidance(self) -> float:
        """Of all players."""
        return 1.0 if self.exact else self.scale

    @cached_property
    def scenes(self) -> tuple[StaticScene, ...]:
        """The true things, under the lamp that the prior's pictures are lit by.

        Raises:
            ValueError: a caption that names no such thing.
        """
        return tuple(StaticScene.from_caption(caption, OVERHEAD_LIGHT if self.exact else None) for caption in self.captions)

    @property
    def with_front(self) -> tuple[int, ...]:
        """Numbers of the captions with a front."""
        return tuple(k for k, scene in enumerate(self.scenes) if has_front_face(scene.parsed))

    def jobs(self) -> list[TextTo3DJob]:
        """All there is to do, seed by seed, so that an interrupted experiment has seen everybody."""
        return [
            TextTo3DJob(entry, conditioning, caption, seed, self._name(entry, conditioning, caption, seed))
            for seed in range(self.seeds)
            for number, conditioning in enumerate(self.conditionings)
            for caption in range(len(self.captions))
            for entry, most in self.entries.items()
            if (caption < (len(self.captions) if most is None else most) if number == 0 else most is None)
            and (number == 0 or caption in self.with_front)
        ]

    def prior_config(self, job: TextTo3DJob) -> PriorConfig:
        """Whom the play asks."""
        if self.exact:
            return RenderedPriorConfig(self.captions[job.caption], self.size or _SIDE, job.conditioning.bins or 1)
        return PipelinePriorConfig(self.prior)

    def config(self, job: TextTo3DJob) -> Config:
        """The run of one play, as `modeseek shape` would make it."""
        entry, guidance = job.entry, self.guidance
        return Config(
            prior=self.prior_config(job),
            method=entry.method(guidance, not self.exact),
            generator=NeRFConfig(self.volume, self.views, None if self.exact else self.size),
            optimizer=AdamConfig(**RATES[self.volume]),
            name=job.name,
            steps=self.steps_of(entry, job.conditioning),
            seed=self.seed + job.seed,
            prompts=() if self.exact else (self.captions[job.caption],),
            views=CameraPromptsConfig() if self.exact else job.conditioning.views(entry.guided),
            scale=guidance if entry.guided else 1.0,
            device=self.device,
            guard=GuardConfig(active=False),  # an empty or glaring thing is a result here, and is measured
            previews=0,
        )

    def calls(self, entry: TextTo3DEntry, conditioning: ViewConditioning) -> tuple[int, int]:
        """Prior calls an item: before the first step, and each step; a second network of VSD's is no prior."""
        asked = _OPPOSED if conditioning.opposed and entry.guided and self.guidance != 1 else 1
        first, each = self._call_counts[entry]
        return asked * first, asked * each

    @cached_property
    def _call_counts(self) -> Mapping[TextTo3DEntry, tuple[int, int]]:
        """Of players whose views are not opposed."""
        return {
            entry: count_prior_calls(entry.method(self.guidance, words=False), self.guidance, entry.guided)
            for entry in self.entries
        }

    @property
    def call_budget(self) -> int:
        """Prior calls an item that every player may spend."""
        return self.budget if self.budget is not None else self.steps * (1 if self.guidance == 1 else 2)

    def steps_of(self, entry: TextTo3DEntry, conditioning: ViewConditioning) -> int:
        """Steps that a player takes: as many as its prior calls allow.

        Raises:
            ValueError: fewer than two.
        """
        first, each = self.calls(entry, conditioning)
        steps = (self.call_budget - first) // each
        if steps < 2:
            raise ValueError(
                f"{self.call_budget} prior calls an item are too few: two steps of {entry.name} take {first + 2 * each}; "
                "raise --steps or --budget"
            )
        return steps

    def _name(self, entry: TextTo3DEntry, conditioning: ViewConditioning, caption: int, seed: int) -> str:
        words = re.sub(r"[^a-z0-9]+", "-", self.captions[caption].lower()).strip("-")
        return f"{entry.name}-{conditioning.name}-{words}-{seed}"
