"""Variational score distillation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.auxiliary import Auxiliary, AuxiliaryInput, AuxiliaryTarget
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.base import Direction, Grouped, RenderContext
from modeseek.methods.noising import sample_noised
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import require_unguided, with_guidance
from modeseek.pytree import expand, map_tensors
from modeseek.rng import Rng, Streams, rand

Camera = Callable[[RenderContext], Tensor]
"""From a context to (b, k) numbers that say from where each item was inputs."""


@dataclass(frozen=True)
class VSDState:
    """What changes along a run.

    Attributes:
        phi: the auxiliary's state.
        steps: taken so far.
    """

    phi: Any
    steps: int = 0


@dataclass(frozen=True)
class VSD:
    """VSD, ProlificDreamer (Wang et al. 2023, arXiv 2305.16213): `grad = w (eps_s(z_t; y) - eps_phi(z_t; y, c))`.

    phi learns the score of the particles themselves, `min E |phi(alpha z + sigma n) - n|^2` in its own kind of
    prediction, from times and noise of its own; so where particles are spread as the prior is, nothing pulls. The rows
    of z are the particles. Each step first asks phi, as it stands, for the direction, then lets it learn from the same
    particles: neither update reaches the other. The prior is bare and its scale is here.

    Costs 1 call of the prior a row, 2 with guidance, and what phi costs: 1 evaluation, and `updates` training steps.
    The original takes one noise level for a whole batch and clips gradients; here each row has its own and nothing is
    clipped.

    Attributes:
        times: which noise levels the direction visits, per row (the authors: 0.02 to 0.98, later to 0.5).
        scale: guidance of the prior.
        weight: w(alpha, sigma).
        auxiliary: phi; an `LoRAAuxiliary` on pipelines.
        phi_times: which noise levels phi learns at.
        updates: training steps of phi a step.
        warmup: training steps of phi before the first direction, all on the first particles.
        drop: share of rows whose condition (where there is a null one), and whose camera, are hidden from phi as it
            learns.
        camera: what phi is told of the view besides the condition, or None.
    """

    times: Times = Uniform(0.02, 0.98)
    scale: float = 7.5
    weight: Weight = sigma_squared
    auxiliary: Auxiliary = field(default_factory=MLPAuxiliary)
    phi_times: Times = Uniform(0.0, 1.0)
    updates: int = 1
    warmup: int = 0
    drop: float = 0.1
    camera: Camera | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.updates < 0 or self.warmup < 0:
            raise ValueError(f"{name} needs updates >= 0 and warmup >= 0: got {self.updates} and {self.warmup}")
        if not 0 <= self.drop <= 1:
            raise ValueError(f"{name} drop is a share in [0, 1]: got {self.drop}; 0 hides nothing from phi")

    @property
    def block(self) -> int | None:
        """What phi asks for."""
        return self.auxiliary.block if isinstance(self.auxiliary, Grouped) else 1

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> VSDState:
        require_unguided(prior, type(self).__name__)
        return VSDState(self.auxiliary.init(z, prior))

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: VSDState,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, VSDState]:
        """The direction and the next state, in which phi has learned.

        Raises:
            TypeError: the prior is guided already.
            ValueError: a camera is wanted and there is no context, or it has the wrong shape.
        """
        require_unguided(prior, type(self).__name__)
        z = z.detach()
        camera = self._camera_numbers(context, z)
        at = sample_noised(z, prior, self.times, progress, rng)
        own, phi = _auxiliary_rng(rng), state.phi
        for _ in range(self.warmup if state.steps == 0 else 0):
            phi, _ = self._update_auxiliary(phi, z, prior, conditions, camera, progress, own)
        prediction = with_guidance(prior, self.scale, conditions).at(at.z_t, at.alpha, at.sigma, conditions)
        told = None if conditions is None else conditions.positive
        answer = self._predict_auxiliary(phi, AuxiliaryInput(z, at.z_t, at.alpha, at.sigma, told, camera))
        grad = expand_like(self.weight(at.alpha, at.sigma), z) * (prediction.eps - answer.eps)
        logs = {"t": at.t}
        for _ in range(self.updates):
            phi, logs["phi_loss"] = self._update_auxiliary(phi, z, prior, conditions, camera, progress, own)
        return Direction(grad, t=at.t, eps=at.eps, prediction=prediction, logs=logs), VSDState(phi, state.steps + 1)

    def _predict_auxiliary(self, phi: Any, inputs: AuxiliaryInput) -> Prediction:
        """What is subtracted from the prior."""
        return self.auxiliary.predict(phi, inputs)

    def _targets(self, inputs: AuxiliaryInput, prior: Prior, eps: Tensor) -> tuple[AuxiliaryTarget, ...]:
        """What phi is drawn to: the particles, and the noise that hides them."""
        return (AuxiliaryTarget(1.0, inputs.z, eps),)

    def _update_auxiliary(
        self,
        phi: Any,
        z: Tensor,
        prior: Prior,
        conditions: Conditions | None,
        camera: Tensor | None,
        progress: float,
        rng: Rng,
    ) -> tuple[Any, Tensor]:
        n = len(z)
        at = sample_noised(z, prior, self.phi_times, progress, rng)
        hidden, blind = (rand((n,), rng, z) < self.drop for _ in range(2))
        told = None if conditions is None else expand(conditions.positive, n)
        if conditions is not None and conditions.null is not None:
            told = map_tensors(
                lambda cond, null: torch.where(hidden.reshape(-1, *(1,) * (cond.ndim - 1)), null, cond),
                told,
                expand(conditions.null, n),
            )
        inputs = AuxiliaryInput(z, at.z_t, at.alpha, at.sigma, told, camera, ~blind)
        return self.auxiliary.update(phi, inputs, self._targets(inputs, prior, at.eps))

    def _camera_numbers(self, context: RenderContext | None, z: Tensor) -> Tensor | None:
        if self.camera is None:
            return None
        if context is None:
            raise ValueError(f"{type(self).__name__} with a camera needs a context: got none; pass context=Scene(...)")
        camera = self.camera(context)
        if camera.ndim != 2 or len(camera) != len(z):
            raise ValueError(f"a camera is ({len(z)}, k): got {tuple(camera.shape)}; mend camera=...")
        return camera.to(z)


def _auxiliary_rng(rng: Rng) -> Rng:
    """A stream of phi's own: however much it draws, the directions draw what they would have drawn."""
    if isinstance(rng, Streams):
        return rng.at(rng.step, use=f"{rng.use}/phi")
    seed = torch.randint(2**62, (1,), generator=rng, device=rng.device)
    return torch.Generator(rng.device).manual_seed(int(seed))
