"""Subjects of the experiment on quality against calls: priors with their prompts, scores and defaults."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch

from modeseek.config.loaded_prior import problem_digest
from modeseek.config.priors import NetworkPriorConfig, PipelinePriorConfig, PriorConfig
from modeseek.datasets.digits import Digits
from modeseek.datasets.emoji import Icon, render_icons, with_article
from modeseek.exams.caption_exam.caption_exam import held_out_captions
from modeseek.exams.emoji_exam.emoji_exam import draw_names
from modeseek.experiments.quality.digits import DigitJob, DigitScorer, train_digits
from modeseek.experiments.quality.experiment import run_quality
from modeseek.experiments.quality.plan import Prompt, Quality
from modeseek.experiments.quality.scorers import DrawingScorer, SceneScorer
from modeseek.io.progress import Progress
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.results_files import ExperimentResult
from modeseek.rng import Streams
from modeseek.rundir.run_dir import Run
from modeseek.runs.jobs import PriorCache


@runtime_checkable
class Subject(Protocol):
    """Prior whose images can be scored.

    Attributes:
        captions: default numbers of prompts that are compared on, and of prompts of the tuning.
        tuning_seeds: number of images of each prompt and setting in the tuning.
        generator: default generator.
        rates: learning rates that are tried by default.
        prior_config: the prior.
    """

    captions: ClassVar[tuple[int, int]]
    tuning_seeds: ClassVar[int]
    generator: ClassVar[Literal["field", "pixels"]]
    rates: ClassVar[tuple[float, ...]]

    @property
    def prior_config(self) -> PriorConfig: ...

    def identity(self, priors: PriorCache) -> Mapping[str, Any]:
        """Identity of the prior, or of what it is trained on, as run folders record it."""
        ...

    def prompts(self, n: int, m: int, seed: int) -> tuple[Prompt, ...]:
        """n + m different prompts: the first n to compare on, the others for the tuning.

        Raises:
            ValueError: there are fewer.
        """
        ...

    def run(self, plan: Quality, run: Run, priors: PriorCache) -> Generator[Progress, None, ExperimentResult]:
        """Runs the experiment; see `run_quality`."""
        ...


@dataclass(frozen=True)
class SceneSubject:
    """Rendered scenes: held-out captions, scored by the scene classifier that ships with modeseek.

    Attributes:
        prior_config: the pipeline.
    """

    captions: ClassVar[tuple[int, int]] = (60, 8)
    tuning_seeds: ClassVar[int] = 1
    generator: ClassVar[Literal["field", "pixels"]] = "field"
    rates: ClassVar[tuple[float, ...]] = (0.005, 0.01, 0.02, 0.04)
    prior_config: PipelinePriorConfig

    def identity(self, priors: PriorCache) -> Mapping[str, Any]:
        return priors.load(self.prior_config).record(self.prior_config.title)

    def prompts(self, n: int, m: int, seed: int) -> tuple[Prompt, ...]:
        captions = held_out_captions(n, seed)
        others = [text for text in held_out_captions(2 * m, seed, part=2) if text not in captions]
        return tuple(Prompt(text, text) for text in (*captions, *others[:m]))

    def run(self, plan: Quality, run: Run, priors: PriorCache) -> Generator[Progress, None, ExperimentResult]:
        return run_quality(plan, run, priors, SceneScorer(SceneClassifier.packaged().to(plan.device)))


@dataclass(frozen=True)
class EmojiSubject:
    """Drawings of emoji: names, scored by the distance to all drawings.

    Attributes:
        prior_config: the pipeline.
        icons: all drawings.
    """

    captions: ClassVar[tuple[int, int]] = (60, 8)
    tuning_seeds: ClassVar[int] = 1
    generator: ClassVar[Literal["field", "pixels"]] = "field"
    rates: ClassVar[tuple[float, ...]] = (0.005, 0.01, 0.02, 0.04)
    prior_config: PipelinePriorConfig
    icons: tuple[Icon, ...]

    def identity(self, priors: PriorCache) -> Mapping[str, Any]:
        return priors.load(self.prior_config).record(self.prior_config.title)

    def prompts(self, n: int, m: int, seed: int) -> tuple[Prompt, ...]:
        return tuple(Prompt(with_article(name), name) for name in draw_names(self.icons, n + m, seed))

    def run(self, plan: Quality, run: Run, priors: PriorCache) -> Generator[Progress, None, ExperimentResult]:
        scorer = DrawingScorer(self.icons, render_icons(self.icons).to(plan.device))
        return run_quality(plan, run, priors, scorer)


@dataclass(frozen=True)
class DigitSubject:
    """Handwritten digits under a class-conditional network: labels, scored against held-out images.

    The network is trained at the beginning of the run, into its folder.
    """

    captions: ClassVar[tuple[int, int]] = (7, 3)
    tuning_seeds: ClassVar[int] = 8
    generator: ClassVar[Literal["field", "pixels"]] = "pixels"
    rates: ClassVar[tuple[float, ...]] = (0.01, 0.02, 0.04, 0.08)

    @cached_property
    def digits(self) -> Digits:
        """The data set."""
        return Digits.load()

    @property
    def prior_config(self) -> NetworkPriorConfig:
        """A stand-in without files, which `run` replaces."""
        return NetworkPriorConfig(Path("digits"))

    def identity(self, priors: PriorCache) -> Mapping[str, Any]:
        return {"title": self.prior_config.title, "sha256": problem_digest(self.digits)}

    def prompts(self, n: int, m: int, seed: int) -> tuple[Prompt, ...]:
        if n + m > 10:
            raise ValueError(
                f"there are 10 digits: --captions and --tuning-captions must add to at most 10, got {n} and {m}; try 7 "
                "and 3"
            )
        rng = Streams(seed, use="labels").generator(0, torch.device("cpu"))
        return tuple(Prompt(str(label), str(label)) for label in torch.randperm(10, generator=rng)[: n + m].tolist())

    def run(self, plan: Quality, run: Run, priors: PriorCache) -> Generator[Progress, None, ExperimentResult]:
        network = yield from train_digits(run.path / "digits", self.digits, plan.seed)
        plan = replace(plan, prior_config=network)
        return (yield from run_quality(plan, run, priors, DigitScorer(self.digits), DigitJob))
