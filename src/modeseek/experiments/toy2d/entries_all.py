"""All methods as entries on 2-D distributions, with the optimizer settings of SDS."""

from __future__ import annotations

from typing import Any

import torch

from modeseek.diffusion.noise_levels import Annealed, DreamTime
from modeseek.diffusion.reference_clock import time_at
from modeseek.diffusion.weighting import sigma_over_alpha as w
from modeseek.experiments.toy2d.algorithms import Descent
from modeseek.experiments.toy2d.entries import ToyEntry, ToyTask
from modeseek.experiments.toy2d.entries_tuned import TOY2D_ENTRIES, adam, sgd
from modeseek.experiments.toy2d.settings import DDIM, OptimizerSetting
from modeseek.methods import DSD, METHODS, PDS, SDI, SDS, SDSBridge
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.base import needs_of, own_scale

_PHI = MLPAuxiliary(width=32)
_FALL = Annealed()
_ADAM, _DDIM = adam(0.01), OptimizerSetting(DDIM, 1.0)


def _entry(
    name: str,
    note: str = "",
    title: str = "",
    setting: OptimizerSetting = _ADAM,
    flows: bool = False,
    needs: tuple[str, ...] = (),
    **settings: Any,
) -> ToyEntry:
    """Entry of a method at its defaults but for `settings`, with Adam 0.01; its own scale is that of the task."""
    cls = METHODS[name]

    def algorithm(task: ToyTask) -> Descent:
        method = cls(**settings, **({} if own_scale(cls) is None else {"scale": task.scale}))
        parts = tuple(dict.fromkeys((*needs_of(method), *needs)))
        return Descent(method, setting, not (cls.guides or parts), parts, flows)

    edits = "source" in needs_of(cls) and cls is not SDSBridge
    return ToyEntry(name, title or cls.__name__, algorithm, note, cls, edits=edits)


def _dsd(task: ToyTask) -> Descent:
    """DSD down to the noise level of its authors' last time, 0.32 on Stable Diffusion's clock."""
    end = time_at(task.prior.schedule, torch.tensor(DSD().least, dtype=torch.float64)).item()
    return Descent(DSD(Annealed(0.98, end, 0.5), task.scale), _ADAM, guided=False, flows=True)


_TUNED = (
    ToyEntry("sdi-3", "SDI, 3 steps", lambda task: Descent(
        SDI(Annealed(0.98, 0.02), task.scale, 1.0, inversion_steps=3), sgd(1.0), guided=False),
        "3 inversion steps; SGD 1.", SDI),
    _entry("hifa", "Without its image term.", weight=w, image_weight=0.0),
    ToyEntry("dreamtime", "DreamTime", lambda task: Descent(SDS(DreamTime(), w), adam(0.01)),
             "Noise levels of DreamTime's schedule.", SDS, ("dreamtime",)),
    _entry("debiased", "Around SDS.", "D-SDS", method=SDS(weight=w)),
    _entry("pfd", "Unguided inversion, falling noise levels.", times=_FALL, inversion_scale=1.0),
    _entry("reward-sds", "Around SDS, by likelihood.", "RewardSDS", method=SDS(weight=w), strategy="softmax", steps=1,
           denoise_scale=1.0),
    _entry("async-sd", weight=w),
    _entry("csd", weight=w, needs=("null",)),
    _entry("nfsd", "The class, blurred, as negative.", weight=w),
    _entry("sds-bridge", "The class, blurred, as source.", "SDS-Bridge", weight=w),
    _entry("stein", weight=w),
    _entry("vsd", "phi is an auxiliary MLP.", weight=w, auxiliary=_PHI),
    _entry("vpsd", "Without a reward, phi at the levels of the direction.", weight=w, auxiliary=_PHI),
    _entry("esd", "Equal to VSD without a camera.", weight=w, auxiliary=_PHI, entropy=0.0),
    _entry("asd", weight=w, auxiliary=_PHI),
    ToyEntry("dsd", "DSD", _dsd, "With its own weight, down to its authors' last noise level.", DSD),
    _entry("rsd", weight=w, repulsion=0.1),
    _entry("cfd", "DDIM's step lengths, SGD 1.", "", _DDIM, True, times=_FALL),
    _entry("fsd", "DDIM's step lengths, SGD 1.", "", _DDIM, True, times=_FALL),
    _entry("mvdream", "One view per group.", views=1),
    _entry("dds", "Edits.", weight=w),
    _entry("pds", "Edits."),
    ToyEntry("pds-exact", "PDS, exact", lambda task: Descent(PDS(scale=task.scale, coefficients="exact"), _ADAM,
             guided=False, needs=needs_of(PDS)), "Edits; with the exact coefficients.", PDS, edits=True),
    _entry("cds", "Edits; DDS, without a network.", weight=w, cut=0.0),
    _entry("dvrf", "Edits.", rate=1.0, source_scale=1.0),
    _entry("rfds-rev", title="RFDS-Rev"),
)  # fmt: skip
_PLAIN = {name: _entry(name) for name in METHODS if name not in TOY2D_ENTRIES}
ALL_ENTRIES = TOY2D_ENTRIES | _PLAIN | {entry.name: entry for entry in _TUNED}
"""Every method, those without a row above at their defaults; Adam 0.01 for those beyond `TOY2D_ENTRIES`, as for SDS."""
