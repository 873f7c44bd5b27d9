"""Score-distillation methods, one paper a file, and the roster of their names."""

from __future__ import annotations

from modeseek.methods.asd import ASD
from modeseek.methods.async_sd import AsyncSD
from modeseek.methods.auxiliary import Auxiliary as Auxiliary
from modeseek.methods.auxiliary import AuxiliaryInput as AuxiliaryInput
from modeseek.methods.auxiliary import AuxiliaryTarget as AuxiliaryTarget
from modeseek.methods.auxiliary_exact import ExactAuxiliary as ExactAuxiliary
from modeseek.methods.auxiliary_lora import LoRAAuxiliary as LoRAAuxiliary
from modeseek.methods.auxiliary_mlp import MLPAuxiliary as MLPAuxiliary
from modeseek.methods.base import Method
from modeseek.methods.cds import CDS
from modeseek.methods.cfd import CFD, FSD
from modeseek.methods.control_variate import ControlVariate as ControlVariate
from modeseek.methods.csd import CSD
from modeseek.methods.data_weight import data_weight as data_weight
from modeseek.methods.dds import DDS
from modeseek.methods.debiased import Debiased
from modeseek.methods.dsd import DSD
from modeseek.methods.dvrf import DVRF
from modeseek.methods.esd import ESD
from modeseek.methods.hifa import HiFA
from modeseek.methods.irfds import IRFDS as IRFDS
from modeseek.methods.ism import ISM
from modeseek.methods.jsd import JSD as JSD
from modeseek.methods.msd import MSD
from modeseek.methods.mvdream import MVDream
from modeseek.methods.mvdream import Opening as Opening
from modeseek.methods.nfsd import NFSD
from modeseek.methods.noise_maps import PerParticle as PerParticle
from modeseek.methods.noise_maps import WorldNoise as WorldNoise
from modeseek.methods.pds import PDS
from modeseek.methods.pfd import PFD
from modeseek.methods.pose import POSE_NUMBERS as POSE_NUMBERS
from modeseek.methods.pose import pose as pose
from modeseek.methods.reward_weighted import RewardWeighted
from modeseek.methods.rewards import LikelihoodReward as LikelihoodReward
from modeseek.methods.rewards import Reward as Reward
from modeseek.methods.rfds import RFDS
from modeseek.methods.rfds_rev import RFDSRev
from modeseek.methods.rsd import RBF as RBF
from modeseek.methods.rsd import RSD
from modeseek.methods.sdi import SDI
from modeseek.methods.sds import SDS
from modeseek.methods.sds_bridge import SDSBridge
from modeseek.methods.segment_dreamer import SegmentDreamer
from modeseek.methods.sjc import SJC
from modeseek.methods.stein import Stein as Stein
from modeseek.methods.stein import SteinDreamer
from modeseek.methods.ucm import UCM
from modeseek.methods.vpsd import VPSD
from modeseek.methods.vsd import VSD
from modeseek.methods.world_noise import Triplanes as Triplanes
from modeseek.methods.world_noise import Voxels as Voxels

METHODS: dict[str, type[Method]] = {
    "msd": MSD,
    "sds": SDS,
    "sjc": SJC,
    "hifa": HiFA,
    "csd": CSD,
    "nfsd": NFSD,
    "sds-bridge": SDSBridge,
    "async-sd": AsyncSD,
    "debiased": Debiased,
    "reward-sds": RewardWeighted,
    "sdi": SDI,
    "pfd": PFD,
    "ism": ISM,
    "segment-dreamer": SegmentDreamer,
    "stein": SteinDreamer,
    "vsd": VSD,
    "vpsd": VPSD,
    "esd": ESD,
    "asd": ASD,
    "dsd": DSD,
    "rsd": RSD,
    "cfd": CFD,
    "fsd": FSD,
    "mvdream": MVDream,
    "dds": DDS,
    "pds": PDS,
    "cds": CDS,
    "dvrf": DVRF,
    "rfds": RFDS,
    "rfds-rev": RFDSRev,
    "ucm": UCM,
}
"""Methods by the names of the command line and of `config.yaml`."""
