"""Methods with their default settings for 3D generators: cameras that phi sees, noise that lives in the world."""

from __future__ import annotations

from modeseek.diffusion.noise_levels import Annealed
from modeseek.diffusion.weighting import alpha_sigma
from modeseek.meanshift.bandwidth import Along
from modeseek.methods.asd import ASD
from modeseek.methods.auxiliary_lora import LoRAAuxiliary
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.base import Method
from modeseek.methods.cfd import CFD, FSD
from modeseek.methods.debiased import Debiased
from modeseek.methods.esd import ESD
from modeseek.methods.msd import MSD
from modeseek.methods.pose import POSE_NUMBERS, pose
from modeseek.methods.sds import SDS
from modeseek.methods.vpsd import VPSD
from modeseek.methods.vsd import VSD
from modeseek.methods.world_noise import Triplanes, Voxels
from modeseek.ramp import Until

MSD_3D = MSD(Along(Annealed(0.98, 0.1)), weight=alpha_sigma, jitter=Until(0.7))
SDS_3D = SDS(times=Annealed(0.98, 0.1))
_METHODS: dict[str, Method] = {
    "msd": MSD_3D,
    "sds": SDS_3D,
    "debiased": Debiased(SDS_3D),
    "cfd": CFD(noise=Triplanes()),
    "fsd": FSD(noise=Voxels()),
}
_VARIATIONAL: dict[str, type[VSD]] = {"vsd": VSD, "esd": ESD, "asd": ASD, "vpsd": VPSD}


def method_3d(name: str, pipeline: bool) -> Method | None:
    """Returns the method of a registered name with its defaults in 3-D; None where those of its class apply.

    Args:
        name: registered name.
        pipeline: whether the prior is a pipeline, of whose network phi is a LoRA; else it is a small network.
    """
    return variational_3d(name, pipeline) if name in _VARIATIONAL else _METHODS.get(name)


def variational_3d(name: str, pipeline: bool) -> VSD:
    """Returns VSD, ESD or ASD whose phi is conditioned on the pose of the camera; arguments as of `method_3d`."""
    auxiliary = LoRAAuxiliary(cameras=POSE_NUMBERS) if pipeline else MLPAuxiliary(cameras=POSE_NUMBERS)
    return _VARIATIONAL[name](auxiliary=auxiliary, camera=pose)
