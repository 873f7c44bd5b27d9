"""Evaluation of a network at any noise level, by its own level of equal log-SNR; flagged beyond its training range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.schedule import Discrete, log_snr

PredictionType = Literal["eps", "v", "z", "flow"]
NetworkCall = Callable[[Tensor, Tensor], Tensor]
"""Function (z, time (b,)) -> raw network output, both in the network's own scaling; time in [0, 1]."""


def predict_from_levels(
    network_call: NetworkCall,
    kind: PredictionType,
    levels: Discrete,
    z_t: Float[Tensor, "b *d"],
    alpha: Float[Tensor, "b"],
    sigma: Float[Tensor, "b"],
) -> Prediction:
    """Evaluates a network trained on the discrete levels of a variance-preserving schedule.

    Between two levels the time is interpolated linearly in log-SNR. Below the cleanest level the score of that level
    is kept; above the noisiest the point is scaled to it. Both are flagged `clamped`. One network call.
    """
    a, s = alpha.double(), sigma.double()
    target = log_snr(a, s)
    cleanest, noisiest = levels.levels[0], levels.levels[-1]
    slack = 1e-6  # round-off of a log-SNR
    below, above = target > cleanest + slack, target < noisiest - slack
    time = levels.t_of(target.clamp(noisiest, cleanest))
    own_alpha, own_sigma = levels(time)
    noisy = s > a  # divide by the larger of the two: exact at alpha = 0 and at sigma = 0
    one = torch.ones_like(a)
    scale = torch.where(noisy, own_sigma / s.where(noisy, one), own_alpha / a.where(~noisy, one))
    own = (own_alpha.to(z_t), own_sigma.to(z_t))
    own_z = expand_like(scale.to(z_t), z_t) * z_t
    prediction = _prediction(kind, own_z, own[0], own[1], network_call(own_z, time.to(z_t)))
    fade = torch.where(below, (s / a.where(below, one)) / (own_sigma / own_alpha.where(below, one)), one)
    eps = expand_like(fade.to(z_t), z_t) * prediction.eps
    aa, ss = expand_like(alpha.to(z_t), z_t), expand_like(sigma.to(z_t), z_t)
    wide_below, wide_above = expand_like(below, z_t), expand_like(above, z_t)
    z = torch.where(wide_below, (z_t - ss * eps) / aa.where(wide_below, torch.ones_like(aa)), prediction.z)
    eps = torch.where(wide_above, (z_t - aa * z) / ss.where(wide_above, torch.ones_like(ss)), eps)
    return Prediction.from_z_and_eps(z_t, alpha, sigma, z, eps, clamped=below | above)


def predict_from_flow(
    network_call: NetworkCall, z_t: Float[Tensor, "b *d"], alpha: Float[Tensor, "b"], sigma: Float[Tensor, "b"]
) -> Prediction:
    """Evaluates a rectified flow at time `sigma / (alpha + sigma)`: defined at every level. One network call."""
    total = alpha + sigma
    time = sigma / total
    own_z = z_t / expand_like(total, z_t)
    prediction = Prediction.from_flow(own_z, 1 - time, time, network_call(own_z, time))
    return Prediction.from_z_and_eps(z_t, alpha, sigma, prediction.z, prediction.eps)


def _prediction(kind: PredictionType, z_t: Tensor, alpha: Tensor, sigma: Tensor, raw: Tensor) -> Prediction:
    if kind == "eps":
        return Prediction.from_eps(z_t, alpha, sigma, raw)
    return Prediction.from_v(z_t, alpha, sigma, raw) if kind == "v" else Prediction.from_z(z_t, alpha, sigma, raw)
