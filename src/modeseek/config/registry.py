"""Registry of the names usable in configurations: one explicit table per kind, no self-registration.

Other packages add methods, priors and generators by entry points, which `config.plugins` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from modeseek.config.generators import (
    FieldConfig,
    GeneratorConfig,
    LatentConfig,
    PixelsConfig,
    PointsConfig,
)
from modeseek.config.generators3d import MeshConfig, NeRFConfig
from modeseek.config.names import Names
from modeseek.config.optimizers import AdamConfig, OptimizerConfig, SGDConfig
from modeseek.config.painted import PaintedMeshConfig
from modeseek.config.plugins import PluginNames
from modeseek.config.priors import (
    NetworkPriorConfig,
    PipelinePriorConfig,
    PriorConfig,
    RenderedPriorConfig,
    SamplesPriorConfig,
    ToyPriorConfig,
)
from modeseek.config.serialization import Registry
from modeseek.config.splats import BallStart, SplatFileStart, SplatsConfig, SplatsStart, VolumeStart
from modeseek.config.starts import FileStart, GridStart, NoiseStart, StartConfig
from modeseek.config.vector import DrawingConfig
from modeseek.config.vector_starts import NAMED_STARTS, DrawingStart, SvgStart
from modeseek.diffusion.noise_levels import Annealed, DreamTime, Switch, Times, Uniform
from modeseek.diffusion.schedule import VE, VP, Cosine, Flow, Schedule
from modeseek.diffusion.weighting import (
    Weight,
    alpha_sigma,
    alpha_sigma_squared,
    sigma_over_alpha,
    sigma_squared,
    unit_weight,
)
from modeseek.meanshift.bandwidth import Adaptive, Along, Bandwidth, Fixed, Geometric
from modeseek.methods import METHODS
from modeseek.methods.auxiliary import Auxiliary
from modeseek.methods.auxiliary_exact import ExactAuxiliary, Law, delta, gaussian, particles
from modeseek.methods.auxiliary_lora import LoRAAuxiliary
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.base import Method
from modeseek.methods.mvdream import Opening
from modeseek.methods.noise_maps import NoiseMap, PerParticle
from modeseek.methods.pose import pose
from modeseek.methods.rewards import LikelihoodReward, Reward
from modeseek.methods.rsd import RBF, Kernel
from modeseek.methods.stein import Baseline, constant_baseline
from modeseek.methods.vsd import Camera
from modeseek.methods.world_noise import Triplanes, Voxels
from modeseek.ramp import Fading, Hump, Ramp, Until
from modeseek.regularizers import (
    ColorPalette,
    Distortion,
    NormalSmoothness,
    OpacityBinary,
    OpacityEntropy,
    Orientation,
    PathCrossing,
    Penalty,
    SmallestArea,
    SmoothJoints,
    Sparsity,
    TotalVariation,
    ZVariance,
)
from modeseek.sampling.samplers import ddim, dpmpp_2m, heun

ALL_METHODS = PluginNames("method", METHODS, "modeseek.methods", ("init", "step", "references", "guides"))
PRIORS = PluginNames(
    "prior",
    {
        "problem": ToyPriorConfig,
        "trained": NetworkPriorConfig,
        "samples": SamplesPriorConfig,
        "pipeline": PipelinePriorConfig,
        "renders": RenderedPriorConfig,
    },
    "modeseek.priors",
    ("load", "title", "bandwidth", "default_device"),
)
GENERATORS = PluginNames(
    "generator",
    {
        "points": PointsConfig,
        "latent": LatentConfig,
        "pixels": PixelsConfig,
        "field": FieldConfig,
        "nerf": NeRFConfig,
        "surface": MeshConfig,
        "painted": PaintedMeshConfig,
        "splats": SplatsConfig,
        "drawing": DrawingConfig,
    },
    "modeseek.generators",
    ("make", "rows", "encodes", "as_3d"),
)
REWARDS = PluginNames("reward", {"likelihood": LikelihoodReward}, "modeseek.rewards", ("__call__", "scores_images"))
OPTIMIZERS = {"adam": AdamConfig, "sgd": SGDConfig}
_NOISE_MAPS = Names(
    {"per-particle": PerParticle, "voxels": Voxels, "triplanes": Triplanes}, earlier={"per-item": "per-particle"}
)

_TABLES: dict[Any, tuple[str, Mapping[str, Any]]] = {
    Method: ("method", ALL_METHODS),
    PriorConfig: ("prior", PRIORS),
    GeneratorConfig: ("generator", GENERATORS),
    OptimizerConfig: ("optimizer", OPTIMIZERS),
    StartConfig: ("start", {"noise": NoiseStart, "grid": GridStart, "file": FileStart}),
    SplatsStart: ("splats start", {"ball": BallStart, "volume": VolumeStart, "file": SplatFileStart}),
    DrawingStart: ("drawing start", {**NAMED_STARTS, "svg": SvgStart}),
    Bandwidth: ("bandwidth", {"fixed": Fixed, "geometric": Geometric, "adaptive": Adaptive, "along": Along}),
    Times: (
        "times",
        {"uniform": Uniform, "annealed": Annealed, "dream": DreamTime, "switch": Switch, "opening": Opening},
    ),
    Auxiliary: ("auxiliary", {"network": MLPAuxiliary, "adapter": LoRAAuxiliary, "exact": ExactAuxiliary}),
    Penalty: (
        "penalty",
        {
            "opacity-entropy": OpacityEntropy,
            "sparsity": Sparsity,
            "orientation": Orientation,
            "distortion": Distortion,
            "tv": TotalVariation,
            "z-variance": ZVariance,
            "smoothness": NormalSmoothness,
            "path-crossing": PathCrossing,
            "opacity-binary": OpacityBinary,
            "smallest-area": SmallestArea,
            "palette": ColorPalette,
            "smooth-joints": SmoothJoints,
        },
    ),
    Law: ("law", {"gaussian": gaussian, "delta": delta, "particles": particles}),
    NoiseMap: ("noise map", _NOISE_MAPS),
    Camera: ("camera", {"pose": pose}),
    Reward: ("reward", REWARDS),
    Kernel: ("kernel", {"rbf": RBF}),
    Baseline: ("baseline", {"constant": constant_baseline}),
    Schedule: ("schedule", {"vp": VP, "cosine": Cosine, "ve": VE, "flow": Flow}),
    Callable[[float], float]: ("varying", {"fading": Fading, "ramp": Ramp, "until": Until, "hump": Hump}),
    Callable[..., Tensor]: ("sampler", {"ddim": ddim, "heun": heun, "dpmpp-2m": dpmpp_2m}),
    Weight: (
        "weight",
        {
            "sigma-squared": sigma_squared,
            "uniform": unit_weight,
            "alpha-sigma": alpha_sigma,
            "alpha-sigma-squared": alpha_sigma_squared,
            "sigma-over-alpha": sigma_over_alpha,
        },
    ),
}
REGISTRY = Registry(_TABLES)
