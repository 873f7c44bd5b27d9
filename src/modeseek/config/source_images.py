"""Images of files from which generators of images start: read at the prior's size, encoded, or fitted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.config.built_generator import StartContext
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.starts import check_size
from modeseek.generators.base import BaseGenerator
from modeseek.generators.fit_images import fit_images
from modeseek.io.image_files import read_image_file
from modeseek.io.progress import Progress, relay


def read_sources(
    files: Sequence[Path], n: int, shape: tuple[int, ...], loaded: LoadedPrior
) -> Float[Tensor, "n c h w"]:
    """Reads the images of files at a size, in [0, 1]; item i starts from file i modulo their number.

    Args:
        files: image files, >= 1.
        n: number of items.
        shape: channels, height and width of an image.
        loaded: prior whose dtype and device the images take.

    Raises:
        ValueError: a file is no image.
        OSError: a file cannot be read.
    """
    check_size(n, shape)
    images = [read_image_file(file, (shape[1], shape[2]), shape[0]) for file in files]
    return torch.stack([images[item % len(images)] for item in range(n)]).to(loaded.like)


def encode_sources(images: Float[Tensor, "n c h w"], loaded: LoadedPrior) -> Float[Tensor, "n *d"]:
    """Encodes images to z by the codec of the prior, without gradients; laid out as a checkpoint restores it."""
    with torch.no_grad():
        return loaded.codec.encode(images).contiguous()


def fit_sources(
    generator: BaseGenerator, images: Float[Tensor, "n c h w"], steps: int, lr: float, context: StartContext
) -> Iterator[Progress]:
    """Fits a generator to the images that it starts from, before the first step of a run; see `fit_images`."""
    done = itertools.count(1)
    yield from relay(
        fit_images(generator, images, steps, lr),
        lambda errors: Progress("fitting", next(done), steps, f"error {errors.mean().item():.2e}"),
    )
