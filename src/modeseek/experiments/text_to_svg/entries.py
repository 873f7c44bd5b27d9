"""Entries of the text-to-SVG experiment: methods with their settings, baselines, and references, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from modeseek.config.defaults import DRAWING_MSD, DRAWING_SDS, IMAGE_MSD, IMAGE_SDS
from modeseek.experiments.common.entries import Entry, fixed, sdi
from modeseek.methods.auxiliary_lora import LoRAAuxiliary
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.vsd import VSD

TRUTH, SAMPLE, TRACED, TRACED_LARGE, FIT = "truth", "sample", "traced", "traced-large", "fit"


@dataclass(frozen=True)
class DrawingEntry(Entry):
    """Method of the experiment, or a baseline without one.

    Attributes:
        start: first paths of a method: those of the baseline "fit", or random circles.
    """

    start: Literal["sample", "random"] = "sample"


def _vsd(scale: float, pipeline: bool) -> VSD:
    return VSD(scale=scale, auxiliary=LoRAAuxiliary() if pipeline else MLPAuxiliary())


_method = partial(DrawingEntry, lr=0.002, fall=0.1)  # as `modeseek svg` from a sample
BASELINES = (
    DrawingEntry(TRUTH, "True drawing", "The drawing of the word in the icon set: the ceiling.", None),
    DrawingEntry(SAMPLE, "Sample, no SVG", "The DDIM sample itself, an image of pixels.", None, ("ddim",)),
    DrawingEntry(TRACED, "Sample, traced", "The sample traced by vtracer with its default settings.", None, ("ddim",)),
    DrawingEntry(
        TRACED_LARGE,
        "Sample, enlarged and traced",
        "The same after enlarging the sample 4 times by Lanczos' windowed sinc, with settings chosen for it.",
        None,
        ("ddim",),
    ),
    DrawingEntry(
        FIT,
        "Sample, fitted",
        "Paths traced from the sample's colour regions, then fitted to it by 200 steps of Adam, without distillation: "
        "the start of modeseek svg.",
        None,
        ("ddim",),
    ),
)
"""Baselines and references, in the order of the tables; every other entry is compared with the fitted sample."""
ENTRIES = {
    entry.name: entry
    for entry in (
        _method(
            "sds",
            "SDS",
            "Score distillation, weight sigma^2, its noise level falling from 0.98 to 0.02.",
            fixed(IMAGE_SDS),
        ),
        _method(
            "msd",
            "MSD",
            "Mean-shift distillation, one call per step, bandwidth along the noise levels of SDS, with noise until "
            "70 % of the run.",
            fixed(IMAGE_MSD),
        ),
        _method("sdi", "SDI", "Score distillation via inversion: 3 inversion steps without guidance.", sdi),
        _method(
            "vsd",
            "VSD",
            "Variational score distillation, its auxiliary network a LoRA of the pipeline's that all drawings of a "
            "batch share, updated once a step; updates are no prior calls.",
            _vsd,
        ),
        _method(
            "sds-refine",
            "SDS, refining",
            "SDS with its noise level falling from 0.8 to 0.1: modeseek svg --method sds.",
            fixed(DRAWING_SDS),
        ),
        _method(
            "msd-refine",
            "MSD, refining",
            "MSD with its bandwidth along the noise levels from 0.8 to 0.1, with noise to the end: the default of "
            "modeseek svg.",
            fixed(DRAWING_MSD),
        ),
        _method(
            "msd-random", "MSD from circles", "MSD from random circles.", fixed(IMAGE_MSD), lr=0.016, start="random"
        ),
    )
}
