"""Entries of the text-to-image experiment: methods with their settings, in one table."""

from __future__ import annotations

from dataclasses import replace

from modeseek.config.defaults import IMAGE_MSD, IMAGE_SDS
from modeseek.experiments.common.entries import Entry, fixed, sdi, sdi_negative
from modeseek.methods.sds import SDS

ENTRIES = {
    entry.name: entry
    for entry in (
        Entry("ddim", "DDIM", "Samples: the reference, and the lower bound of FID and KID.", None, ("ddim",)),
        Entry(
            "sds",
            "SDS",
            "Score distillation, weight sigma^2, its noise level falling from 0.98 to 0.02.",
            fixed(IMAGE_SDS),
            lr=0.02,
            fall=0.1,
        ),
        Entry(
            "sds-inner",
            "SDS, inner steps",
            "The same with 4 optimizer steps towards the target of each direction.",
            fixed(IMAGE_SDS),
            lr=0.02,
            fall=0.1,
            inner_steps=4,
        ),
        Entry(
            "sds-uniform",
            "SDS, uniform",
            "Score distillation at uniform noise levels, as its authors run it.",
            fixed(SDS()),
            lr=0.02,
            fall=0.1,
        ),
        Entry("sdi", "SDI", "Score distillation via inversion: 3 inversion steps without guidance.", sdi, lr=0.02),
        Entry(
            "sdi-negative",
            "SDI, negative",
            "The same with 10 inversion steps at the negative guidance scale, as its authors run it.",
            sdi_negative,
            lr=0.02,
        ),
        Entry(
            "msd",
            "MSD",
            "Mean-shift distillation with the denoiser, one call per step, bandwidth along the noise levels of SDS, "
            "with noise until 70 % of the run; 4 optimizer steps towards each target: the default of modeseek image.",
            fixed(IMAGE_MSD),
            lr=0.02,
            fall=0.1,
            inner_steps=4,
        ),
        Entry(
            "msd-step",
            "MSD, one step",
            "MSD with one optimizer step towards each target.",
            fixed(IMAGE_MSD),
            lr=0.02,
            fall=0.1,
        ),
        Entry(
            "msd-plain",
            "MSD, no noise",
            "MSD without noise.",
            fixed(replace(IMAGE_MSD, jitter=0.0)),
            lr=0.02,
            fall=0.1,
            inner_steps=4,
        ),
        Entry(
            "msd-product",
            "MSD, product",
            "MSD with its target sampled from the exact product prior, 2 Heun steps.",
            fixed(replace(IMAGE_MSD, estimator="product", steps=2)),
            ("edm",),
            lr=0.02,
            fall=0.1,
            inner_steps=4,
        ),
        Entry(
            "msd-kernel",
            "MSD, kernel score",
            "MSD with its target sampled as in the paper: 4 DDIM steps with the kernel's score added.",
            fixed(replace(IMAGE_MSD, estimator="kernel-score", steps=4)),
            ("ddim",),
            lr=0.02,
            fall=0.1,
            inner_steps=4,
        ),
    )
}
DEFAULT_ENTRIES = ("ddim", "sds", "sdi", "msd")
