"""Public names of `modeseek`, where they are defined: read by type checkers, and at run time by `__init__.py`."""

from . import (
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
from .camera_conditions.view_prompts import ViewPrompts
from .codec.shifted import Shifted
from .config.config import Config
from .diffusion import noise_levels
from .diffusion import schedule as schedules
from .diffusion import weighting as weights
from .diffusion.noise_levels import Uniform
from .diffusion.prediction import Prediction
from .diffusion.schedule import VE, VP, Flow
from .diffusion.weighting import sigma_squared
from .distill import Step, distill, surrogate
from .distributed import Distributed
from .generators.base import Generator, Rendering, View
from .generators.ensemble import Ensemble
from .generators.field import Field
from .generators.image import Image, Latent
from .generators.mesh.mesh import Mesh
from .generators.mesh.painted import PaintedMesh
from .generators.mesh.surface import Surface
from .generators.nerf import NeRF
from .generators.orbit import Orbit
from .generators.points import Points
from .generators.splats import Splats
from .generators.vector.coverage import coverage
from .generators.vector.drawing import Drawing
from .meanshift import bandwidth as bandwidths
from .meanshift.bandwidth import Adaptive, Along, Fixed, Geometric
from .meanshift.certify import certify
from .meanshift.mean_shift import mean_shift, shift
from .meanshift.modes import find_modes
from .methods.base import Direction, Method, RenderContext
from .methods.kernel_score import kernel_score
from .methods.msd import MSD
from .methods.sdi import SDI
from .methods.sds import SDS
from .methods.vsd import VSD
from .operators.blur import Blur
from .operators.downsample import Downsample
from .operators.likelihood import Likelihood
from .operators.linear import Linear
from .operators.mask import Mask
from .priors.base import Conditions, Prior
from .priors.bundled import Bundled, bundled
from .priors.empirical import Empirical
from .priors.gaussian_mixture import GaussianMixture
from .priors.guidance import Guided
from .priors.measured import Measured
from .priors.network import Network
from .priors.perp_neg import PerpNeg
from .priors.pipeline import Pipeline
from .priors.product import Product
from .priors.wrapper import Counting
from .ramp import Fading, Ramp, Until
from .rng import Rng, Streams
from .rundir.run_dir import Run
from .runs.api import resume, run
from .runs.edit import EditResult, edit
from .runs.export_run import save_mesh
from .runs.paint import paint
from .runs.restore import RestoreResult, restore
from .runs.result import ImageResult, ShapeResult, SvgResult
from .runs.text_to_3d import shape
from .runs.text_to_image import image
from .runs.text_to_svg import svg
from .sampling.likelihood import log_likelihood
from .sampling.samplers import ddim, ddpm, dpmpp_2m, heun, invert

__version__: str

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

def __getattr__(name: str) -> object: ...
