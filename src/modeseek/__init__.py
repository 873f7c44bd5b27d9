"""modeseek: mode seeking with diffusion priors."""

from modeseek.camera_conditions.bert_views import BertViews
from modeseek.camera_conditions.cameras import CameraConditions
from modeseek.camera_conditions.debiased_prompts import DebiasedPrompts
from modeseek.camera_conditions.fine_prompts import FineConditions, FinePrompts
from modeseek.camera_conditions.multiview import MultiviewPrompts
from modeseek.camera_conditions.perp_neg_views import PerpNegViews
from modeseek.camera_conditions.view_prompts import ViewConditions, ViewPrompts
from modeseek.codec import Identity, RangeCodec, ResizeCodec
from modeseek.config.config import Config
from modeseek.diffusion.noise_levels import Annealed, DreamTime, Uniform
from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import VE, VP, Cosine, Discrete, Flow, ScaledSchedule, Schedule
from modeseek.diffusion.weighting import alpha_sigma_squared, sigma_over_alpha, sigma_squared, unit_weight
from modeseek.distill import Step, distill, surrogate
from modeseek.distributed import Distributed
from modeseek.generators.base import Rendering, View
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.field import Field
from modeseek.generators.image import Image, Latent
from modeseek.generators.mesh import Mesh, Surface
from modeseek.generators.nerf import (
    Background,
    BlobInit,
    Dense,
    EmptySpaceSkipping,
    Fourier,
    HashGrid,
    NeRF,
    ResolutionStage,
    Triplane,
)
from modeseek.generators.orbit import Orbit
from modeseek.generators.points import Points
from modeseek.generators.rendering3d import RaySamples, Rendering3D
from modeseek.meanshift.bandwidth import Adaptive, Fixed, Geometric, prior_scale
from modeseek.meanshift.certify import Certificate, certify
from modeseek.meanshift.mean_shift import MeanShift, mean_shift, shift
from modeseek.meanshift.modes import Modes, find_modes
from modeseek.methods.asd import ASD
from modeseek.methods.async_sd import AsyncSD
from modeseek.methods.auxiliary import Auxiliary, AuxiliaryInput, AuxiliaryTarget
from modeseek.methods.auxiliary_exact import ExactAuxiliary
from modeseek.methods.auxiliary_lora import LoRAAuxiliary
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.base import Direction, Method, RenderContext
from modeseek.methods.cfd import CFD, FSD
from modeseek.methods.control_variate import ControlVariate
from modeseek.methods.csd import CSD
from modeseek.methods.dds import DDS
from modeseek.methods.debiased import Debiased
from modeseek.methods.dsd import DSD
from modeseek.methods.esd import ESD
from modeseek.methods.hifa import HiFA
from modeseek.methods.irfds import IRFDS
from modeseek.methods.ism import ISM
from modeseek.methods.jsd import JSD
from modeseek.methods.kernel_score import kernel_score
from modeseek.methods.msd import MSD
from modeseek.methods.mvdream import MVDream, Opening
from modeseek.methods.nfsd import NFSD
from modeseek.methods.noise_maps import PerItem, WorldNoise
from modeseek.methods.pds import PDS
from modeseek.methods.rfds import RFDS
from modeseek.methods.rfds_rev import RFDSRev
from modeseek.methods.rsd import RBF, RSD
from modeseek.methods.sdi import SDI
from modeseek.methods.sds import SDS
from modeseek.methods.sds_bridge import SDSBridge
from modeseek.methods.sjc import SJC
from modeseek.methods.stein import Stein, SteinDreamer
from modeseek.methods.ucm import UCM
from modeseek.methods.vsd import VSD
from modeseek.priors.base import BasePrior, Conditions, Prior
from modeseek.priors.bundled import Bundled
from modeseek.priors.empirical import Empirical
from modeseek.priors.gaussian_mixture import GaussianMixture
from modeseek.priors.guidance import AutoGuidance, Guided
from modeseek.priors.network import Network
from modeseek.priors.perp_neg import PerpNeg
from modeseek.priors.pipeline import LoRA, MemoryOptions, Pipeline
from modeseek.priors.product import Product
from modeseek.priors.wrapper import Counting
from modeseek.ramp import Fading, Ramp
from modeseek.regularizers import (
    Distortion,
    NormalSmoothness,
    OpacityEntropy,
    Orientation,
    Sparsity,
    TotalVariation,
    ZVariance,
)
from modeseek.rng import Rng, Streams
from modeseek.rundir.run_dir import Run
from modeseek.runs.api import resume, run
from modeseek.sampling.likelihood import log_likelihood
from modeseek.sampling.samplers import ddim, ddpm, dpmpp_2m, heun, invert

__version__ = "0.1.0"

__all__ = [
    "Adaptive",
    "alpha_sigma_squared",
    "Annealed",
    "ASD",
    "AsyncSD",
    "AutoGuidance",
    "Auxiliary",
    "AuxiliaryInput",
    "AuxiliaryTarget",
    "Background",
    "BasePrior",
    "BertViews",
    "BlobInit",
    "Bundled",
    "CameraConditions",
    "Cameras",
    "CameraView",
    "Certificate",
    "certify",
    "CFD",
    "Conditions",
    "Config",
    "ControlVariate",
    "Cosine",
    "Counting",
    "CSD",
    "ddim",
    "ddpm",
    "DDS",
    "Debiased",
    "DebiasedPrompts",
    "Dense",
    "Direction",
    "Discrete",
    "distill",
    "Distortion",
    "Distributed",
    "dpmpp_2m",
    "DreamTime",
    "DSD",
    "Empirical",
    "EmptySpaceSkipping",
    "ESD",
    "ExactAuxiliary",
    "Fading",
    "Field",
    "find_modes",
    "FineConditions",
    "FinePrompts",
    "Fixed",
    "Flow",
    "Fourier",
    "FSD",
    "GaussianMixture",
    "Geometric",
    "Guided",
    "HashGrid",
    "heun",
    "HiFA",
    "Identity",
    "Image",
    "invert",
    "IRFDS",
    "ISM",
    "JSD",
    "kernel_score",
    "Latent",
    "log_likelihood",
    "LoRA",
    "LoRAAuxiliary",
    "mean_shift",
    "MeanShift",
    "MemoryOptions",
    "Mesh",
    "Method",
    "MLPAuxiliary",
    "Modes",
    "MSD",
    "MultiviewPrompts",
    "MVDream",
    "NeRF",
    "Network",
    "NFSD",
    "NormalSmoothness",
    "OpacityEntropy",
    "Opening",
    "Orbit",
    "Orientation",
    "PDS",
    "PerItem",
    "PerpNeg",
    "PerpNegViews",
    "Pipeline",
    "Points",
    "Prediction",
    "Prior",
    "prior_scale",
    "Product",
    "Ramp",
    "RangeCodec",
    "RaySamples",
    "RBF",
    "RenderContext",
    "Rendering",
    "Rendering3D",
    "ResizeCodec",
    "ResolutionStage",
    "resume",
    "RFDS",
    "RFDSRev",
    "Rng",
    "RSD",
    "Run",
    "run",
    "ScaledSchedule",
    "Schedule",
    "SDI",
    "SDS",
    "SDSBridge",
    "shift",
    "sigma_over_alpha",
    "sigma_squared",
    "SJC",
    "Sparsity",
    "Stein",
    "SteinDreamer",
    "Step",
    "Streams",
    "Surface",
    "surrogate",
    "TotalVariation",
    "Triplane",
    "UCM",
    "Uniform",
    "unit_weight",
    "VE",
    "View",
    "ViewConditions",
    "ViewPrompts",
    "VP",
    "VSD",
    "WorldNoise",
    "ZVariance",
]
