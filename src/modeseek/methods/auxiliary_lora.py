"""phi on a pipeline: a LoRA beside the network, which the network never notices."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.diffusion.prediction import Prediction
from modeseek.methods.auxiliary import AuxiliaryInput, AuxiliaryTarget
from modeseek.methods.auxiliary_lora_camera import CameraEmbedding, attach_camera
from modeseek.priors.base import Prior
from modeseek.priors.pipeline.log_snr_matching import PredictionType
from modeseek.priors.pipeline.pipeline import Pipeline

_NAME = "phi"


class AdaptedNetwork(nn.Module):
    """The numbers of phi that learn: the LoRA's, and the camera embedding's. Its state dict holds nothing else.

    Attributes:
        lora: low-rank factors, by their place in the network.
        camera: the embedding, or None.
        phi: the pipeline whose network is the teacher's with the factors beside it; all other weights are shared.
    """

    def __init__(self, phi: Pipeline, camera: CameraEmbedding | None) -> None:
        super().__init__()
        learning = ((name, p) for name, p in phi.network.named_parameters() if p.requires_grad)
        self.lora = nn.ParameterDict({name.replace(".", "/"): parameter for name, parameter in learning})
        self.camera = camera
        self._held = (phi,)  # in a tuple: what phi shares with the teacher is no part of this module

    @property
    def phi(self) -> Pipeline:
        """The pipeline that predicts."""
        return self._held[0]

    def forward(self, inputs: AuxiliaryInput, with_grad: bool = False) -> Prediction:
        """phi's prediction, with a graph to the numbers that learn where `learning`."""
        z_t = inputs.z_t.detach()
        if with_grad:  # a pipeline builds a graph where z_t asks for one
            z_t.requires_grad_()
        told = inputs.masked_camera(0 if self.camera is None else self.camera.numbers)
        if self.camera is None or told is None:
            return self.phi.at(z_t, inputs.alpha, inputs.sigma, inputs.cond)
        with self.camera.conditioned_on(*told):
            return self.phi.at(z_t, inputs.alpha, inputs.sigma, inputs.cond)


@dataclass(frozen=True)
class LoRAState:
    """What a LoRA phi is made of.

    Attributes:
        adapted: the numbers that learn.
        optimizer: over them.
    """

    adapted: AdaptedNetwork
    optimizer: torch.optim.Optimizer


@dataclass(frozen=True)
class LoRAAuxiliary:
    """phi as a LoRA (Hu et al. 2021, arXiv 2106.09685) on the prior's own diffusers network, trained online by AdamW.

    It starts as the prior itself, predicts at the pipeline's levels in its own kind of prediction (noise, v, signal or
    flow) and learns by the mean squared error of that. The factors stand in a copy of the network's modules that
    shares all of its weights, so the prior is untouched, and several phis may stand beside it. One network evaluation a
    row to predict, one forward and backward to learn; `Counting` does not see them.

    Attributes:
        rank: of the factors.
        lr: AdamW's learning rate.
        decay: AdamW's weight decay.
        targets: names of the layers that get factors, as peft matches them.
        cameras: how many numbers describe a camera; 0 for none. The embedding is added to the network's time
            embedding, and adds nothing at first.
        seed: of the first weights.
    """

    rank: int = 4
    lr: float = 1e-4
    decay: float = 1e-2
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    cameras: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rank < 1 or self.cameras < 0 or not self.targets:
            raise ValueError(f"an adapter needs rank >= 1, targets and cameras >= 0: got {self}; fix them")
        if not (0 < self.lr < math.inf and 0 <= self.decay < math.inf):
            raise ValueError(f"an adapter needs lr > 0 and decay >= 0: got {self}; fix them")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> LoRAState:
        """A LoRA beside the pipeline inside `prior`.

        Raises:
            TypeError: there is no pipeline inside.
            ValueError: it is offloaded, or has no layer of these names.
        """
        teacher = _innermost(prior)
        if not isinstance(teacher, Pipeline):
            raise TypeError(f"an adapter is a LoRA on a Pipeline: got {type(teacher).__name__}; use SmallNetwork()")
        if teacher.economy.offload != "none":
            raise ValueError(f"an offloaded network cannot learn: got offload {teacher.economy.offload!r}; use none")
        network = self._with_lora(teacher.network)
        rng = torch.Generator().manual_seed(self.seed)
        _init_lora(network, rng)
        camera = None
        if self.cameras > 0:
            camera = CameraEmbedding(self.cameras, network, rng).to(teacher.device)
            attach_camera(network, camera)
        phi = copy.copy(teacher)
        phi.network = network
        parts = {"scheduler": teacher.pipe.scheduler, "vae": getattr(teacher.pipe, "vae", None)}
        phi.pipe = SimpleNamespace(**parts, **{teacher.family.network: network})
        adapted = AdaptedNetwork(phi, camera)
        return LoRAState(
            adapted, torch.optim.AdamW(adapted.parameters(), lr=self.lr, weight_decay=self.decay, foreach=False)
        )

    def predict(self, state: LoRAState, inputs: AuxiliaryInput) -> Prediction:
        with torch.no_grad():
            return state.adapted(inputs)

    def update(
        self, state: LoRAState, inputs: AuxiliaryInput, targets: tuple[AuxiliaryTarget, ...]
    ) -> tuple[LoRAState, Float[Tensor, "b"]]:
        kind = state.adapted.phi.prediction_type
        with torch.enable_grad():
            said = state.adapted(inputs, learning=True)
            answer = _parametrise(kind, said.z, said.eps, inputs)
            losses = torch.zeros_like(inputs.alpha)
            for target in targets:
                wanted = _parametrise(kind, target.z, target.eps, inputs)
                losses = losses + target.share * (answer - wanted).square().flatten(1).mean(1)
            state.optimizer.zero_grad(set_to_none=True)
            losses.mean().backward()
        state.optimizer.step()
        return state, losses.detach()

    def _with_lora(self, network: Any) -> Any:
        """The network's modules anew, its weights shared, factors beside the targets."""
        from peft import LoraConfig, inject_adapter_in_model

        shared = {id(part): part for part in (*network.parameters(), *network.buffers())}
        own = copy.deepcopy(network, shared)
        config = LoraConfig(r=self.rank, lora_alpha=self.rank, target_modules=list(self.targets))
        devices = [network.device.index] if network.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=devices):  # peft draws from the global generator; see `_draw`
                inject_adapter_in_model(config, own, _NAME)
        except ValueError as error:
            reason = " ".join(str(error).split())[:160]
            raise ValueError(f"no factors fit a {type(network).__name__}: {reason}; choose other targets") from error
        return own.eval()


def _init_lora(network: nn.Module, rng: torch.Generator) -> None:
    """The factors in full precision: the first as a linear layer's weights are drawn, the second 0."""
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        fresh = torch.zeros(parameter.shape)
        if "lora_A" in name:
            nn.init.kaiming_uniform_(fresh, a=math.sqrt(5), generator=rng)
        parameter.data = fresh.to(parameter.device)


def _innermost(prior: Any) -> Any:
    inner = getattr(prior, "prior", None)
    return prior if inner is None else _innermost(inner)


def _parametrise(kind: PredictionType, z: Tensor, eps: Tensor, inputs: AuxiliaryInput) -> Tensor:
    """Signal and noise as the network's own kind of prediction, at its own scaling."""
    if kind in ("z", "eps"):
        return z if kind == "z" else eps
    if kind == "flow":
        return eps - z
    n = torch.hypot(inputs.alpha, inputs.sigma)
    a, s = (level.reshape(-1, *(1,) * (z.ndim - 1)) for level in (inputs.alpha / n, inputs.sigma / n))
    return a * eps - s * z
