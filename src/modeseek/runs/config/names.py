"""The names of everything that a configuration can hold: one explicit table a kind, nothing registers itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from modeseek.bandwidth import Adaptive, Bandwidth, Fixed, Geometric
from modeseek.jitter import Fading
from modeseek.methods.msd import MSD
from modeseek.methods.sdi import SDI
from modeseek.methods.sds import SDS
from modeseek.prior import Method
from modeseek.runs.config.generator import (
    File,
    FreeField,
    FreeLatents,
    FreePixels,
    FreePoints,
    GeneratorSource,
    Grid,
    Noise,
    Start,
)
from modeseek.runs.config.optimizer import SGD, Adam, OptimizerSource
from modeseek.runs.config.plain import Kinds
from modeseek.runs.config.prior import FromPipeline, PriorSource, Problem, Samples, Trained
from modeseek.sample import ddim, dpmpp_2m, heun
from modeseek.schedule import VE, VP, Cosine, Flow, Schedule
from modeseek.times import Annealed, Times, Uniform
from modeseek.weight import Weight, alpha_sigma_squared, sigma_over_alpha, sigma_squared, uniform

METHODS = {"msd": MSD, "sds": SDS, "sdi": SDI}
PRIORS = {"problem": Problem, "trained": Trained, "samples": Samples, "pipeline": FromPipeline}
GENERATORS = {"points": FreePoints, "latent": FreeLatents, "pixels": FreePixels, "field": FreeField}
OPTIMIZERS = {"adam": Adam, "sgd": SGD}

_TABLES: dict[Any, tuple[str, dict[str, Any]]] = {
    Method: ("method", METHODS),
    PriorSource: ("prior", PRIORS),
    GeneratorSource: ("generator", GENERATORS),
    OptimizerSource: ("optimizer", OPTIMIZERS),
    Start: ("start", {"noise": Noise, "grid": Grid, "file": File}),
    Bandwidth: ("bandwidth", {"fixed": Fixed, "geometric": Geometric, "adaptive": Adaptive}),
    Times: ("times", {"uniform": Uniform, "annealed": Annealed}),
    Schedule: ("schedule", {"vp": VP, "cosine": Cosine, "ve": VE, "flow": Flow}),
    Callable[[float], float]: ("jitter", {"fading": Fading}),
    Callable[..., Tensor]: ("sampler", {"ddim": ddim, "heun": heun, "dpmpp-2m": dpmpp_2m}),
    Weight: (
        "weight",
        {
            "sigma-squared": sigma_squared,
            "uniform": uniform,
            "alpha-sigma-squared": alpha_sigma_squared,
            "sigma-over-alpha": sigma_over_alpha,
        },
    ),
}
KINDS = Kinds(_TABLES)
