"""All methods as entries on 2-D distributions, with the optimizer settings of SDS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from modeseek.diffusion.noise_levels import Annealed, DreamTime
from modeseek.diffusion.schedule import log_snr
from modeseek.diffusion.weighting import Weight
from modeseek.diffusion.weighting import sigma_over_alpha as w
from modeseek.experiments.toy2d.algorithms import Descent
from modeseek.experiments.toy2d.entries import ToyEntry, ToyTask
from modeseek.experiments.toy2d.entries_tuned import TOY2D_ENTRIES, adam, sgd
from modeseek.methods import CFD, FSD, METHODS, SDS
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.base import Method, own_scale

_PHI = MLPAuxiliary(width=32)
_FALL = Annealed()


def _entry(name: str, note: str = "", title: str = "", needs: tuple[str, ...] = (), **settings: Any) -> ToyEntry:
    """Entry of a method at its defaults but for `settings`, with Adam 0.01; its own scale is that of the task."""
    cls = METHODS[name]

    def algorithm(task: ToyTask) -> Descent:
        own = {} if own_scale(cls) is None else {"scale": task.scale}
        return Descent(cls(**settings, **own), adam(0.01), guided=not (cls.guides or needs), needs=needs)

    return ToyEntry(name, title or cls.__name__, algorithm, note, cls)


def _flow(name: str, make: Callable[[Weight], Method]) -> ToyEntry:
    """Entry with gradient steps of DDIM's length, so that z follows the flow; with fixed noise n, other rates leave it.

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

    return ToyEntry(name, METHODS[name].__name__, algorithm, "DDIM's step lengths, SGD 1.", METHODS[name])


_TUNED = (
    _entry("hifa", "Without its image term.", weight=w, image_weight=0.0),
    ToyEntry("dreamtime", "DreamTime", lambda task: Descent(SDS(DreamTime(), w), adam(0.01)),
             "Noise levels of DreamTime's schedule.", SDS, ("dreamtime",)),
    _entry("debiased", "Around SDS.", "D-SDS", method=SDS(weight=w)),
    _entry("pfd", "Unguided inversion, falling noise levels.", times=_FALL, inversion_scale=1.0),
    _entry("reward-sds", "Around SDS, by likelihood.", "RewardSDS", method=SDS(weight=w), strategy="softmax", steps=1),
    _entry("async-sd", weight=w),
    _entry("csd", weight=w, needs=("null",)),
    _entry("nfsd", "The opposite class as negative.", weight=w, needs=("negative",)),
    _entry("sds-bridge", "No class as source.", "SDS-Bridge", weight=w, needs=("source",)),
    _entry("stein", weight=w),
    _entry("vsd", "phi is an auxiliary MLP.", weight=w, auxiliary=_PHI),
    _entry("vpsd", "Without a reward, phi at the levels of the direction.", weight=w, auxiliary=_PHI),
    _entry("esd", "Equal to VSD without a camera.", weight=w, auxiliary=_PHI, entropy=0.0),
    _entry("asd", weight=w, auxiliary=_PHI),
    _entry("dsd", weight=w),
    _entry("rsd", weight=w, repulsion=0.1),
    _flow("cfd", lambda length: CFD(_FALL, weight=length)),
    _flow("fsd", lambda length: FSD(_FALL, weight=length)),
    _entry("mvdream", "One view per group.", views=1),
    _entry("dds", "No class as source.", weight=w, needs=("source",)),
    _entry("pds", "No class as source, exact coefficients.", needs=("source",)),
    _entry("cds", "No class as source; DDS, without a network.", weight=w, cut=0.0, needs=("source",)),
    _entry("dvrf", "No class as source.", rate=1.0, needs=("source",)),
    _entry("rfds-rev", title="RFDS-Rev"),
)  # fmt: skip
_PLAIN = {name: _entry(name) for name in METHODS if name not in TOY2D_ENTRIES}
ALL_ENTRIES = TOY2D_ENTRIES | _PLAIN | {entry.name: entry for entry in _TUNED}
"""Every method, those without a row above at their defaults; Adam 0.01 for those beyond `TOY2D_ENTRIES`, as for SDS."""
