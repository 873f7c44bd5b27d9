"""Distances between two sets of images from their features: FID and KID."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from modeseek.metrics.bootstrap import Estimate, bootstrap_interval


class _PrecomputedFeatures(nn.Module):
    """Identity network for torchmetrics, on features computed beforehand."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: Tensor) -> Tensor:
        return features


def fid(real: Float[Tensor, "n d"], generated: Float[Tensor, "m d"], seed: int = 0, resamples: int = 200) -> Estimate:
    """Frechet distance of two Gaussians fitted to features (Heusel et al. 2017, arXiv 1706.08500), by torchmetrics.

    `|mean difference|^2 + tr(A + B - 2 (A B)^(1/2))`, A and B covariances. Biased upwards for few images, the
    more so for fewer images than features; the interval measures the scatter of the estimate at this number of images
    and does not include that bias.

    Raises:
        ValueError: fewer than two images in a set, or torchmetrics is missing.
    """
    _check(real, generated)
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance
    except ImportError as error:
        raise ValueError(
            "FID needs torchmetrics, which is not installed; try pip install 'modeseek[evaluation]'"
        ) from error

    metric = FrechetInceptionDistance(feature=_PrecomputedFeatures(real.shape[1])).to(real.device)
    metric.update(real.double(), real=True)
    metric.update(generated.double(), real=False)
    value = max(0.0, metric.compute().item())
    interval = bootstrap_interval(
        lambda i, j: frechet_distance(real[i], generated[j]), (len(real), len(generated)), value, seed, resamples
    )
    return Estimate(value, interval)


def frechet_distance(real: Float[Tensor, "n d"], generated: Float[Tensor, "m d"]) -> float:
    """Frechet distance through the Gram matrix of the images, fast for few images, for resampling.

    With centred features X, Y divided by sqrt(n - 1), the nonzero eigenvalues of `A B = X'X Y'Y` are the squared
    singular values of `X Y'`, so `tr (A B)^(1/2)` is that matrix's nuclear norm: exact, without the root of
    an ill-conditioned d x d matrix.
    """
    roots, mean_distance = [], (real.double().mean(0) - generated.double().mean(0)).square().sum()
    for x in (real.double(), generated.double()):
        centred = (x - x.mean(0)) / (len(x) - 1) ** 0.5
        roots.append(centred if len(x) <= x.shape[1] else torch.linalg.qr(centred).R)
    spread = sum(root.square().sum() for root in roots)
    shared = torch.linalg.svdvals(roots[0] @ roots[1].T).sum()
    return max(0.0, (mean_distance + spread - 2 * shared).item())


def kid(real: Float[Tensor, "n d"], generated: Float[Tensor, "m d"], seed: int = 0, resamples: int = 1000) -> Estimate:
    """Kernel distance (Binkowski et al. 2018, arXiv 1801.01401): the unbiased squared MMD under `(x y / d + 1)^3`.

    Computed on all images at once, where the original averages over random subsets: unbiased at any number of images,
    so it may be negative. Resampling leaves out pairs of an image with its own duplicates.

    Raises:
        ValueError: fewer than two images in a set.
    """
    _check(real, generated)
    a, b = real.double(), generated.double()
    within, other, across = (((x @ y.T) / x.shape[1] + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))

    def unbiased(i: Int[Tensor, "n"], j: Int[Tensor, "m"]) -> float:
        u, v = torch.bincount(i, minlength=len(a)).double(), torch.bincount(j, minlength=len(b)).double()
        u, v = u.to(a.device), v.to(a.device)
        return (_pairs(within, u) + _pairs(other, v) - 2 * (u @ across @ v) / (u.sum() * v.sum())).item()

    value = unbiased(torch.arange(len(a)), torch.arange(len(b)))
    return Estimate(value, bootstrap_interval(unbiased, (len(a), len(b)), value, seed, resamples))


def _pairs(kernel: Float[Tensor, "n n"], weight: Float[Tensor, "n"]) -> Tensor:
    """Weighted mean over pairs of different images; NaN with a single image."""
    total = weight @ kernel @ weight - weight.square() @ kernel.diagonal()
    return total / (weight.sum().square() - weight.square().sum())


def _check(real: Tensor, generated: Tensor) -> None:
    if min(len(real), len(generated)) < 2:
        raise ValueError(
            f"each set must have at least two images, got {len(real)} and {len(generated)}; try more seeds or prompts"
        )
