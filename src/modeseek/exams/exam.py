"""Exam of a text-to-image prior: its settings, the sampling of its captions, and its files."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.io.atomic import write_atomic
from modeseek.io.images import encode_png
from modeseek.io.progress import Progress
from modeseek.priors.pipeline.diffusers_sampling import sample_with_diffusers
from modeseek.reports.contact_sheet import ContactSheet
from modeseek.reports.results_files import ExperimentResult, write_experiment
from modeseek.rundir.run_dir import Run


@dataclass(frozen=True)
class Exam:
    """Settings of an exam.

    Attributes:
        folder: folder of the pipeline.
        captions: captions, one image each.
        scale: guidance scale; 1 is none.
        steps: number of scheduler steps.
        seed: random seed of noise and ground truth.
        device: device of the networks.
        batch: number of images sampled at once.
    """

    folder: Path
    captions: tuple[str, ...]
    scale: float
    steps: int
    seed: int
    device: str = "cpu"
    batch: int = 25


def sample_captions(exam: Exam) -> Generator[Progress, None, Float[Tensor, "n 3 h w"]]:
    """Samples an image of each caption with diffusers, in [0, 1], on the CPU.

    Raises:
        ValueError: the pipeline cannot be loaded.
    """
    samples: list[Tensor] = []
    for part in sample_with_diffusers(
        exam.folder, exam.captions, scale=exam.scale, steps=exam.steps, seed=exam.seed, batch=exam.batch,
        device=exam.device,
    ):  # fmt: skip
        samples.append(part)
        yield Progress("sampling", sum(map(len, samples)), len(exam.captions))
    return torch.cat(samples)


def group_equal(values: Sequence[str]) -> Int[Tensor, "n"]:
    """Number of each value's group; equal values share one."""
    numbers = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return torch.tensor([numbers[value] for value in values])


def shuffle(n: int, seed: int) -> list[int]:
    """Permutation of n captions, for the chance level."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()


def write_exam(
    run: Run,
    title: str,
    images: Float[Tensor, "n 3 h w"],
    sheet: ContactSheet,
    result: ExperimentResult,
    facts: dict[str, Any],
) -> bytes:
    """Writes `exports/` (results, images), `media/sheet.png` and `metrics.jsonl`; returns the PNG of the sheet.

    Args:
        run: run folder.
        title: title of the results.
        images: samples, one per caption.
        sheet: contact sheet of some of them.
        result: tables and findings.
        facts: further entries of `results.json`.
    """
    for index, image in enumerate(images):
        write_atomic(run.path / "exports" / f"image-{index:03d}.png", encode_png(image))
    png = sheet.png()
    write_atomic(run.path / "media" / "sheet.png", png)
    write_experiment(run, title, result, facts)
    return png
