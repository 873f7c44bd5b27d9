"""Evaluation of a network at any noise level, by its own level of equal log-SNR; flagged beyond its training range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.schedule import Discrete, log_snr

NetworkCall = Callable[[Tensor, Tensor], Tensor]
"""Function (input of the network, timestep (b,)) -> raw network output."""


@dataclass(frozen=True)
class OwnLevel:
    """Point at the network's own noise level of equal log-SNR, variance preserving.

    Attributes:
        z_t: noised point, rescaled to that level, (b, *d).
        alpha: signal scale, (b,).
        sigma: noise scale, (b,).
        time: time of the schedule in [0, 1], float64, (b,).
        log_snr: log-SNR, clamped to the training range, float64, (b,).
    """

    z_t: Float[Tensor, "b *d"]
    alpha: Float[Tensor, "b"]
    sigma: Float[Tensor, "b"]
    time: Float[Tensor, "b"]
    log_snr: Float[Tensor, "b"]


def predict_from_levels(
    evaluate: Callable[[OwnLevel], Prediction],
    levels: Discrete,
    z_t: Float[Tensor, "b *d"],
    alpha: Float[Tensor, "b"],
    sigma: Float[Tensor, "b"],
) -> Prediction:
    """Evaluates a network trained on the discrete levels of a variance-preserving schedule.

    Between two levels the time is interpolated linearly in log-SNR. Below the cleanest level the score of that level
    is kept; above the noisiest the point is scaled to it. Both are flagged `clamped`. One call of `evaluate`.
    """
    a, s = alpha.double(), sigma.double()
    target = log_snr(a, s)
    cleanest, noisiest = levels.levels[0], levels.levels[-1]
    slack = 1e-6  # round-off of a log-SNR
    below, above = target > cleanest + slack, target < noisiest - slack
    own_log_snr = target.clamp(noisiest, cleanest)
    time = levels.t_of(own_log_snr)
    own_alpha, own_sigma = levels(time)
    noisy = s > a  # divide by the larger of the two: exact at alpha = 0 and at sigma = 0
    one = torch.ones_like(a)
    scale = torch.where(noisy, own_sigma / s.where(noisy, one), own_alpha / a.where(~noisy, one))
    own_z = expand_like(scale.to(z_t), z_t) * z_t
    prediction = evaluate(OwnLevel(own_z, own_alpha.to(z_t), own_sigma.to(z_t), time, own_log_snr))
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
