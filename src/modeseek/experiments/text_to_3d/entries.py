"""Entries of the text-to-3D experiment: methods with their settings, in one table."""

from __future__ import annotations

from dataclasses import replace

from modeseek.config.methods3d import MSD_3D, SDS_3D, variational_3d
from modeseek.experiments.common.entries import Entry, fixed, sdi, sdi_negative
from modeseek.methods.debiased import Debiased
from modeseek.methods.sds import SDS
from modeseek.methods.vsd import VSD
from modeseek.ramp import Ramp


def _vsd(scale: float, pipeline: bool) -> VSD:
    return replace(variational_3d("vsd", pipeline), scale=scale)


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            "sds",
            "SDS",
            "Score distillation, weight sigma^2, its noise level falling from 0.98 to 0.1.",
            fixed(SDS_3D),
        ),
        Entry(
            "sds-uniform",
            "SDS, uniform",
            "Score distillation at uniform noise levels, as its authors run it.",
            fixed(SDS()),
        ),
        Entry(
            "sds-debiased",
            "SDS, debiased",
            "The same with each component of the gradient clamped to a bound from 0.5 to 2 (D-SDS).",
            fixed(Debiased(SDS_3D, threshold=Ramp(0.5, 2.0))),
            ("sds",),
        ),
        Entry(
            "msd",
            "MSD",
            "Mean-shift distillation with the denoiser, its bandwidth at the noise levels of SDS and its weight that "
            "of SDS, with full jitter until 70 % of the run and none afterwards.",
            fixed(MSD_3D),
        ),
        Entry("msd-plain", "MSD, no jitter", "The same without jitter.", fixed(replace(MSD_3D, jitter=0.0))),
        Entry(
            "msd-product",
            "MSD, product",
            "MSD with its target sampled from the exact product prior, 8 Heun steps.",
            fixed(replace(MSD_3D, jitter=0.0, estimator="product", steps=8)),
            ("edm",),
        ),
        Entry("sdi", "SDI", "Score distillation via inversion: 3 inversion steps without guidance.", sdi),
        Entry(
            "sdi-negative",
            "SDI, negative",
            "The same with 10 inversion steps at the negative guidance scale, as its authors run it.",
            sdi_negative,
        ),
        Entry(
            "vsd",
            "VSD",
            "Variational score distillation of one particle; its auxiliary network is a LoRA of the pipeline's, or a "
            "small MLP for an exact prior.",
            _vsd,
        ),
    )
}
DEFAULT_ENTRIES = ("sds", "msd")
"""Entries that run every caption by default."""
DEFAULT_EXTRA_ENTRIES = ("sdi", "vsd")
"""Entries that run the first two captions by default."""
