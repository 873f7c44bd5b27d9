"""Entries of the experiment on quality against calls: methods with their settings, in one table."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from modeseek.config.defaults import IMAGE_MSD, IMAGE_SDS
from modeseek.diffusion.noise_levels import Switch
from modeseek.experiments.common.entries import Entry, MakeMethod, fixed, sdi_negative
from modeseek.methods.auxiliary_lora import LoRAAuxiliary
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.ism import ISM
from modeseek.methods.sds import SDS
from modeseek.methods.vsd import VSD
from modeseek.ramp import Fading, Until

BASELINE = "sds"
"""Entry that all others are compared with."""
_INNER = 4  # optimizer steps per direction of the entries with inner steps


def _entry(
    name: str, title: str, note: str, make: MakeMethod, also: tuple[str, ...] = (), inner_steps: int = 1
) -> Entry:
    return Entry(name, title, note, make, also, lr=0.02, fall=0.1, inner_steps=inner_steps)


def _ism(scale: float, pipeline: bool) -> ISM:
    return ISM(times=Switch(), scale=scale)


def _vsd(scale: float, pipeline: bool) -> VSD:
    return VSD(scale=scale, auxiliary=LoRAAuxiliary() if pipeline else MLPAuxiliary())


_inner = partial(_entry, inner_steps=_INNER)
ENTRIES = {
    entry.name: entry
    for entry in (
        _entry(
            "sds",
            "SDS",
            "Score distillation, weight sigma^2, its noise level falling from 0.98 to 0.02.",
            fixed(IMAGE_SDS),
        ),
        _entry(
            "sds-switch",
            "SDS, switched",
            "Score distillation at noise levels drawn from 0.02 to 0.98 in the first half of the run and from 0.02 to "
            "0.5 in the second, as ProlificDreamer draws them.",
            fixed(SDS(times=Switch())),
            ("vsd",),
        ),
        _entry(
            "msd",
            "MSD",
            "Mean-shift distillation, one call per step, bandwidth sigma / alpha at the noise levels of SDS, weight "
            "alpha sigma, with noise (jitter 1) until 70 % of the run and none after it.",
            fixed(IMAGE_MSD),
        ),
        _entry("msd-plain", "MSD, no jitter", "The same without noise.", fixed(replace(IMAGE_MSD, jitter=0.0))),
        _entry(
            "msd-half",
            "MSD, half jitter",
            "The same with jitter 0.5.",
            fixed(replace(IMAGE_MSD, jitter=0.5)),
        ),
        _entry(
            "msd-fading",
            "MSD, fading jitter",
            "The same with jitter that falls linearly from 1 to 0 at 60 % of the run.",
            fixed(replace(IMAGE_MSD, jitter=Fading())),
        ),
        _entry(
            "msd-product-end",
            "MSD, product at the end",
            "MSD whose target is sampled from the exact product prior in the last 30 % of the run, 2 Heun steps (3 "
            "evaluations).",
            fixed(replace(IMAGE_MSD, finish="product", finish_from=0.7, steps=2)),
            ("edm",),
        ),
        _entry(
            "sdi", "SDI", "Score distillation via inversion: 10 inversion steps at the negative guidance scale.",
            sdi_negative,
        ),
        _entry(
            "ism",
            "ISM",
            "Interval score matching: DDIM inversion without a prompt, at noise levels 0.02 to 0.98 in the first half "
            "of the run and 0.02 to 0.5 in the second.",
            _ism,
        ),
        _entry(
            "vsd",
            "VSD",
            "Variational score distillation of a batch of images, its auxiliary network a LoRA of the pipeline's (a "
            "small MLP for digits), updated once a step; updates are no prior calls.",
            _vsd,
        ),
        _inner("sds-inner", "SDS, inner steps", "SDS with 4 optimizer steps per direction.", fixed(IMAGE_SDS)),
        _inner("msd-inner", "MSD, inner steps", "MSD with 4 optimizer steps per direction.", fixed(IMAGE_MSD)),
        _inner(
            "msd-early-inner",
            "MSD, early jitter, inner steps",
            "MSD with noise until 30 % of the run, with 4 optimizer steps per direction.",
            fixed(replace(IMAGE_MSD, jitter=Until(0.3))),
        ),
        _inner(
            "msd-plain-inner",
            "MSD, no jitter, inner steps",
            "MSD without noise, with 4 optimizer steps per direction.",
            fixed(replace(IMAGE_MSD, jitter=0.0)),
        ),
    )
}  # fmt: skip
SAMPLES = Entry("ddim", "DDIM", "Samples of the prior, for comparison: what its sampler draws.", None, ("ddim",))
