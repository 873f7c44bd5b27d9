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
from modeseek.methods.sds_bridge import SDSBridge
from modeseek.methods.cfd import CFD, FSD
from modeseek.methods.debiased import Debiased
from modeseek.methods.control_variate import ControlVariate
from modeseek.methods.csd import CSD
from modeseek.methods.dds import DDS
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
    "Cameras",
    "CameraView",
    "Mesh",
    "Surface",
    "Background",
    "BlobInit",
    "Dense",
    "Fourier",
    "HashGrid",
    "NeRF",
    "EmptySpaceSkipping",
    "ResolutionStage",
    "Triplane",
    "Orbit",
    "RaySamples",
    "Rendering3D",
    "Distortion",
    "NormalSmoothness",
    "OpacityEntropy",
    "Orientation",
    "Sparsity",
    "TotalVariation",
    "ZVariance",
    "CameraConditions",
    "DebiasedPrompts",
    "FineConditions",
    "FinePrompts",
    "MultiviewPrompts",
    "BertViews",
    "ResizeCodec",
    "Auxiliary",
    "AuxiliaryInput",
    "AuxiliaryTarget",
    "MLPAuxiliary",
    "PerItem",
    "WorldNoise",
    "ExactAuxiliary",
    "LoRAAuxiliary",
    "FSD",
    "RBF",
    "ASD",
    "AsyncSD",
    "SDSBridge",
    "CFD",
    "ControlVariate",
    "CSD",
    "DDS",
    "Debiased",
    "DSD",
    "ESD",
    "HiFA",
    "IRFDS",
    "ISM",
    "JSD",
    "MVDream",
    "Opening",
    "NFSD",
    "PDS",
    "RFDS",
    "RFDSRev",
    "RSD",
    "SJC",
    "Stein",
    "SteinDreamer",
    "UCM",
    "VSD",
    "PerpNeg",
    "PerpNegViews",
    "Ramp",
    "DreamTime",
    "MSD",
    "SDI",
    "SDS",
    "VE",
    "VP",
    "Adaptive",
    "Annealed",
    "AutoGuidance",
    "BasePrior",
    "Bundled",
    "Certificate",
    "Conditions",
    "Config",
    "Cosine",
    "Counting",
    "Direction",
    "Discrete",
    "MemoryOptions",
    "Empirical",
    "Fading",
    "Field",
    "Fixed",
    "Flow",
    "GaussianMixture",
    "Geometric",
    "Guided",
    "Identity",
    "Image",
    "Latent",
    "LoRA",
    "MeanShift",
    "Method",
    "Modes",
    "Network",
    "Pipeline",
    "Points",
    "Prediction",
    "Prior",
    "Product",
    "RangeCodec",
    "Rendering",
    "Rng",
    "Run",
    "ScaledSchedule",
    "RenderContext",
    "Schedule",
    "Step",
    "Streams",
    "Distributed",
    "Uniform",
    "View",
    "ViewConditions",
    "ViewPrompts",
    "alpha_sigma_squared",
    "certify",
    "ddim",
    "ddpm",
    "distill",
    "dpmpp_2m",
    "find_modes",
    "heun",
    "invert",
    "kernel_score",
    "log_likelihood",
    "mean_shift",
    "prior_scale",
    "resume",
    "run",
    "shift",
    "sigma_over_alpha",
    "sigma_squared",
    "surrogate",
    "unit_weight",
]
