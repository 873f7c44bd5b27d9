"""Pictures of jobs: read a few at a time, copied to where people look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.text_to_image.jobs import JobResult
from modeseek.io.atomic import write_atomic

_AT_ONCE = 16


def read_images(paths: Sequence[Path]) -> Float[Tensor, "n 3 h w"]:
    """Pictures of one size in [0, 1], as the eight bits of the files say.

    Raises:
        ValueError: a file that is no picture.
        OSError: it cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    seen = []
    for path in paths:
        try:
            with Image.open(path) as picture:
                seen.append(torch.from_numpy(np.asarray(picture.convert("RGB")).copy()))
        except UnidentifiedImageError as error:
            raise ValueError(f"{path} is no picture any more; remove its job's folder and call again") from error
    return torch.stack(seen).permute(0, 3, 1, 2).float() / 255


def iterate_images(jobs: Sequence[JobResult]) -> Iterator[tuple[Float[Tensor, "n 3 h w"], list[tuple[int, int]]]]:
    """All pictures of these jobs, some at a time, with (prompt, seed) of each."""
    for job in jobs:
        for k in range(0, len(job.images), _AT_ONCE):
            yield read_images(job.images[k : k + _AT_ONCE]), list(job.batch.items[k : k + _AT_ONCE])


def export_images(jobs: Sequence[JobResult], exports: Path) -> None:
    """Each picture as `<player>-prompt<NN>-seed<N>.png`."""
    for job in jobs:
        for path, (prompt, seed) in zip(job.images, job.batch.items, strict=True):
            write_atomic(exports / f"{job.batch.entry.name}-prompt{prompt:02d}-seed{seed}.png", path.read_bytes())
