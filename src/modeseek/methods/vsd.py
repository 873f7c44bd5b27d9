"""Variational score distillation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.auxiliary import Auxiliary, AuxiliaryInput, AuxiliaryTarget
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.base import Direction, RenderContext, block_size
from modeseek.methods.noising import sample_noised
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import require_unguided, with_guidance
from modeseek.pytree import expand, map_tensors
from modeseek.rng import Rng, Streams, rand

Camera = Callable[[RenderContext], Tensor]
"""Function from the render context to the camera of each row as k numbers, (b, k)."""


@dataclass(frozen=True)
class VSDState:
    """State of VSD.

    Attributes:
        phi: state of the auxiliary.
        steps: number of steps taken.
    """

    phi: Any
    steps: int = 0


@dataclass(frozen=True)
class AuxiliaryTraining:
    """What an update of phi is made of.

    Attributes:
        z: particles, (b, *d).
        prior: unguided prior.
        conditions: conditions of the prior, or None.
        camera: camera of each row as k numbers, (b, k), or None.
        progress: completed share of the run in [0, 1].
        rng: random stream of phi.
        times: distribution of t.
        context: rendering behind z, or None.
    """

    z: Float[Tensor, "b *d"]
    prior: Prior
    conditions: Conditions | None
    camera: Float[Tensor, "b k"] | None
    progress: float
    rng: Rng
    times: Times
    context: RenderContext | None


@dataclass(frozen=True)
class VSD:
    """VSD, ProlificDreamer (Wang et al. 2023, arXiv 2305.16213): `grad = w (eps_s(z_t; y) - eps_phi(z_t; y, c))`.

    phi is trained on the particles (the rows of z), `min E |phi(alpha z + sigma n) - n|^2` in its own
    parametrisation, with its own times and noise; the gradient vanishes when the particle distribution equals the
    prior. Each step first evaluates phi for the direction and then trains it on the same particles, so neither update
    depends on the other. The prior must be unguided; the guidance scale is a field of the method.

    Costs 1 prior call per row, 2 with guidance, plus 1 evaluation and `updates` training steps of phi. The original
    uses one noise level per batch and clips gradients; here each row has its own and nothing is clipped.

    Attributes:
        times: distribution of t in [0, 1] for the direction, one draw per row (the authors: 0.02 to 0.98, later to
            0.5).
        scale: classifier-free guidance scale of the prior; 1 is no guidance.
        weight: loss weight w(alpha, sigma).
        auxiliary: auxiliary denoiser phi; a `LoRAAuxiliary` on pipelines.
        phi_times: distribution of t in [0, 1] for training phi, one draw per row.
        updates: training steps of phi per step, >= 0.
        warmup: training steps of phi before the first direction, >= 0, all on the initial particles.
        drop: dropout probability in [0, 1] of the condition (if there is a null one) and of the camera while phi is
            trained.
        camera: camera conditioning of phi, from the render context to (b, k), such as `pose`, for an auxiliary with
            `cameras` = k; None is no camera.
    """

    references: ClassVar[tuple[str, ...]] = ("vsd",)
    guides: ClassVar[bool] = True
    has_target: ClassVar[bool] = True
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
            raise ValueError(f"{name} needs updates >= 0 and warmup >= 0, got {self.updates} and {self.warmup}")
        if not 0 <= self.drop <= 1:
            raise ValueError(f"{name} drop must be in [0, 1], got {self.drop}; try 0, which is no dropout")

    @property
    def block(self) -> int | None:
        """Block size of the auxiliary, 1 if it has none."""
        return block_size(self.auxiliary)

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
        """Returns the direction and the next state, with phi trained.

        Raises:
            TypeError: the prior is already guided.
            ValueError: `camera` is set and there is no context, or its result has the wrong shape.
        """
        require_unguided(prior, type(self).__name__)
        z = z.detach()
        camera = self._camera_numbers(context, z)
        noised = sample_noised(z, prior, self.times, progress, rng)
        phi = state.phi
        training = AuxiliaryTraining(
            z, prior, conditions, camera, progress, _auxiliary_rng(rng), self._training_times(noised.t), context
        )
        for _ in range(self.warmup if state.steps == 0 else 0):
            phi, _ = self._update_auxiliary(phi, training)
        prediction = noised.predict(with_guidance(prior, self.scale, conditions), conditions)
        cond = None if conditions is None else conditions.positive
        baseline = self._predict_auxiliary(phi, AuxiliaryInput(z, noised.z_t, noised.alpha, noised.sigma, cond, camera))
        logs = {}
        for _ in range(self.updates):
            phi, logs["phi_loss"] = self._update_auxiliary(phi, training)
        direction = noised.direction_to_target(self.weight, prediction.eps - baseline.eps, prediction, **logs)
        return direction, VSDState(phi, state.steps + 1)

    def _predict_auxiliary(self, phi: Any, inputs: AuxiliaryInput) -> Prediction:
        """Returns the prediction subtracted from the prior's."""
        return self.auxiliary.predict(phi, inputs)

    def _targets(self, inputs: AuxiliaryInput, prior: Prior, eps: Tensor) -> tuple[AuxiliaryTarget, ...]:
        """Returns the regression targets of phi: the particles and their noise."""
        return (AuxiliaryTarget(1.0, inputs.z, eps),)

    def _training_times(self, t: Float[Tensor, "b"]) -> Times:
        """Returns the distribution of t for training phi; t are the times of the direction."""
        return self.phi_times

    def _update_auxiliary(self, phi: Any, training: AuxiliaryTraining) -> tuple[Any, Float[Tensor, "b"]]:
        """Trains phi once; returns its next state, and the loss of each particle."""
        phi, losses = self.auxiliary.update(phi, *self._training_batch(phi, training))
        return phi, losses[: len(training.z)]

    def _training_batch(
        self, phi: Any, training: AuxiliaryTraining
    ) -> tuple[AuxiliaryInput, tuple[AuxiliaryTarget, ...]]:
        """Returns the noised particles and their regression targets, the particles first."""
        z, conditions, camera, rng = training.z, training.conditions, training.camera, training.rng
        n = len(z)
        noised = sample_noised(z, training.prior, training.times, training.progress, rng)
        drop_cond, drop_camera = (rand((n,), rng, z) < self.drop for _ in range(2))
        cond = None if conditions is None else expand(conditions.positive, n)
        if conditions is not None and conditions.null is not None:
            cond = map_tensors(
                lambda cond, null: torch.where(drop_cond.reshape(-1, *(1,) * (cond.ndim - 1)), null, cond),
                cond,
                expand(conditions.null, n),
            )
        inputs = AuxiliaryInput(z, noised.z_t, noised.alpha, noised.sigma, cond, camera, ~drop_camera)
        return inputs, self._targets(inputs, training.prior, noised.eps)

    def _camera_numbers(self, context: RenderContext | None, z: Tensor) -> Tensor | None:
        if self.camera is None:
            return None
        if context is None:
            raise ValueError(
                f"{type(self).__name__} with a camera needs a context, got none; try context=RenderContext(...)"
            )
        camera = self.camera(context)
        if camera.ndim != 2 or len(camera) != len(z):
            raise ValueError(f"camera must have shape ({len(z)}, k), got {tuple(camera.shape)}")
        return camera.to(z)


def _auxiliary_rng(rng: Rng) -> Rng:
    """Returns a separate random stream for phi, so that its draws do not change those of the directions."""
    if isinstance(rng, Streams):
        return rng.at(rng.step, use=f"{rng.use}/phi")
    seed = torch.randint(2**62, (1,), generator=rng, device=rng.device)
    return torch.Generator(rng.device).manual_seed(int(seed))
