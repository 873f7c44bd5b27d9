"""Samplers: functions on any prior, along any descending times.

Times are (n + 1,) shared by the batch, or (n + 1, b) with one path per row; z_t is given at times[0] and the result
is at times[-1]. `drift(z_t, alpha, sigma)` is an extra term of the score (a kernel, a likelihood), added at each level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.device import on_host
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.schedule import has_noise
from modeseek.priors.base import Prior, Rows
from modeseek.priors.wrapper import find_denoiser
from modeseek.pytree import Cond
from modeseek.rng import Rng, randn

Drift = Callable[[Tensor, Tensor, Tensor], Tensor]
Level = tuple[Tensor, Tensor]
Times = Float[Tensor, "n *b"]


def ddim(prior: Prior, z_t: Rows, times: Times, cond: Cond = None, drift: Drift | None = None) -> Rows:
    """DDIM (Song et al. 2021, arXiv 2010.02502): `z_s = alpha_s z + sigma_s eps`. First order; n calls."""
    for start, end in level_pairs(prior, z_t, times):
        p = predict_with_drift(prior, z_t, start, cond, drift)
        z_t = _ddim_step(p, end)
    return z_t


def ddpm(
    prior: Prior, z_t: Rows, times: Times, cond: Cond = None, drift: Drift | None = None, *, rng: Rng, eta: float = 1.0
) -> Rows:
    """Ancestral sampling (Ho et al. 2020, arXiv 2006.11239): DDIM with part of the noise drawn anew. n calls.

    Per step, `z_s = alpha_s z + sqrt(sigma_s^2 - c^2) eps + c n`, `c = eta sigma_s sqrt(1 - snr_t / snr_s)`.
    """
    for start, end in level_pairs(prior, z_t, times):
        z_t = ancestral_step(predict_with_drift(prior, z_t, start, cond, drift), end, rng, eta)
    return z_t


def heun(prior: Prior, z_t: Rows, times: Times, cond: Cond = None, drift: Drift | None = None) -> Rows:
    """Heun's method on the probability-flow ODE (Karras et al. 2022, arXiv 2206.00364). Second order; 2n calls at most.

    `d(z_t / alpha) = eps d(sigma / alpha)` by the trapezoidal rule where the signal dominates,
    `d(z_t / sigma) = z d(alpha / sigma)` where the noise does (finite at alpha = 0). A last step onto sigma = 0 is
    plain DDIM, as a prior need not be defined there.
    """
    for (start, end), t in zip(level_pairs(prior, z_t, times), times[1:], strict=True):
        p = predict_with_drift(prior, z_t, start, cond, drift)
        z_s = _ddim_step(p, end)
        if has_noise(prior.schedule, t).any():  # of the times as given: on the CPU they are read without waiting
            q = predict_with_drift(prior, z_s, end, cond, drift)
            noisy = start[1] > start[0]
            by_z = (end[0] - end[1] * start[0] / start[1].where(noisy, torch.ones_like(start[1]))) * noisy
            by_eps = (end[1] - end[0] * start[1] / start[0].where(~noisy, torch.ones_like(start[0]))) * ~noisy
            correction = expand_like(by_z / 2, z_t) * (q.z - p.z) + expand_like(by_eps / 2, z_t) * (q.eps - p.eps)
            z_s = z_s + correction * expand_like((end[1] > 0).to(z_t), z_t)
        z_t = z_s
    return z_t


def dpmpp_2m(prior: Prior, z_t: Rows, times: Times, cond: Cond = None, drift: Drift | None = None) -> Rows:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095). Second order between interior times; n calls."""
    previous: tuple[Prediction, Tensor] | None = None
    for start, end in level_pairs(prior, z_t, times):
        p = predict_with_drift(prior, z_t, start, cond, drift)
        width = _half_log_snr(end) - _half_log_snr(start)
        z = p.z
        if previous is not None:
            past, past_width = previous
            share = torch.where(past_width.isfinite() & width.isfinite(), width / (2 * past_width), 0.0)
            z = p.z + expand_like(share, z_t) * (p.z - past.z)
        ratio = expand_like(end[1] / start[1], z_t)
        z_t = ratio * z_t + expand_like(end[0] - end[1] * start[0] / start[1], z_t) * z
        previous = (p, width)
    return z_t


def invert(prior: Prior, z: Rows, times: Times, cond: Cond = None, drift: Drift | None = None) -> Rows:
    """DDIM inversion: from z at times[-1] up to z_t at times[0] by reversed DDIM steps. First order; n calls."""
    for start, end in reversed(list(level_pairs(prior, z, times))):
        z = _ddim_step(predict_with_drift(prior, z, end, cond, drift), start)
    return z


def predict_with_drift(
    prior: Prior, z_t: Tensor, level: Level, cond: Cond = None, drift: Drift | None = None
) -> Prediction:
    """Returns the prior's prediction with the drift added to its score."""
    p = prior.at(z_t, *level, cond)
    return p if drift is None else p.tilt(drift(z_t, *level))


def level_pairs(prior: Prior, z_t: Tensor, times: Times) -> Iterator[tuple[Level, Level]]:
    """Yields consecutive pairs of levels (alpha, sigma) along the times, each (b,).

    Raises:
        ValueError: a prior whose predictions are no posterior means (`Measured`), fewer than two times,
            times outside [0, 1] or not descending, or a second axis other than b.
    """
    if find_denoiser(prior) is not prior:
        raise ValueError(
            f"a sampler needs posterior means, got a {type(prior).__name__} prior, whose predictions are targets of "
            "mean shift; try ms.mean_shift, or ms.MSD with estimator denoiser"
        )
    n = z_t.shape[0]
    if times.ndim not in (1, 2) or len(times) < 2 or (times.ndim == 2 and times.shape[1] != n):
        raise ValueError(
            f"times must have shape (n + 1,) or (n + 1, {n}), n >= 1, got {tuple(times.shape)}; try prior.grid(n)"
        )
    if on_host(times) and (not ((times >= 0) & (times <= 1)).all() or (times.diff(dim=0) > 0).any()):
        raise ValueError("times must descend within [0, 1], got times that rise or leave it; try prior.grid(n)")
    times = times.to(z_t.device, torch.promote_types(z_t.dtype, torch.float32), non_blocking=True)
    times = times[:, None].expand(-1, n) if times.ndim == 1 else times
    pairs = [prior.schedule(t) for t in times]
    yield from zip(pairs[:-1], pairs[1:], strict=True)


def ancestral_step(p: Prediction, end: Level, rng: Rng, eta: float = 1.0) -> Tensor:
    """Returns a step of `ddpm` from a prediction to the level `end`; eta 0 is DDIM."""
    fresh = eta * end[1] * torch.sqrt(1 - snr_ratio((p.alpha, p.sigma), end))
    remaining = torch.sqrt((end[1] ** 2 - fresh**2).clamp(min=0))
    noise = randn(tuple(p.z.shape), rng, p.z)
    return _ddim_step(p, (end[0], remaining)) + expand_like(fresh, p.z) * noise


def partly_noised_step(z_t: Tensor, z: Tensor, start: Level, end: Level, fresh: float, rng: Rng) -> Tensor:
    """Returns `alpha z + sigma (sqrt(1 - fresh) eps + sqrt(fresh) n)` at `end`, eps the noise in z_t beside z."""
    eps = Prediction.from_z(z_t, *start, z).eps
    noise = randn(tuple(z.shape), rng, z)
    mixed = (1 - fresh) ** 0.5 * eps + fresh**0.5 * noise
    return expand_like(end[0], z) * z + expand_like(end[1], z) * mixed


def _ddim_step(p: Prediction, level: Level) -> Tensor:
    return expand_like(level[0], p.z) * p.z + expand_like(level[1], p.z) * p.eps


def _half_log_snr(level: Level) -> Tensor:
    return level[0].log() - level[1].log()


def snr_ratio(noisier: Level, cleaner: Level) -> Tensor:
    """Returns `snr(noisier) / snr(cleaner)` in [0, 1]; 0 where the cleaner level has no noise."""
    (a_t, s_t), (a_s, s_s) = noisier, cleaner
    return ((a_t * s_s) / (a_s * s_t)).square().clamp(max=1)
