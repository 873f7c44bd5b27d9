"""Priors: exact mixtures, empirical data sets, learned networks, diffusers pipelines, and wrappers that guide them."""

from __future__ import annotations

from modeseek.priors.base import BasePrior, Conditions, DensityPrior, PhrasePlacing, Prior, TextPrior
from modeseek.priors.blurred import BlurredClasses
from modeseek.priors.bundled import Bundled
from modeseek.priors.empirical import Empirical
from modeseek.priors.gaussian_mixture import GaussianMixture
from modeseek.priors.guidance import AutoGuidance, Guided
from modeseek.priors.kernel_density import KernelDensity
from modeseek.priors.measured import Constrained, Measured
from modeseek.priors.network import Network
from modeseek.priors.perp_neg import PerpNeg
from modeseek.priors.pipeline import LoRA, MemoryOptions, Pipeline, TextualInversion
from modeseek.priors.product import Product
from modeseek.priors.wrapper import Counting

__all__ = [
    "AutoGuidance",
    "BasePrior",
    "BlurredClasses",
    "Bundled",
    "Conditions",
    "Constrained",
    "Counting",
    "DensityPrior",
    "Empirical",
    "GaussianMixture",
    "Guided",
    "KernelDensity",
    "LoRA",
    "Measured",
    "MemoryOptions",
    "Network",
    "PerpNeg",
    "PhrasePlacing",
    "Pipeline",
    "Prior",
    "Product",
    "TextPrior",
    "TextualInversion",
]
