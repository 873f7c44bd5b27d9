"""Image files of jobs: reading in batches, and export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.text_to_image.jobs import JobResult
from modeseek.io.atomic import write_atomic

_AT_ONCE = 16  # images of a batch


def read_images(paths: Sequence[Path]) -> Float[Tensor, "n 3 h w"]:
    """Images of one size, in [0, 1].

    Raises:
        ValueError: a file is no image.
        OSError: a file cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    images = []
    for path in paths:
        try:
            with Image.open(path) as image:
                images.append(torch.from_numpy(np.asarray(image.convert("RGB")).copy()))
        except UnidentifiedImageError as error:
            raise ValueError(
                f"{path} is no image; remove it, or the folder of its job, and run the command again"
            ) from error
    return torch.stack(images).permute(0, 3, 1, 2).float() / 255


def iterate_images(jobs: Sequence[JobResult]) -> Iterator[tuple[Float[Tensor, "n 3 h w"], list[tuple[int, int]]]]:
    """Images of the jobs, 16 at a time, with (prompt, seed) of each."""
    for job in jobs:
        for k in range(0, len(job.images), _AT_ONCE):
            yield read_images(job.images[k : k + _AT_ONCE]), list(job.batch.items[k : k + _AT_ONCE])


def export_images(jobs: Sequence[JobResult], exports: Path) -> None:
    """Copies each image to `exports` as `<entry>-prompt<NN>-seed<N>.png`."""
    for job in jobs:
        for path, (prompt, seed) in zip(job.images, job.batch.items, strict=True):
            write_atomic(exports / f"{job.batch.entry.name}-prompt{prompt:02d}-seed{seed}.png", path.read_bytes())
