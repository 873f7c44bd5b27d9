"""MLP auxiliary denoiser for vector priors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.device import on_host
from modeseek.diffusion.prediction import Prediction
from modeseek.methods.auxiliary import AuxiliaryInput, AuxiliaryTarget
from modeseek.priors.base import Prior
from modeseek.priors.mlp import MLP, MLPArchitecture
from modeseek.pytree import expand

_MAX_LOG_NOISE = 8.0  # bound on the log noise level given to the network


class PhiNetwork(nn.Module):
    """Network F of the preconditioned denoiser `z_hat = s (a z_t / n^2 + sigma F / n)`.

    `eps_hat = sigma z_t / n^2 - a F / n`, `a = s alpha`, `n^2 = a^2 + sigma^2`, s the spread: the preconditioning of
    Karras et al. 2022 (arXiv 2206.00364) about zero, for any alpha including 0. F = 0 is the denoiser of N(0, s^2 I).
    """

    def __init__(self, dim: int, classes: int, cameras: int, shape: tuple[int, int], rng: torch.Generator) -> None:
        super().__init__()
        self.dim, self.classes, self.cameras = dim, classes, cameras
        n_camera_inputs = cameras + 1 if cameras else 0
        self.mlp = MLP(MLPArchitecture(dim + n_camera_inputs, classes, *shape), rng)

    def forward(self, inputs: AuxiliaryInput, spread: float) -> Float[Tensor, "b n"]:
        """Returns F of every row, (b, dim)."""
        a, s = (spread * inputs.alpha).float(), inputs.sigma.float()
        x = inputs.z_t.flatten(1).float() / torch.hypot(a, s)[:, None]
        camera = inputs.masked_camera(self.cameras)
        if camera is not None:
            x = torch.cat([x, *(part.float() for part in camera)], 1)
        level = (s.log() - a.log()).clamp(-_MAX_LOG_NOISE, _MAX_LOG_NOISE)
        return self.mlp(x, level, self._labels(inputs))[:, : self.dim]

    def _labels(self, inputs: AuxiliaryInput) -> Tensor:
        n = len(inputs.z)
        if inputs.cond is None:
            return torch.full((n,), -1, device=inputs.z.device)
        if not isinstance(inputs.cond, Tensor) or inputs.cond.is_floating_point() or inputs.cond.ndim != 1:
            raise ValueError(
                "MLPAuxiliary needs integer labels (b,) as condition, got another condition; try LoRAAuxiliary"
            )
        outside = (inputs.cond < -1) | (inputs.cond >= self.classes)
        if on_host(outside) and outside.any():
            wrong = inputs.cond[outside]
            raise ValueError(
                f"label must be in [-1, {self.classes}), got {int(wrong[0])}; try classes={int(wrong[0]) + 1}"
            )
        return expand(inputs.cond, n)


@dataclass(frozen=True)
class NetworkState:
    """State of an MLP auxiliary.

    Attributes:
        network: trained network.
        optimizer: Adam over its parameters.
    """

    network: PhiNetwork
    optimizer: torch.optim.Optimizer


@dataclass(frozen=True)
class MLPAuxiliary:
    """Auxiliary denoiser as a small MLP on vectors (or small images, flattened), trained online by Adam.

    Its loss is the mean squared error of F, whose scale is 1 at every noise level (see `PhiNetwork`). Costs no prior
    calls.

    Attributes:
        spread: rough standard deviation of the data about 0, units of z, > 0; at initialisation phi is the score of
            that Gaussian.
        width: units per hidden layer, >= 1.
        depth: number of hidden layers, >= 1.
        lr: Adam learning rate, > 0.
        classes: number of class labels; None is that of the prior.
        cameras: numbers per camera; 0 is no camera conditioning.
        seed: random seed of the initial weights.
    """

    spread: float = 1.0
    width: int = 64
    depth: int = 2
    lr: float = 2e-3
    classes: int | None = None
    cameras: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.spread < math.inf and 0 < self.lr < math.inf):
            raise ValueError(f"MLPAuxiliary needs spread > 0 and lr > 0, both finite, got {self.spread} and {self.lr}")
        if min(self.width, self.depth) < 1 or self.cameras < 0 or (self.classes is not None and self.classes < 0):
            raise ValueError(f"MLPAuxiliary needs width, depth >= 1 and classes, cameras >= 0, got {self}")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> NetworkState:
        classes = prior.n_classes if self.classes is None else self.classes
        rng = torch.Generator().manual_seed(self.seed)
        network = PhiNetwork(z[0].numel(), classes, self.cameras, (self.width, self.depth), rng).to(z.device)
        return NetworkState(network, torch.optim.Adam(network.parameters(), lr=self.lr, betas=(0.9, 0.99), fused=True))

    def predict(self, state: NetworkState, inputs: AuxiliaryInput) -> Prediction:
        with torch.no_grad():
            raw = state.network(inputs, self.spread).to(inputs.z_t)
        a, s, n = self._levels(inputs)
        flat = inputs.z_t.flatten(1)
        z, eps = self.spread * (a * flat / n**2 + s * raw / n), s * flat / n**2 - a * raw / n
        shape = inputs.z_t.shape
        return Prediction.from_z_and_eps(inputs.z_t, inputs.alpha, inputs.sigma, z.reshape(shape), eps.reshape(shape))

    def update(
        self, state: NetworkState, inputs: AuxiliaryInput, targets: tuple[AuxiliaryTarget, ...]
    ) -> tuple[NetworkState, Float[Tensor, "b"]]:
        a, s, n = self._levels(inputs)
        with torch.enable_grad():
            raw = state.network(inputs, self.spread)
            losses = torch.zeros_like(raw[:, 0])
            for target in targets:
                expected = (s * target.z.flatten(1) / self.spread - a * target.eps.flatten(1)) / n
                losses = losses + target.share * (raw - expected.to(raw)).square().mean(1)
            state.optimizer.zero_grad(set_to_none=True)
            losses.mean().backward()
        state.optimizer.step()
        return state, losses.detach().to(inputs.z)

    def _levels(self, inputs: AuxiliaryInput) -> tuple[Tensor, Tensor, Tensor]:
        a, s = self.spread * inputs.alpha[:, None], inputs.sigma[:, None]
        return a, s, torch.hypot(a, s)
