"""Gaussian mixture prior: denoiser, density and samples in closed form at every noise level."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.device import float64_device, is_on, on_host
from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import VP, Schedule
from modeseek.priors.base import BasePrior, positive_condition
from modeseek.priors.labels import check_classes, check_labels
from modeseek.pytree import Cond, expand
from modeseek.rng import Rng, rand, randn

_CHUNK = 2**18  # float64 numbers per intermediate tensor


class GaussianMixture(BasePrior):
    """Gaussian mixture `p(z) = sum_k w_k N(z; mu_k, Sigma_k)` as a prior.

    Seen through noise each component stays Gaussian, `N(alpha mu_k, alpha^2 Sigma_k + sigma^2 I)`, so posterior
    means, noises and densities are exact at every level (log-sum-exp throughout, defined at alpha = 0 and sigma = 0).
    Computed in float64, returned in the dtype of z_t.

    Args:
        weights: component weights, (k,), non-negative, summing to 1.
        means: component means, (k, d).
        covs: component covariances, (k, d, d), symmetric positive definite.
        schedule: native noise schedule; default `VP()`.
        labels: class of each component, (k,) integers >= 0; cond is then labels (b,), -1 for all classes.

    Raises:
        ValueError: shapes that do not match, weights that do not sum to 1, covariances that are not positive definite.
    """

    def __init__(
        self,
        weights: Tensor,
        means: Tensor,
        covs: Tensor,
        schedule: Schedule | None = None,
        labels: Tensor | None = None,
    ) -> None:
        _validate(weights, means, covs, labels)
        self.schedule: Schedule = VP() if schedule is None else schedule
        self.weights, self.means, self.covs = weights.to(means), means, covs.to(means)
        self.labels = None if labels is None else labels.to(means.device)
        self.shape = (means.shape[1],)
        self.dtype, self.device = means.dtype, means.device
        self._means = self.means.double()
        self._values, axes = torch.linalg.eigh(self.covs.double())  # (k, d), (k, d, d): columns are axes
        self._rotated_means = torch.einsum("ki,kij->kj", self._means, axes)
        self._axes = axes.transpose(0, 1).flatten(1)  # (d, k * d)

    def to(self, device: str | torch.device) -> GaussianMixture:
        """Returns the prior on a device; itself if it is there.

        Raises:
            ValueError: a device without float64 (mps).
        """
        target = float64_device(device)
        if is_on(self.device, target):
            return self
        moved = (self.weights.to(target), self.means.to(target), self.covs.to(target))
        return GaussianMixture(*moved, self.schedule, self.labels)

    @property
    def n_classes(self) -> int:
        return 0 if self.labels is None else int(self.labels.max()) + 1

    def at(
        self, z_t: Float[Tensor, "b d"], alpha: Float[Tensor, "b"], sigma: Float[Tensor, "b"], cond: Cond = None
    ) -> Prediction:
        return self.evaluate(z_t, alpha, sigma, cond)[0]

    def evaluate(
        self, z_t: Float[Tensor, "b d"], alpha: Float[Tensor, "b"], sigma: Float[Tensor, "b"], cond: Cond = None
    ) -> tuple[Prediction, Float[Tensor, "b"]]:
        """Returns the prediction and `log p(z_t)` at that level; one prior call per row."""
        inputs = (z_t.double(), alpha.double(), sigma.double(), self._log_weights(cond, len(z_t)))
        rows = max(1, _CHUNK // self.means.numel())
        parts = [self._evaluate(*(x[i : i + rows] for x in inputs)) for i in range(0, max(1, len(z_t)), rows)]
        z, eps, log_p = (torch.cat(column).to(z_t) for column in zip(*parts, strict=True))
        return Prediction.from_z_and_eps(z_t, alpha, sigma, z, eps), log_p

    def log_prob(
        self, z_t: Float[Tensor, "b d"], t: Float[Tensor, "b"] | None = None, cond: Cond = None
    ) -> Float[Tensor, "b"]:
        """Returns the log density of the noised law at time t; None is the density of the data itself."""
        ones = z_t.new_ones(len(z_t))
        alpha, sigma = (ones, 0 * ones) if t is None else self.schedule(t)
        return self.evaluate(z_t, alpha, sigma, cond)[1]

    def sample(self, n: int, rng: Rng, cond: Cond = None) -> Float[Tensor, "n d"]:
        """Draws n independent samples of p(z | cond)."""
        cumulative = self._log_weights(cond, n).softmax(-1).cumsum(-1)
        u = rand((n, 1), rng, self._means)
        k = torch.searchsorted(cumulative, u)[:, 0].clamp(max=len(self.means) - 1)
        noise = self._values[k].sqrt() * randn((n, *self.shape), rng, self._means)
        axes = self._axes.unflatten(1, self.means.shape)[:, k]  # (d, b, d)
        return (self._means[k] + torch.einsum("ibj,bj->bi", axes, noise)).to(self.means)

    def _evaluate(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, log_w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        b, (k, d) = len(z_t), self.means.shape
        values, axes, means = self._values, self._axes, self._means  # (k, d), (d, k * d), (k, d)
        # one level: k variances, not b times k
        shared = on_host(alpha) and bool(((alpha == alpha[:1]) & (sigma == sigma[:1])).all())
        a, s = (x[:1, None, None] if shared else x[:, None, None] for x in (alpha, sigma))
        variance = a * a * values + s * s  # (b or 1, k, d)
        y = (z_t @ axes).reshape(b, k, d) - a * self._rotated_means  # along the axes of each component
        pull = y / variance
        log_joint = log_w - 0.5 * ((y * pull).sum(-1) + variance.log().sum(-1) + d * math.log(2 * math.pi))
        log_p = log_joint.logsumexp(-1)
        share = (log_joint - log_p[:, None]).exp()  # (b, k)
        pull = pull * share[..., None]
        z = share @ means + alpha[:, None] * ((values * pull).reshape(b, k * d) @ axes.T)
        eps = sigma[:, None] * (pull.reshape(b, k * d) @ axes.T)
        return z, eps, log_p

    def _log_weights(self, cond: Cond, n: int) -> Tensor:
        log_w = self.weights.double().log().expand(n, -1)
        labels = positive_condition(cond)
        if labels is None:
            return log_w
        if self.labels is None:
            raise ValueError("this mixture has no classes: got a cond; pass labels=(k,) when building it, or cond=None")
        labels = check_labels(expand(labels, n), self.labels)[:, None]
        excluded = (labels >= 0) & (labels != self.labels)
        return log_w.masked_fill(excluded, -math.inf).log_softmax(-1)


def _validate(weights: Tensor, means: Tensor, covs: Tensor, labels: Tensor | None) -> None:
    if means.ndim != 2 or not means.is_floating_point():
        raise ValueError(
            f"means must be floating point (k, d), got {tuple(means.shape)} {means.dtype}; reshape or convert"
        )
    k, d = means.shape
    if weights.shape != (k,) or covs.shape != (k, d, d):
        raise ValueError(
            f"weights must be ({k},) and covs ({k}, {d}, {d}) to match means {tuple(means.shape)}: "
            f"got {tuple(weights.shape)} and {tuple(covs.shape)}; reshape them"
        )
    for name, x in (("weights", weights), ("means", means), ("covs", covs)):
        if not x.isfinite().all():
            raise ValueError(f"{name} must be finite: got NaN or infinity; clean the data")
    total = weights.sum().item()
    if (weights < 0).any() or abs(total - 1) > 1e-4:
        raise ValueError(f"weights must be non-negative and sum to 1, got sum {total:.6g}; divide by their sum")
    if not torch.allclose(covs, covs.mT, rtol=1e-5, atol=1e-12):
        raise ValueError("covs must be symmetric: got a cov that differs from its transpose; use (c + c.mT) / 2")
    lowest = torch.linalg.eigvalsh(covs.double()).min().item()
    if lowest <= 0:
        raise ValueError(
            f"covs must be positive definite: got smallest eigenvalue {lowest:.3g}; add a little to the diagonal"
        )
    check_classes(labels, k, "component")
