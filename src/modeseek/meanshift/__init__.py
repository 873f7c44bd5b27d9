"""Mean shift: iteration, modes, certificates and bandwidths."""

from __future__ import annotations

from modeseek.meanshift.bandwidth import prior_scale
from modeseek.meanshift.certify import Certificate
from modeseek.meanshift.mean_shift import MeanShift
from modeseek.meanshift.modes import Modes

__all__ = ["Certificate", "MeanShift", "Modes", "prior_scale"]
