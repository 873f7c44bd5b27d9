"""modeseek: mode seeking with diffusion priors.

The names that most programs need are here; all others are in `methods`, `generators`, `priors`, `operators`,
`sampling`, `camera_conditions`, `regularizers`, `schedules`, `noise_levels`, `weights`, `bandwidths`, `codec` and
`meanshift`.
"""

from modeseek import (
    camera_conditions,
    codec,
    generators,
    meanshift,
    methods,
    operators,
    priors,
    regularizers,
    sampling,
)
from modeseek.camera_conditions.view_prompts import ViewPrompts
from modeseek.codec.shifted import Shifted
from modeseek.config.config import Config
from modeseek.diffusion import noise_levels
from modeseek.diffusion import schedule as schedules
from modeseek.diffusion import weighting as weights
from modeseek.diffusion.noise_levels import Uniform
from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import VE, VP, Flow
from modeseek.diffusion.weighting import sigma_squared
from modeseek.distill import Step, distill, surrogate
from modeseek.distributed import Distributed
from modeseek.generators.base import Generator, Rendering, View
from modeseek.generators.ensemble import Ensemble
from modeseek.generators.field import Field
from modeseek.generators.image import Image, Latent
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.painted import PaintedMesh
from modeseek.generators.mesh.surface import Surface
from modeseek.generators.nerf import NeRF
from modeseek.generators.orbit import Orbit
from modeseek.generators.points import Points
from modeseek.generators.splats import Splats
from modeseek.generators.vector.coverage import coverage
from modeseek.generators.vector.drawing import Drawing
from modeseek.meanshift import bandwidth as bandwidths
from modeseek.meanshift.bandwidth import Adaptive, Along, Fixed, Geometric
from modeseek.meanshift.certify import certify
from modeseek.meanshift.mean_shift import mean_shift, shift
from modeseek.meanshift.modes import find_modes
from modeseek.methods.base import Direction, Method, RenderContext
from modeseek.methods.kernel_score import kernel_score
from modeseek.methods.msd import MSD
from modeseek.methods.sdi import SDI
from modeseek.methods.sds import SDS
from modeseek.methods.vsd import VSD
from modeseek.operators.blur import Blur
from modeseek.operators.downsample import Downsample
from modeseek.operators.likelihood import Likelihood
from modeseek.operators.linear import Linear
from modeseek.operators.mask import Mask
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.bundled import Bundled, bundled
from modeseek.priors.empirical import Empirical
from modeseek.priors.gaussian_mixture import GaussianMixture
from modeseek.priors.guidance import Guided
from modeseek.priors.measured import Measured
from modeseek.priors.network import Network
from modeseek.priors.perp_neg import PerpNeg
from modeseek.priors.pipeline import Pipeline
from modeseek.priors.product import Product
from modeseek.priors.wrapper import Counting
from modeseek.ramp import Fading, Ramp, Until
from modeseek.rng import Rng, Streams
from modeseek.rundir.run_dir import Run
from modeseek.runs.api import resume, run
from modeseek.runs.edit import EditResult, edit
from modeseek.runs.export_run import save_mesh
from modeseek.runs.paint import paint
from modeseek.runs.restore import RestoreResult, restore
from modeseek.runs.result import ImageResult, ShapeResult, SvgResult
from modeseek.runs.text_to_3d import shape
from modeseek.runs.text_to_image import image
from modeseek.runs.text_to_svg import svg
from modeseek.sampling.likelihood import log_likelihood
from modeseek.sampling.samplers import ddim, ddpm, dpmpp_2m, heun, invert

__version__ = "0.1.0"

__all__ = [
    "Adaptive",
    "Along",
    "bandwidths",
    "Blur",
    "Bundled",
    "bundled",
    "camera_conditions",
    "certify",
    "codec",
    "Conditions",
    "Config",
    "Counting",
    "coverage",
    "ddim",
    "ddpm",
    "Direction",
    "distill",
    "Distributed",
    "Downsample",
    "dpmpp_2m",
    "Drawing",
    "edit",
    "EditResult",
    "Empirical",
    "Ensemble",
    "Fading",
    "Field",
    "find_modes",
    "Fixed",
    "Flow",
    "GaussianMixture",
    "Generator",
    "generators",
    "Geometric",
    "Guided",
    "heun",
    "Image",
    "image",
    "ImageResult",
    "invert",
    "kernel_score",
    "Latent",
    "Likelihood",
    "Linear",
    "log_likelihood",
    "Mask",
    "mean_shift",
    "meanshift",
    "Measured",
    "Mesh",
    "Method",
    "methods",
    "MSD",
    "NeRF",
    "Network",
    "noise_levels",
    "operators",
    "Orbit",
    "paint",
    "PaintedMesh",
    "PerpNeg",
    "Pipeline",
    "Points",
    "Prediction",
    "Prior",
    "priors",
    "Product",
    "Ramp",
    "regularizers",
    "RenderContext",
    "Rendering",
    "restore",
    "RestoreResult",
    "resume",
    "Rng",
    "Run",
    "run",
    "sampling",
    "save_mesh",
    "schedules",
    "SDI",
    "SDS",
    "shape",
    "ShapeResult",
    "shift",
    "Shifted",
    "sigma_squared",
    "Splats",
    "Step",
    "Streams",
    "Surface",
    "surrogate",
    "svg",
    "SvgResult",
    "Uniform",
    "Until",
    "VE",
    "View",
    "ViewPrompts",
    "VP",
    "VSD",
    "weights",
]

_ROOMS = (
    methods,
    generators,
    priors,
    operators,
    sampling,
    camera_conditions,
    regularizers,
    schedules,
    noise_levels,
    weights,
    codec,
    meanshift,
    bandwidths,
)


def __dir__() -> list[str]:
    """Public names: those of `__all__`. Submodules that serve the others, such as `modeseek.ramp`, are not shown."""
    return [*__all__, "__doc__", "__file__", "__name__", "__path__", "__version__"]


def __getattr__(name: str) -> object:
    """A public name that `modeseek` itself exported before it moved to a room: kept for one release."""
    for room in _ROOMS:
        value = vars(room).get(name)
        if getattr(value, "__module__", "").startswith("modeseek."):
            return value
    raise AttributeError(f"module 'modeseek' has no attribute {name!r}")
