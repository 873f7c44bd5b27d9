"""Hyperparameters of the methods as their authors have them, beside which the docs put ours.

`CODE` are values of public code, `PAPER` of the paper alone: its code was not public or not read. An official value is
an object that compares with ours, or words where it is none of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import modeseek as ms
from modeseek.diffusion.noise_levels import Annealed, Switch, Uniform
from modeseek.diffusion.weighting import sigma_over_alpha, sigma_squared, unit_weight
from modeseek.methods.mvdream import Opening
from modeseek.sampling.samplers import dpmpp_2m

CODE, PAPER = "code", "paper"


@dataclass(frozen=True)
class Official:
    """A hyperparameter as its authors have it.

    Attributes:
        method: name of the method.
        field: name of the hyperparameter here; scale is that of guidance, for methods of a guided prior too.
        value: official value, comparable with ours, or words.
        source: where it stands.
    """

    method: str
    field: str
    value: Any
    source: str = CODE


_STANDARD = Uniform(0.02, 0.98)
OFFICIAL = (
    Official("msd", "estimator", "kernel-score", PAPER),
    Official("msd", "bandwidth", "a schedule that no public source states", PAPER),
    Official("sds", "times", _STANDARD, "code (threestudio, stable-dreamfusion)"),
    Official("sds", "weight", sigma_squared, "code (threestudio, stable-dreamfusion)"),
    Official("sds", "scale", "101: DreamFusion's 100 plus 1 (21 on DeepFloyd IF)", "code (threestudio)"),
    Official("sjc", "times", Uniform(0.01, 0.97), "code (threestudio's version)"),
    Official("sjc", "variance_reduction", True),
    Official("sjc", "scale", "101: their 100 plus 1"),
    Official("hifa", "times", Annealed(0.98, 0.3, 0.5)),
    Official("hifa", "weight", unit_weight, "code (0.05 times it)"),
    Official("hifa", "image_weight", 0.1),
    Official("csd", "positive", 1.0),
    Official("csd", "negative", "0 falling to -1 over 5,000 steps on DeepFloyd IF; -1 rising to -0.5 on latents"),
    Official("csd", "null", "-1 rising to 0 over 5,000 steps on DeepFloyd IF; 0 falling to -0.5 on latents"),
    Official("csd", "weight", unit_weight),
    Official("csd", "normalise", "true on DeepFloyd IF, over the whole batch; false on latents"),
    Official("nfsd", "scale", 7.5, PAPER),
    Official("nfsd", "log_snr_threshold", "step 200 of 1,000 on Stable Diffusion, which is 1.126", PAPER),
    Official("sds-bridge", "scale", "40 in 2-D, 100 in 3-D"),
    Official("sds-bridge", "since", "0.5 in 2-D, 0.8 in 3-D"),
    Official("sds-bridge", "weight", unit_weight, "code (3-D)"),
    Official("async-sd", "scale", 7.5),
    Official("async-sd", "shift", 0.1),
    Official("async-sd", "times", "0.5 falling to 0.02, up to 0.98 falling to 0.5, over 25,000 steps"),
    Official("debiased", "threshold", ms.Ramp(2.0, 8.0), "code (threestudio, Stable Diffusion, over 10,000 steps)"),
    Official("reward-sds", "strategy", "min-max", PAPER),
    Official("reward-sds", "steps", 15, PAPER),
    Official("sdi", "times", Annealed(0.98, 0.25), "code (3-D; 0.98 to 0.02 in 2-D)"),
    Official("sdi", "scale", 7.5),
    Official("sdi", "inversion_scale", -7.5),
    Official("sdi", "inversion_steps", "a grid of 10 steps over all noise levels, of which those below t are taken"),
    Official("sdi", "inversion_eta", 0.3, "code (3-D)"),
    Official("pfd", "times", "0.02 to 0.98, later to 0.7", PAPER),
    Official("pfd", "sampler", dpmpp_2m, PAPER),
    Official("ism", "times", Uniform(0.02, 0.5), "code (up to 0.98 in the first 1,500 steps)"),
    Official("ism", "scale", 7.5),
    Official("ism", "gap", "0.1 falling to 0.05 over 1,500 steps (0.025 or 0.08 in some configurations)"),
    Official("ism", "stride", 0.2),
    Official("ism", "weight", sigma_over_alpha, PAPER),
    Official("segment-dreamer", "high", "0.98, after a warm-up 0.5", PAPER),
    Official("stein", "times", "not stated in public code", PAPER),
    Official("vsd", "times", Switch(0.02, 0.98, 0.5, 0.2), "code (after 5,000 of 25,000 steps)"),
    Official("vsd", "scale", 7.5),
    Official("vsd", "weight", sigma_squared),
    Official("vsd", "updates", 1),
    Official("vsd", "warmup", 500, "code (the authors'; none in threestudio)"),
    Official("vsd", "drop", 0.1),
    Official("vpsd", "times", "to 0.98, to 0.5 from step 1,000 on"),
    Official("vpsd", "scale", 7.5),
    Official("vpsd", "share", True),
    Official("esd", "entropy", 0.5, "code (threestudio: 1 - guidance_scale_lora)"),
    Official("asd", "scale", 7.5),
    Official("asd", "gamma", -0.75, "code (configurations; -1 in the class, which has no minimum)"),
    Official("dsd", "times", Annealed(0.98, 0.32, 0.5)),
    Official("dsd", "scale", 7.5),
    Official("dsd", "weight", sigma_squared),
    Official("dsd", "ode_steps", 10),
    Official("dsd", "gap", 0.1),
    Official("dsd", "least", 0.32),
    Official("rsd", "repulsion", "200, without features, multiplied by sigma squared"),
    Official("rsd", "features", "DINO in the paper; off in the committed default"),
    Official("cfd", "weight", sigma_over_alpha),
    Official("cfd", "refresh", "1e-4 to 1e-2"),
    Official("cfd", "scale", "70 on Stable Diffusion, 50 on MVDream, 7 in 2-D"),
    Official("fsd", "noise", "a world map around the object", PAPER),
    Official("mvdream", "views", 4),
    Official("mvdream", "scale", 50.0),
    Official("mvdream", "rescale", 0.5),
    Official("mvdream", "times", Opening(0.98, 0.02, 0.5, 0.8), "code (over 8,000 of 10,000 steps)"),
    Official("dds", "times", "50 to 948 of 1,000 steps"),
    Official("dds", "weight", unit_weight),
    Official("dds", "scale", 7.5),
    Official("pds", "scale", 100.0),
    Official("pds", "coefficients", "official"),
    Official("pds", "step_size", 0.002, "code (a grid of 500 steps)"),
    Official("pds", "times", _STANDARD),
    Official("cds", "cut", 3.0),
    Official("cds", "weight", unit_weight, "code (that of DDS)"),
    Official("dvrf", "scale", "16.5 on Stable Diffusion 3", PAPER),
    Official("dvrf", "source_scale", "6 on Stable Diffusion 3", PAPER),
    Official("rfds", "weight", unit_weight),
    Official("rfds", "scale", "100 on Stable Diffusion 3, 50 in 2-D"),
    Official("rfds-rev", "scale", "100 on Stable Diffusion 3, 50 on InstaFlow and in 2-D"),
    Official("ucm", "scale", 60.0, "code (configurations)"),
    Official("ucm", "inversion_steps", 3),
    Official("ucm", "since", "after 1,800 steps"),
)
