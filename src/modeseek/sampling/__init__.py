"""Samplers and likelihoods of a prior, and posterior samplers of a measurement."""

from __future__ import annotations

from modeseek.sampling.likelihood import log_likelihood
from modeseek.sampling.posterior import Measurement, daps, diffpir, dps, pigdm, red_diff
from modeseek.sampling.samplers import ddim, ddpm, dpmpp_2m, heun, invert

__all__ = [
    "Measurement",
    "daps",
    "ddim",
    "ddpm",
    "diffpir",
    "dpmpp_2m",
    "dps",
    "heun",
    "invert",
    "log_likelihood",
    "pigdm",
    "red_diff",
]
