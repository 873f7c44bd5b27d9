"""Digits under a small learned prior: its training, a job that makes images of labels, and their scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.optimizers import AdamConfig, set_rate
from modeseek.config.priors import NetworkPriorConfig
from modeseek.datasets.digits import Digits
from modeseek.distill import distill
from modeseek.experiments.quality.runner import ScoredJob
from modeseek.experiments.text_to_image.jobs import BatchResult
from modeseek.experiments.text_to_image.plan import GENERATORS
from modeseek.experiments.toy2d.digits import DigitsPlan
from modeseek.experiments.toy2d.train_prior import train_network
from modeseek.generators.base import render
from modeseek.io.atomic import remove_folder, write_atomic
from modeseek.io.images import encode_png
from modeseek.io.progress import Progress
from modeseek.io.thread_pool import single_threaded
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import Guided
from modeseek.priors.wrapper import Counting
from modeseek.reports.table import Column
from modeseek.rng import Streams
from modeseek.rundir.run_dir import Run
from modeseek.runs.session import run_session
from modeseek.sampling.samplers import ddim


def train_digits(path: Path, digits: Digits, seed: int) -> Generator[Progress, None, NetworkPriorConfig]:
    """Trains the class-conditional network of the digits benchmark into a folder, unless it is there already."""
    if not path.exists():
        network = yield from train_network(digits.train, digits.train_labels, DigitsPlan.recipe, seed)
        network.save(path)
    return NetworkPriorConfig(path)


@dataclass(frozen=True)
class DigitScorer:
    """Scores of images of digits against held-out images of their class.

    Attributes:
        digits: data set.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column("log_likelihood", "Held-out log-likelihood", "Mean log density, in nats, under a kernel estimate of the "
               "held-out images of the same class.", ".2f", "high"),
        Column("accuracy", "Accuracy", "Share that a classifier fitted to the training images assigns to the label.",
               ".2f", "high"),
    )  # fmt: skip
    digits: Digits

    @cached_property
    def classify(self) -> Callable[[Tensor], Tensor]:
        """Classifier fitted to the training images."""
        return self.digits.classifier()

    def score(
        self, images: Float[Tensor, "n c h w"], truths: Sequence[str]
    ) -> Generator[Progress, None, dict[str, Float[Tensor, "n"]]]:
        z, labels = 2 * images[:, :1] - 1, torch.tensor([int(truth) for truth in truths])
        log_likelihood = torch.empty(len(z))
        for label in labels.unique().tolist():
            log_likelihood[labels == label] = self.digits.log_likelihood(z[labels == label], label)
        yield Progress("scoring", len(images), len(images))
        return {"log_likelihood": log_likelihood, "accuracy": (self.classify(z) == labels).float()}


@dataclass(frozen=True)
class DigitJob(ScoredJob):
    """Run folder of images of labels under a small network; takes seconds, so an interrupted one starts over."""

    def run(self) -> Generator[Progress, None, BatchResult]:
        plan, batch, entry = self.plan, self.batch, self.batch.entry
        if self.path.exists():
            remove_folder(self.path)
        labels = [int(plan.prompts[prompt]) for prompt, _ in batch.items]
        steps, scale = plan.steps_of(entry), plan.scales[entry.name]
        settings = {"verb": "sample", "method": entry.name, "labels": labels, "steps": steps, "scale": scale}
        loaded = self.context.priors.load(plan.prior_config)
        run = Run.create(
            settings | {"lr": entry.lr, "fall": entry.fall, "seed": batch.seed},
            name_parts=[batch.name],
            command=self.context.command,
            prior=loaded.record(plan.prior_config.title),
            device=plan.device,
            out=self.path,
        )
        counting, cond = Counting(loaded.prior), torch.tensor(labels, device=loaded.prior.device)
        conditions = Conditions(cond, null=torch.full_like(cond, -1))
        with run_session(run), single_threaded():
            if entry.make is None:
                z = yield from self._draw_samples(counting, conditions)
                images = loaded.codec.decode(z)
            else:
                images = yield from self._optimise(run, loaded, counting, conditions)
            for index, image in enumerate(images):
                write_atomic(run.path / "exports" / f"image-{index:03d}.png", encode_png(image))
            replace(run.status, calls=counting.calls, step=steps, steps=steps).write(run.path)
        result = self.load()
        if result is None:
            raise ValueError(f"images of {self.path} were removed while it ran; remove that folder and rerun")
        return result

    def _draw_samples(self, counting: Counting, conditions: Conditions) -> Generator[Progress, None, Tensor]:
        batch, steps = self.batch, self.plan.steps_of(self.batch.entry)
        rng = Streams(batch.seed, items=tuple(range(len(batch.items))), use="start")
        z, times = counting.start(len(batch.items), rng), counting.grid(steps)
        prior = self._guided(counting)
        for index in range(steps):
            with torch.no_grad():
                z = ddim(prior, z, times[index : index + 2], conditions)
            yield Progress("sampling", index + 1, steps)
        return z

    def _optimise(
        self, run: Run, loaded: LoadedPrior, counting: Counting, conditions: Conditions
    ) -> Generator[Progress, None, Tensor]:
        plan, batch, entry = self.plan, self.batch, self.batch.entry
        steps = plan.steps_of(entry)
        built = GENERATORS[plan.generator](len(batch.items)).make(loaded, batch.seed)
        adam = AdamConfig(entry.lr, fall=entry.fall)
        optimizer = adam.make(built.module.parameters())
        shift = None
        for step in distill(
            built.module,
            counting if entry.guides else self._guided(counting),
            entry.method(plan.scales[entry.name], pipeline=False),
            optimizer,
            steps=steps,
            batch=built.batch,
            inner_steps=entry.inner_steps,
            conditions=conditions,
            codec=built.codec,
            rng=Streams(batch.seed),
        ):
            set_rate(optimizer, adam.rate(min(1.0, (step.index + 1) / (steps - 1))))
            shift = step.direction.logs.get("relative_shift")
            yield Progress("optimising", step.index + 1, steps)
        if shift is not None:
            write_atomic(
                run.path / "metrics.jsonl",
                json.dumps({"step": steps - 1, "relative_shift": shift.mean().item()}) + "\n",
            )
        with torch.no_grad():
            image = render(built.module, built.module.preview_view()).image
        return image if built.pixels else loaded.codec.decode(image)

    def _guided(self, counting: Counting) -> Prior:
        scale = self.plan.scales[self.batch.entry.name]
        return counting if scale == 1 else Guided(counting, scale)
