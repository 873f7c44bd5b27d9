"""All methods as entries on 2-D distributions, with the optimizer settings of SDS."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from modeseek.diffusion.noise_levels import Annealed, DreamTime
from modeseek.diffusion.schedule import log_snr
from modeseek.diffusion.weighting import Weight
from modeseek.diffusion.weighting import sigma_over_alpha as w
from modeseek.experiments.toy2d.entries import Descent, ToyEntry, ToyTask
from modeseek.experiments.toy2d.entries_tuned import TOY2D_ENTRIES, adam, sgd
from modeseek.methods.asd import ASD
from modeseek.methods.async_sd import AsyncSD
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.base import Method
from modeseek.methods.cfd import CFD, FSD
from modeseek.methods.csd import CSD
from modeseek.methods.dds import DDS
from modeseek.methods.debiased import Debiased
from modeseek.methods.dsd import DSD
from modeseek.methods.esd import ESD
from modeseek.methods.hifa import HiFA
from modeseek.methods.ism import ISM
from modeseek.methods.mvdream import MVDream
from modeseek.methods.nfsd import NFSD
from modeseek.methods.pds import PDS
from modeseek.methods.rfds import RFDS
from modeseek.methods.rfds_rev import RFDSRev
from modeseek.methods.rsd import RSD
from modeseek.methods.sds import SDS
from modeseek.methods.sds_bridge import SDSBridge
from modeseek.methods.sjc import SJC
from modeseek.methods.stein import SteinDreamer
from modeseek.methods.ucm import UCM
from modeseek.methods.vsd import VSD

_PHI = MLPAuxiliary(width=32)
_FALL = Annealed()


def _one(
    name: str,
    title: str,
    make: Callable[[float], Method],
    note: str,
    *references: str,
    needs: tuple[str, ...] = (),
    guided: bool = False,
) -> ToyEntry:
    """Entry of a method that is a function of the guidance scale, with Adam 0.01."""

    def algorithm(task: ToyTask) -> Descent:
        return Descent(make(task.scale), adam(0.01), guided, needs)

    return ToyEntry(name, title, algorithm, note, references)


def _flow(make: Callable[[Weight], Method]) -> Callable[[ToyTask], Descent]:
    """Gradient steps of DDIM's length, so that z follows the flow; with fixed noise n, other rates leave it.

    Near a component of variance s^2, `eps(z + h n) = n` holds at `mean + n s^2 / h`, which diverges as h falls.
    """

    def algorithm(task: ToyTask) -> Descent:
        schedule = task.prior.schedule
        step = (_FALL.start - _FALL.end) / max(1, task.budget // (1 if task.scale == 1 else 2) - 1)
        clean, noisy = log_snr(*schedule(torch.tensor([0.0, 1.0], dtype=task.starts.dtype))).tolist()

        def length(alpha: Tensor, sigma: Tensor) -> Tensor:
            level = log_snr(alpha, sigma).clamp(noisy, clean)  # prior calls are counted on a prior of another schedule
            cleaner, less = schedule((schedule.t_of(level) - step).clamp(min=0))
            return sigma / alpha - less / cleaner

        return Descent(make(length), sgd(1.0))

    return algorithm


_MORE = (
    _one("sjc", "SJC", lambda s: SJC(), "SDS in variance-exploding coordinates.", "sjc", guided=True),
    _one("hifa", "HiFA", lambda s: HiFA(weight=w, image_weight=0.0), "Reconstruction, noise levels falling by a "
         "square root; without its image term.", "hifa", guided=True),
    _one("dreamtime", "DreamTime", lambda s: SDS(DreamTime(), w), "SDS at noise levels of DreamTime's schedule.",
         "dreamtime", "sds", guided=True),
    _one("debiased", "D-SDS", lambda s: Debiased(SDS(weight=w)), "SDS clamped to a rising threshold.", "debiased",
         "sds", guided=True),
    _one("async-sd", "AsyncSD", lambda s: AsyncSD(weight=w, scale=s), "Two alternating noise levels.", "async-sd"),
    _one("csd", "CSD", lambda s: CSD(weight=w), "The classifier score alone: conditional minus unconditional.", "csd",
         needs=("null",)),
    _one("nfsd", "NFSD", lambda s: NFSD(weight=w, scale=s), "Noise-free; the opposite class as negative.", "nfsd",
         needs=("negative",)),
    _one("sds-bridge", "SDS-Bridge", lambda s: SDSBridge(weight=w, scale=s), "SDS, then conditional minus "
         "unconditional as source.", "sds-bridge", needs=("source",)),
    _one("ism", "ISM", lambda s: ISM(weight=w, scale=s), "Interval score matching by inversion.", "ism"),
    _one("stein", "SteinDreamer", lambda s: SteinDreamer(weight=w), "Score with variance reduction.", "stein",
         guided=True),
    _one("vsd", "VSD", lambda s: VSD(weight=w, scale=s, auxiliary=_PHI), "Minus the score of the points, "
         "estimated by an auxiliary MLP.", "vsd"),
    _one("esd", "ESD", lambda s: ESD(weight=w, scale=s, auxiliary=_PHI, entropy=0.0), "Equal to VSD without a "
         "camera.", "esd"),
    _one("asd", "ASD", lambda s: ASD(weight=w, scale=s, auxiliary=_PHI), "VSD with an adversarial update.", "asd"),
    _one("dsd", "DSD", lambda s: DSD(weight=w, scale=s), "Each point follows the trajectory of its seed.", "dsd"),
    _one("rsd", "RSD", lambda s: RSD(weight=w, repulsion=0.1), "SDS with repulsion between points.", "rsd",
         guided=True),
    ToyEntry("cfd", "CFD", _flow(lambda length: CFD(_FALL, weight=length)), "SDS with slowly refreshed noise; "
               "DDIM's step lengths, SGD 1.", ("cfd",)),
    ToyEntry("fsd", "FSD", _flow(lambda length: FSD(_FALL, weight=length)), "SDS with fixed noise; DDIM's "
               "step lengths, SGD 1.", ("fsd",)),
    _one("mvdream", "MVDream", lambda s: MVDream(views=1, scale=s), "Reconstruction, one view per group.", "mvdream"),
    _one("dds", "DDS", lambda s: DDS(weight=w, scale=s), "Editing: conditional minus unconditional source.", "dds",
         needs=("source",)),
    _one("pds", "PDS", lambda s: PDS(scale=s), "Editing by matched stochastic latents, exact coefficients.", "pds",
         needs=("source",)),
    _one("rfds", "RFDS", lambda s: RFDS(), "SDS for flows.", "rfds", guided=True),
    _one("rfds-rev", "RFDS-Rev", lambda s: RFDSRev(scale=s), "RFDS with refined noise.", "rfds"),
    _one("ucm", "UCM", lambda s: UCM(scale=s), "RFDS with inverted noise.", "ucm"),
)  # fmt: skip
ALL_ENTRIES = TOY2D_ENTRIES | {entry.name: entry for entry in _MORE}
"""Every method that needs no image, energy or camera; Adam 0.01 for those beyond `TOY2D_ENTRIES`, as for SDS."""
