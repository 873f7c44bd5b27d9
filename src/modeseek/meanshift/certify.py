"""Certificates of modes: relative shift and Jacobian spectrum of the denoiser at a point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.meanshift.mean_shift import validate_bandwidth
from modeseek.operators.data_term import InnerProduct
from modeseek.priors.base import Prior
from modeseek.priors.guidance import find_guidance
from modeseek.priors.wrapper import find_metric
from modeseek.pytree import Cond
from modeseek.rng import Rng, randn

_DENSE_UP_TO = 64  # largest dimension whose Jacobian is formed


@dataclass(frozen=True)
class Certificate:
    """Evidence on whether each point is a mode of p_h, one row per point.

    Attributes:
        relative_shift: norm of the mean-shift vector, `|D(z; h) - z| / (h sqrt(d))`.
        top_eigenvalue: largest eigenvalue of the symmetric part of the Jacobian of D(.; h).
        spectral_radius: largest modulus of the Jacobian's eigenvalues.
        is_mode: mask of points with a shift within tolerance that are strict maxima of p_h (unguided priors only).
        is_stable: mask of points with a shift within tolerance that attract mean shift (spectral radius below 1).
        products: number of Jacobian products per row.
    """

    relative_shift: Float[Tensor, "b"]
    top_eigenvalue: Float[Tensor, "b"]
    spectral_radius: Float[Tensor, "b"]
    is_mode: Bool[Tensor, "b"]
    is_stable: Bool[Tensor, "b"]
    products: int


def certify(
    prior: Prior,
    z: Float[Tensor, "b *d"],
    bandwidth: float | Tensor,
    cond: Cond = None,
    tol: float = 1e-4,
    *,
    iterations: int = 50,
    rng: Rng | None = None,
) -> Certificate:
    """Computes relative shift, top eigenvalue of the symmetric Jacobian and spectral radius of D(.; h) at z.

    z is a mode of p_h if the shift vanishes and every eigenvalue of the Jacobian of D is below 1 (for an exact unguided
    prior the Jacobian is the posterior covariance over h^2). Guided denoisers are not gradients, so their stable fixed
    points are never modes. Up to 64 dimensions the Jacobian is formed (d products). Above, power iteration is used: on
    the symmetric part shifted by its spectral bound, with forward and backward products, and for the radius on the mean
    growth of `|J^T ... v|`. Of a measured prior the symmetric part is that in its metric, `I + (h / s)^2 A'A`, in which
    J is symmetric for an exact prior, and a mode is one of the posterior.

    Args:
        prior: prior, differentiable in z.
        z: points to certify.
        bandwidth: bandwidth h > 0 in units of z, one number or one per row.
        cond: condition of the prior.
        tol: tolerance on the relative shift.
        iterations: number of power iterations.
        rng: random stream of the starting vectors; required above 64 dimensions.

    Raises:
        ValueError: an invalid bandwidth, or more than 64 dimensions without rng.
    """
    h = validate_bandwidth(bandwidth, z)
    d = z[0].numel()

    def denoise(x: Tensor) -> Tensor:
        return x - expand_like(h, x) * prior.at(x, torch.ones_like(h), h, cond).eps

    with torch.enable_grad():
        x = z.detach().requires_grad_()
        target = denoise(x)
    relative = (target.detach() - z).flatten(1).norm(dim=1) / (h * d**0.5)

    def vjp(v: Tensor) -> Tensor:
        return torch.autograd.grad(target, x, v, retain_graph=True)[0]

    metric = find_metric(prior, h)
    if d <= _DENSE_UP_TO:
        basis = torch.eye(d, dtype=z.dtype, device=z.device)
        rows = [vjp(e.reshape(1, *z.shape[1:]).expand_as(z)).flatten(1) for e in basis]
        jacobian = torch.stack(rows, 1)
        top = torch.linalg.eigvalsh(_symmetric(jacobian, metric, basis, z))[:, -1]
        radius = torch.linalg.eigvals(jacobian).abs().amax(1)
        products = d
    elif rng is None:
        raise ValueError(f"certify needs rng above {_DENSE_UP_TO} dimensions, got d={d} and no rng; pass rng=...")
    else:
        from torch.func import jvp

        def forward(v: Tensor) -> Tensor:
            return jvp(denoise, (z.detach(),), (v,))[1]

        def symmetric(v: Tensor) -> Tensor:
            return (forward(v) + (vjp(v) if metric is None else metric.solve(vjp(metric.product(v))))) / 2

        start = randn(tuple(z.shape), rng, z)
        bound = _growth(symmetric, start, iterations)[0]
        lift = expand_like(bound, z)
        top = _growth(lambda v: symmetric(v) + lift * v, start, iterations)[1] - bound
        radius = _growth(vjp, start, iterations)[0]
        products = 5 * iterations
    converged = relative <= tol
    stable = converged & (radius < 1)
    return Certificate(relative, top, radius, stable & (top < 1) & (find_guidance(prior) is None), stable, products)


def _symmetric(jacobian: Tensor, metric: InnerProduct | None, basis: Tensor, z: Tensor) -> Tensor:
    """Returns the symmetric part of Jacobians (b, d, d), in coordinates in which the metric is the identity."""
    if metric is None:
        return (jacobian + jacobian.mT) / 2
    columns = [metric.product(e.reshape(1, *z.shape[1:]).expand_as(z)).flatten(1) for e in basis]
    form = torch.stack(columns, 2)
    root = torch.linalg.cholesky((form + form.mT) / 2)
    product = form @ jacobian
    left = torch.linalg.solve_triangular(root, (product + product.mT) / 2, upper=False)
    return torch.linalg.solve_triangular(root, left.mT, upper=False)


def _growth(product: Callable[[Tensor], Tensor], v: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Runs power iteration; returns the mean growth of |v| over the last half and the last Rayleigh quotient."""
    logs, quotient = [], v
    for _ in range(iterations):
        v = v / expand_like(v.flatten(1).norm(dim=1), v)
        w = product(v)
        quotient = (v * w).flatten(1).sum(1)
        logs.append(w.flatten(1).norm(dim=1).log())
        v = w
    return torch.stack(logs[iterations // 2 :]).mean(0).exp(), quotient
