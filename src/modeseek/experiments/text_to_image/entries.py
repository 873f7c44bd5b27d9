"""Who plays in the text-to-image experiment: one explicit table, nothing registers itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modeseek.config.registry import REGISTRY
from modeseek.experiments.text_to_image.defaults import KERNEL, METHODS, PLAIN, PRODUCT
from modeseek.methods.base import Method
from modeseek.methods.sdi import SDI


@dataclass(frozen=True)
class TextToImageEntry:
    """A name, and how it plays.

    Attributes:
        name: for the command line, folders and tables.
        title: for people.
        note: what it is, one sentence.
        references: citation keys.
        method: from the scale of guidance to the method; None samples plainly.
        guided: whether it is given a guided prior; else it guides by itself.
        lr: Adam's rate; by default what suits it where every method spends equally many prior calls.
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
        TextToImageEntry("ddim", "DDIM", "Plain samples: the reference, and the floor of FID and KID.", ("ddim",)),
        TextToImageEntry(
            "sds",
            "SDS",
            "Score distillation, weight sigma^2, its noise level falling from 0.98 to 0.02.",
            ("sds",),
            _of(METHODS["sds"]),
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
            "Score distillation via inversion: 3 steps of it, not guided.",
            ("sdi", "ddim"),
            lambda scale: SDI(scale=scale, inversion_scale=1.0, inversion_steps=3),
            guided=False,
            lr=0.02,
        ),
        TextToImageEntry(
            "sdi-negative",
            "SDI, negative",
            "The same by 10 steps of inversion, guided by the negative scale as its authors do.",
            ("sdi", "ddim"),
            lambda scale: SDI(scale=scale, inversion_scale=1.0 if scale == 1 else -scale),
            guided=False,
        ),
        TextToImageEntry(
            "msd",
            "MSD",
            "Mean-shift distillation by the denoiser, one call a step, bandwidth 8 to 0.2, with noise that fades out "
            "by 60 % of the run: explores like SDS, refines like mean shift.",
            ("msd", "meanshift"),
            _of(METHODS["msd"]),
        ),
        TextToImageEntry(
            "msd-plain", "MSD, no jitter", "The same without any noise.", ("msd", "meanshift"), _of(PLAIN)
        ),
        TextToImageEntry(
            "msd-product",
            "MSD, product",
            "Its target sampled from the exact product prior, 2 Heun steps.",
            ("msd", "edm"),
            _of(PRODUCT),
            lr=0.02,
        ),
        TextToImageEntry(
            "msd-kernel",
            "MSD, kernel score",
            "Its target sampled as the paper does: 4 DDIM steps with the kernel's score added.",
            ("msd", "ddim"),
            _of(KERNEL),
            lr=0.02,
        ),
    )
}
DEFAULT_ENTRIES = ("ddim", "sds", "sdi", "msd")
ALL_ENTRIES = tuple(ENTRIES)
