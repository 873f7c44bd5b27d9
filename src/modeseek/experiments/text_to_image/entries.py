"""Entries of the text-to-image experiment: methods with their settings, in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modeseek.config.defaults import IMAGE_METHODS, IMAGE_MSD_KERNEL_SCORE, IMAGE_MSD_PLAIN, IMAGE_MSD_PRODUCT
from modeseek.config.registry import REGISTRY
from modeseek.methods.base import Method
from modeseek.methods.sdi import SDI


@dataclass(frozen=True)
class TextToImageEntry:
    """Method of the text-to-image experiment.

    Attributes:
        name: name on the command line, in folders and tables.
        title: display title.
        note: description, one sentence.
        references: citation keys.
        method: method as a function of the guidance scale; None samples with DDIM.
        guided: whether it uses a guided prior; else the method guides by itself.
        lr: learning rate of Adam; the default is tuned at equal prior calls.
    """

    name: str
    title: str
    note: str
    references: tuple[str, ...]
    method: Callable[[float], Method] | None = None
    guided: bool = True
    lr: float = 0.01


def _of(plain: Any) -> Callable[[float], Method]:
    return lambda scale: REGISTRY.deserialize(Method, plain, "a method of the experiment")


ENTRIES = {
    entry.name: entry
    for entry in (
        TextToImageEntry("ddim", "DDIM", "Samples: the reference, and the lower bound of FID and KID.", ("ddim",)),
        TextToImageEntry(
            "sds",
            "SDS",
            "Score distillation, weight sigma^2, its noise level falling from 0.98 to 0.02.",
            ("sds",),
            _of(IMAGE_METHODS["sds"]),
        ),
        TextToImageEntry(
            "sds-uniform",
            "SDS, uniform",
            "Score distillation at uniform noise levels, as its authors run it.",
            ("sds",),
            _of("sds"),
        ),
        TextToImageEntry(
            "sdi",
            "SDI",
            "Score distillation via inversion: 3 inversion steps without guidance.",
            ("sdi", "ddim"),
            lambda scale: SDI(scale=scale, inversion_scale=1.0, inversion_steps=3),
            guided=False,
            lr=0.02,
        ),
        TextToImageEntry(
            "sdi-negative",
            "SDI, negative",
            "The same with 10 inversion steps at the negative guidance scale, as its authors run it.",
            ("sdi", "ddim"),
            lambda scale: SDI(scale=scale, inversion_scale=1.0 if scale == 1 else -scale),
            guided=False,
        ),
        TextToImageEntry(
            "msd",
            "MSD",
            "Mean-shift distillation with the denoiser, one call a step, bandwidth 8 to 0.2, with jitter that fades "
            "out by 60 % of the run: explores like SDS, refines like mean shift.",
            ("msd", "meanshift"),
            _of(IMAGE_METHODS["msd"]),
        ),
        TextToImageEntry(
            "msd-plain", "MSD, no jitter", "The same without jitter.", ("msd", "meanshift"), _of(IMAGE_MSD_PLAIN)
        ),
        TextToImageEntry(
            "msd-product",
            "MSD, product",
            "MSD with its target sampled from the exact product prior, 2 Heun steps.",
            ("msd", "edm"),
            _of(IMAGE_MSD_PRODUCT),
            lr=0.02,
        ),
        TextToImageEntry(
            "msd-kernel",
            "MSD, kernel score",
            "MSD with its target sampled as in the paper: 4 DDIM steps with the kernel's score added.",
            ("msd", "ddim"),
            _of(IMAGE_MSD_KERNEL_SCORE),
            lr=0.02,
        ),
    )
}
DEFAULT_ENTRIES = ("ddim", "sds", "sdi", "msd")
ALL_ENTRIES = tuple(ENTRIES)
