"""Posterior samplers of published papers: they restore an image from a linear measurement with a prior."""

from __future__ import annotations

from modeseek.sampling.posterior.daps import daps
from modeseek.sampling.posterior.diffpir import diffpir
from modeseek.sampling.posterior.dps import dps
from modeseek.sampling.posterior.measurement import Measurement
from modeseek.sampling.posterior.pigdm import pigdm
from modeseek.sampling.posterior.red_diff import red_diff

__all__ = ["Measurement", "daps", "diffpir", "dps", "pigdm", "red_diff"]
