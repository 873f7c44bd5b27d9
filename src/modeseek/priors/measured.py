"""Priors with a data term: mean shift on them is EM for the posterior of a measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.operators.base import Operator
from modeseek.operators.data_term import DataTerm, InnerProduct
from modeseek.operators.gaussian import GaussianLikelihood
from modeseek.operators.least_squares import LeastSquares
from modeseek.priors.base import PerRow, Prior, Rows
from modeseek.priors.wrapper import DensityEvaluation, PriorWrapper, find_density, select_rows
from modeseek.pytree import Cond


class DataTermPrior(PriorWrapper):
    """Base class of a prior with a data term `log p(y | z)`: its mean-shift step is an EM step for the posterior.

    With the clean point as hidden variable, EM's lower bound of `log p_h(z) + log p(y | z)`, `p_h = p * N(0, h^2 I)`,
    is `-|z - D(z_k; h)|^2 / (2 h^2) + log p(y | z)` up to a constant (Dempster, Laird and Rubin 1977). `at` returns its
    maximiser as `prediction.z`, at `z_k = z_t / alpha` and `h = sigma / alpha`, so that `mean_shift`, `find_modes`,
    `certify`, `MSD` and `distill` climb the posterior without a step size or a Jacobian of the denoiser, and for an
    exact prior never fall. One call of the inner prior and one inner maximisation per row.

    `prediction.z` is not the posterior mean `E[z | z_t, y]`, so samplers refuse this prior. It goes outermost, around a
    guided prior.
    """

    is_denoiser: ClassVar[bool] = False

    @property
    def term(self) -> DataTerm:
        """Data term."""
        raise NotImplementedError

    def at(self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None) -> Prediction:
        """Returns the EM target as `prediction.z`.

        Raises:
            ValueError: alpha = 0 in some row, or data of another number of rows.
        """
        return self._target(self.prior.at(z_t, alpha, sigma, cond))

    @property
    def density(self) -> DensityEvaluation | None:
        """Function from a level to the prediction and `log p(z_t) + log p(y | z_t / alpha)`; None without a density."""
        evaluate = find_density(self.prior)
        if evaluate is None:
            return None

        def objective(z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: Cond) -> tuple[Prediction, Tensor]:
            prediction, log_p = evaluate(z_t, alpha, sigma, cond)
            return self._target(prediction), log_p + self.term.log_prob(z_t / expand_like(alpha, z_t))

        return objective

    def metric(self, bandwidth: Float[Tensor, "b"]) -> InnerProduct:
        """Returns the metric in which the Jacobian of the EM target is symmetric, `I - h^2 Hessian of log p(y | z)`.

        The posterior's Hessian is `metric (J - I) / h^2`, so that a fixed point is a strict maximum exactly where all
        eigenvalues of J, real for an exact prior, are below 1.

        Raises:
            ValueError: the metric depends on z.
        """
        metric = self.term.metric(bandwidth)
        if metric is None:
            raise ValueError(
                f"certify needs a linear measurement with Gaussian noise, got a {type(self.term).__name__}; "
                "try ms.Measured(prior, ms.Linear(...), y, noise)"
            )
        return metric

    def _target(self, p: Prediction) -> Prediction:
        if (p.alpha == 0).any():
            raise ValueError("a measured prior has no target at alpha = 0: got such a level; start below pure noise")
        h, point = p.sigma / p.alpha, p.z_t / expand_like(p.alpha, p.z_t)
        return Prediction.from_z(p.z_t, p.alpha, p.sigma, self.term.maximise(p.z, point, h), p.clamped)


@dataclass(frozen=True, eq=False)
class Constrained(DataTermPrior):
    """Prior with any differentiable data term, such as `Likelihood(log_prob)`.

    Attributes:
        prior: prior, bare or guided.
        data: data term.
    """

    prior: Prior
    data: DataTerm

    @property
    def term(self) -> DataTerm:
        return self.data

    def rows(self, rows: Int[Tensor, "r"]) -> Constrained:
        return Constrained(select_rows(self.prior, rows), self.data.select(rows))


@dataclass(frozen=True, eq=False)
class Measured(DataTermPrior):
    """Prior with a measurement `y = A z + N(0, s^2)`: `prediction.z = (I/h^2 + A'A/s^2)^-1 (D(z; h)/h^2 + A'y/s^2)`.

    The EM step of the posterior `p_h(z) N(y; A z, s^2 I)`: s to infinity is plain mean shift, s to 0 keeps the data.
    Its modes are found by `mean_shift` (with h falling: annealing) from any start, and it works in `MSD` and `distill`.
    One call of the inner prior and one linear solve per row, in closed form for masks, blurs and down-sampling.

    With `decode`, what is measured is `decode(z)`, as the image of a latent: `y = A decode(z) + N(0, s^2)`. Then the
    inner maximisation is by Gauss-Newton steps with backtracking, which never lower the bound either.

    Attributes:
        prior: prior, bare or guided.
        operator: A, linear, such as `Mask`, `Blur`, `Downsample`, `Linear`.
        y: data, (b, *e), one measurement per row, or (1, *e) for all rows.
        noise: standard deviation s of the noise, in units of y, >= 0; one number, or one per row. 0 keeps the data.
        decode: differentiable map from z to what A is applied to; None is z itself.
    """

    prior: Prior
    operator: Operator
    y: Float[Tensor, "n *e"]
    noise: float | Float[Tensor, "m"]
    decode: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        _ = self.term  # checks the measurement

    @cached_property
    def term(self) -> DataTerm:  # pyright: ignore[reportIncompatibleMethodOverride] - a property that is built once
        if self.decode is not None:
            decode, operator = self.decode, self.operator
            return LeastSquares.measured(lambda z: operator(decode(z)), self.y, self.noise)
        term = GaussianLikelihood.measured(self.operator, self.y, self.noise)
        expected = self.operator(torch.zeros(1, *self.prior.shape, dtype=self.y.dtype, device=self.y.device))
        if expected.shape[1:] != self.y.shape[1:]:
            raise ValueError(
                f"y must have the shape of what the operator gives, (b, {', '.join(map(str, expected.shape[1:]))}), "
                f"got {tuple(self.y.shape)}; try another operator, or y[None] for one measurement"
            )
        return term

    def rows(self, rows: Int[Tensor, "r"]) -> Constrained:
        return Constrained(select_rows(self.prior, rows), self.term.select(rows))
