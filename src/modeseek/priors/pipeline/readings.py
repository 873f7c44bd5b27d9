"""Readings of a network: its noise levels, its input and its timestep there, and the meaning of its output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.schedule import Discrete, Flow
from modeseek.priors.pipeline.log_snr_matching import NetworkCall, OwnLevel, predict_from_flow, predict_from_levels

PredictionType = Literal["eps", "v", "z", "flow"]


@runtime_checkable
class NetworkReading(Protocol):
    """Reading of a network by the configuration of its scheduler."""

    @property
    def schedule(self) -> Discrete | Flow:
        """Noise levels of the training."""
        ...

    @property
    def prediction_type(self) -> PredictionType:
        """Parametrisation of the network output."""
        ...

    def predict(
        self,
        call: NetworkCall,
        z_t: Float[Tensor, "b *d"],
        alpha: Float[Tensor, "b"],
        sigma: Float[Tensor, "b"],
    ) -> Prediction:
        """Evaluates the network at any noise level. One network call."""
        ...

    def output(self, prediction: Prediction) -> Tensor:
        """Returns the network output that means this prediction."""
        ...


@dataclass(frozen=True)
class IndexReading:
    """Reading of a network trained on N variance-preserving levels: its timestep is their index, 0 to N - 1.

    Attributes:
        schedule: training levels.
        prediction_type: parametrisation of the network output.
    """

    schedule: Discrete
    prediction_type: PredictionType

    def predict(
        self,
        call: NetworkCall,
        z_t: Float[Tensor, "b *d"],
        alpha: Float[Tensor, "b"],
        sigma: Float[Tensor, "b"],
    ) -> Prediction:
        def evaluate(own: OwnLevel) -> Prediction:
            raw = call(own.z_t, own.time * (len(self.schedule.levels) - 1))
            if self.prediction_type == "eps":
                return Prediction.from_eps(own.z_t, own.alpha, own.sigma, raw)
            read = Prediction.from_v if self.prediction_type == "v" else Prediction.from_z
            return read(own.z_t, own.alpha, own.sigma, raw)

        return predict_from_levels(evaluate, self.schedule, z_t, alpha, sigma)

    def output(self, prediction: Prediction) -> Tensor:
        p = _variance_preserving(prediction)
        return {"eps": p.eps, "v": p.v, "z": p.z, "flow": p.flow}[self.prediction_type]


@dataclass(frozen=True)
class EDMReading:
    """Reading of a network in the preconditioning of Karras et al. 2022 (arXiv 2206.00364), for data of std `s`.

    With z_t scaled to alpha = 1 and noise h: input `z_t / sqrt(h^2 + s^2)`, timestep `log(h) / 4`, posterior mean
    `s^2 / (h^2 + s^2) z_t + c F`, `c = h s / sqrt(h^2 + s^2)` for eps and its negative for v.

    Attributes:
        schedule: training levels, from sigma_min to sigma_max.
        prediction_type: sign of the network output F: eps or v.
        sigma_data: standard deviation s of the data, > 0.
    """

    schedule: Discrete
    prediction_type: PredictionType
    sigma_data: float

    def predict(
        self,
        call: NetworkCall,
        z_t: Float[Tensor, "b *d"],
        alpha: Float[Tensor, "b"],
        sigma: Float[Tensor, "b"],
    ) -> Prediction:
        def evaluate(own: OwnLevel) -> Prediction:
            # in units of s and at alpha^2 + sigma^2 = 1 the preconditioning is a v prediction
            norm, a, h = self._scaled(own.alpha, own.sigma, own.z_t)
            own_z = own.z_t / norm
            v = self._sign * call(own_z, -own.log_snr / 8)
            return Prediction.from_z_and_eps(
                own.z_t, own.alpha, own.sigma, self.sigma_data * (a * own_z - h * v), h * own_z + a * v
            )

        return predict_from_levels(evaluate, self.schedule, z_t, alpha, sigma)

    def output(self, prediction: Prediction) -> Tensor:
        _, a, h = self._scaled(prediction.alpha, prediction.sigma, prediction.z_t)
        return self._sign * (a * prediction.eps - h * prediction.z / self.sigma_data)

    def _scaled(self, alpha: Tensor, sigma: Tensor, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        norm = torch.hypot(self.sigma_data * alpha, sigma)
        return (
            expand_like(norm, like),
            expand_like(self.sigma_data * alpha / norm, like),
            expand_like(sigma / norm, like),
        )

    @property
    def _sign(self) -> float:
        return 1.0 if self.prediction_type == "v" else -1.0


@dataclass(frozen=True)
class FlowReading:
    """Reading of a rectified flow: its timestep is N times its time.

    Attributes:
        schedule: distribution of its times, by their shift.
        steps: number N of timesteps.
    """

    schedule: Flow
    steps: int = 1000

    @property
    def prediction_type(self) -> PredictionType:
        return "flow"

    def predict(
        self,
        call: NetworkCall,
        z_t: Float[Tensor, "b *d"],
        alpha: Float[Tensor, "b"],
        sigma: Float[Tensor, "b"],
    ) -> Prediction:
        return predict_from_flow(lambda z, time: call(z, time * self.steps), z_t, alpha, sigma)

    def output(self, prediction: Prediction) -> Tensor:
        return prediction.flow


def _variance_preserving(prediction: Prediction) -> Prediction:
    norm = torch.hypot(prediction.alpha, prediction.sigma)
    return Prediction.from_z_and_eps(
        prediction.z_t, prediction.alpha / norm, prediction.sigma / norm, prediction.z, prediction.eps
    )
