"""Plan of the text-to-3D experiment: its jobs by caption, entry, view conditioning and seed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from modeseek.config.camera_prompts import CameraPromptsConfig
from modeseek.config.config import Config, GuardConfig
from modeseek.config.defaults import default_adam, default_inner_steps
from modeseek.config.generators3d import NeRFConfig, VolumeKind
from modeseek.config.priors import PipelinePriorConfig, PriorConfig, RenderedPriorConfig
from modeseek.datasets.scenes.lighting import OVERHEAD_LIGHT
from modeseek.datasets.scenes.static_scene import StaticScene
from modeseek.experiments.common.entries import Entry, affordable_steps, check_least
from modeseek.experiments.text_to_3d.representations import VOLUME, Representation, Variant
from modeseek.experiments.text_to_3d.view_conditioning import ViewConditioning
from modeseek.methods.base import has_target
from modeseek.metrics.scenes.janus import has_front_face

RENDERS = "renders"
_OPPOSED = 2  # factor of prior calls against plain guidance: Perp-Neg evaluates two negative views as well
_SIDE = 64  # default image side of the exact prior, pixels


@dataclass(frozen=True)
class TextTo3DJob:
    """Optimisation of one 3D shape by one method.

    Attributes:
        entry: the method.
        conditioning: view conditioning of the prior.
        caption: number of the caption.
        seed: random seed; equal for all entries that are compared.
        name: name of the run folder.
        representation: what the method optimises.
    """

    entry: Entry
    conditioning: ViewConditioning
    caption: int
    seed: int
    name: str
    representation: Representation = VOLUME

    @property
    def variant(self) -> Variant:
        """Method and representation."""
        return Variant(self.entry, self.representation)


@dataclass(frozen=True)
class TextTo3D:
    """Plan in which every method optimises every caption from every seed with equally many prior calls.

    Attributes:
        prior: "renders" (the exact prior of each caption's renders), or a pipeline's folder or name.
        captions: captions in the grammar of `datasets.scenes`: one object, or one on another.
        entries: methods, with the number of leading captions that each runs; None is all.
        conditionings: view conditionings. The first is for all jobs; under the others only captions with a front face
            run, by entries of all captions.
        seeds: number of runs of each caption and entry.
        steps: number of steps of an entry with one prior call per step (two guided); others take fewer, see `steps_of`.
        budget: prior calls per view of every entry, in place of `steps`; None derives it from `steps`.
        size: image side, pixels; None is 64, or the size of the pipeline.
        views: number of cameras a step.
        volume: representation of density and colour.
        representations: 3D representations, each optimised by every entry. Under further view conditionings the first
            one runs alone.
        scale: classifier-free guidance scale; the exact prior has none.
        inner_steps: number of optimizer steps per direction, of methods whose directions have a target; None is that of
            `modeseek shape`.
        seed: random seed of the experiment.
        device: device of the prior and the generator.
    """

    prior: str
    captions: tuple[str, ...]
    entries: Mapping[Entry, int | None]
    conditionings: tuple[ViewConditioning, ...]
    seeds: int = 3
    steps: int = 300
    budget: int | None = None
    size: int | None = None
    views: int = 4
    volume: VolumeKind = "dense"
    representations: tuple[Representation, ...] = (VOLUME,)
    scale: float = 3.0
    inner_steps: int | None = None
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not all((self.captions, self.entries, self.conditionings, self.representations)):
            raise ValueError("captions, methods, generators and consistency must not be empty; name one of each")
        if len(set(self.captions)) < len(self.captions):
            raise ValueError(f"captions must be distinct, got {list(self.captions)}; remove the duplicate")
        check_least(1, seeds=self.seeds, views=self.views)
        check_least(2, steps=self.steps)
        check_least(8, size=self.size)
        check_least(1, inner_steps=self.inner_steps)
        if not math.isfinite(self.scale):
            raise ValueError(f"a guidance scale must be finite, got {self.scale}; 1 is none")
        for conditioning in self.conditionings:
            if self.exact and conditioning.bins is None:
                raise ValueError(
                    f"the prior of renders takes camera labels, no text: got consistency {conditioning.name!r}; choose "
                    "none, words or fine, or a pipeline with --prior"
                )

    @property
    def exact(self) -> bool:
        """Whether the prior is the exact one of renders."""
        return self.prior == RENDERS

    @property
    def guidance(self) -> float:
        """Guidance scale of all entries."""
        return 1.0 if self.exact else self.scale

    @property
    def generator(self) -> NeRFConfig:
        """The volume, of which the other representations are made."""
        return NeRFConfig(self.volume, self.views, None if self.exact else self.size)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Every method on every representation, representation by representation."""
        return tuple(Variant(entry, each) for each in self.representations for entry in self.entries)

    @cached_property
    def scenes(self) -> tuple[StaticScene, ...]:
        """Ground-truth scenes, lit as the prior's images are.

        Raises:
            ValueError: a caption is outside the grammar.
        """
        return tuple(
            StaticScene.from_caption(caption, OVERHEAD_LIGHT if self.exact else None) for caption in self.captions
        )

    @property
    def with_front(self) -> tuple[int, ...]:
        """Numbers of the captions with a front face."""
        return tuple(k for k, scene in enumerate(self.scenes) if has_front_face(scene.parsed))

    def jobs(self) -> list[TextTo3DJob]:
        """All jobs, ordered by seed, so that an interrupted experiment covers every entry."""
        return [
            TextTo3DJob(entry, conditioning, caption, seed, self._name(variant, conditioning, caption, seed), shape)
            for seed in range(self.seeds)
            for number, conditioning in enumerate(self.conditionings)
            for shape in self.representations[: 1 if number else None]
            for caption in range(len(self.captions))
            for entry, most in self.entries.items()
            for variant in (Variant(entry, shape),)
            if (caption < (len(self.captions) if most is None else most) if number == 0 else most is None)
            and (number == 0 or caption in self.with_front)
        ]

    def prior_config(self, job: TextTo3DJob) -> PriorConfig:
        """Prior of the job."""
        if self.exact:
            return RenderedPriorConfig(self.captions[job.caption], self.size or _SIDE, job.conditioning.bins or 1)
        return PipelinePriorConfig(self.prior)

    def config(self, job: TextTo3DJob, mesh: Path = Path("mesh.ply")) -> Config:
        """Run configuration of the job, as of `modeseek shape`.

        Args:
            job: the job.
            mesh: mesh of its first stage, if it has one (`first_stage`).
        """
        return job.representation.config(self._volume_config(job), mesh)

    def first_stage(self, job: TextTo3DJob) -> Config | None:
        """Run configuration of the first stage of a job that has one."""
        return job.representation.first_stage(self._volume_config(job))

    def _volume_config(self, job: TextTo3DJob) -> Config:
        """Run configuration of a volume that takes all steps of the job."""
        entry, guidance = job.entry, self.guidance
        config = Config(
            prior=self.prior_config(job),
            method=entry.method(guidance, not self.exact),
            generator=self.generator,
            optimizer=default_adam(self.generator),
            name=job.name,
            steps=self.steps_of(entry, job.conditioning),
            seed=self.seed + job.seed,
            prompts=() if self.exact else (self.captions[job.caption],),
            views=CameraPromptsConfig() if self.exact else job.conditioning.camera_prompts(not entry.guides),
            scale=1.0 if entry.guides else guidance,
            device=self.device,
            guard=GuardConfig(active=False),  # an empty or oversaturated shape is a result here, and is measured
            previews=0,
        )
        return replace(config, inner_steps=self._inner_steps(config))

    def _inner_steps(self, config: Config) -> int:
        """Number of optimizer steps per direction of a job; 1 for methods whose directions have no target."""
        if self.inner_steps is None:
            return default_inner_steps(config.prior, config.generator, config.method_name)
        return self.inner_steps if has_target(config.method) else 1

    def calls(self, entry: Entry, conditioning: ViewConditioning) -> tuple[int, int]:
        """Prior calls per view, before the first step and in each step; an auxiliary network is no prior."""
        factor = _OPPOSED if conditioning.opposed and not entry.guides and self.guidance != 1 else 1
        first, each = self._call_counts[entry]
        return factor * first, factor * each

    @cached_property
    def _call_counts(self) -> Mapping[Entry, tuple[int, int]]:
        """Prior calls of each entry without Perp-Neg."""
        return {entry: entry.calls(self.guidance, pipeline=False) for entry in self.entries}

    @property
    def call_budget(self) -> int:
        """Prior calls per view that every entry may spend."""
        return self.budget if self.budget is not None else self.steps * (1 if self.guidance == 1 else 2)

    def steps_of(self, entry: Entry, conditioning: ViewConditioning) -> int:
        """Number of steps that the call budget allows the entry.

        Raises:
            ValueError: fewer than two.
        """
        return affordable_steps(entry, self.call_budget, self.calls(entry, conditioning))

    def _name(self, variant: Variant, conditioning: ViewConditioning, caption: int, seed: int) -> str:
        slug = re.sub(r"[^a-z0-9]+", "-", self.captions[caption].lower()).strip("-")
        return f"{variant.name}-{conditioning.name}-{slug}-{seed}"
