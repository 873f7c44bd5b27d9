"""LoRA auxiliary denoiser on a diffusers pipeline; the pipeline's own network stays unchanged."""

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
from modeseek.io.errors import one_line
from modeseek.methods.auxiliary import AuxiliaryInput, AuxiliaryTarget
from modeseek.methods.auxiliary_lora_camera import CameraEmbedding, attach_camera
from modeseek.priors.base import Prior
from modeseek.priors.pipeline.pipeline import Pipeline
from modeseek.priors.wrapper import unwrap

_NAME = "phi"


class AdaptedNetwork(nn.Module):
    """Trainable parameters of phi: LoRA factors and camera embedding; its state dict holds nothing else.

    Attributes:
        lora: low-rank factors, keyed by their parameter name in the network ("/" for ".").
        camera: camera embedding, or None.
        phi: pipeline that predicts: the teacher's network with LoRA factors added, all other weights shared.
    """

    def __init__(self, phi: Pipeline, camera: CameraEmbedding | None) -> None:
        super().__init__()
        learning = ((name, p) for name, p in phi.network.named_parameters() if p.requires_grad)
        self.lora = nn.ParameterDict({name.replace(".", "/"): parameter for name, parameter in learning})
        self.camera = camera
        self._unregistered = (phi,)  # in a tuple: the weights shared with the teacher must not be registered here

    @property
    def phi(self) -> Pipeline:
        """Pipeline that predicts with the LoRA factors."""
        return self._unregistered[0]

    def forward(self, inputs: AuxiliaryInput, with_grad: bool = False) -> Prediction:
        """Returns phi's prediction, attached to the trainable parameters if `with_grad`."""
        z_t = inputs.z_t.detach()
        if with_grad:  # a pipeline builds a graph only if z_t requires one
            z_t.requires_grad_()
        camera = inputs.masked_camera(0 if self.camera is None else self.camera.numbers)
        if self.camera is None or camera is None:
            return self.phi.at(z_t, inputs.alpha, inputs.sigma, inputs.cond)
        with self.camera.conditioned_on(*camera):
            return self.phi.at(z_t, inputs.alpha, inputs.sigma, inputs.cond)


@dataclass(frozen=True)
class LoRAState:
    """State of a LoRA auxiliary.

    Attributes:
        adapted: trainable parameters of phi.
        optimizer: AdamW over them.
    """

    adapted: AdaptedNetwork
    optimizer: torch.optim.Optimizer


@dataclass(frozen=True)
class LoRAAuxiliary:
    """Auxiliary denoiser as a LoRA (Hu et al. 2021, arXiv 2106.09685) on the prior's diffusers network.

    It is initialised to the prior itself, predicts at the pipeline's noise levels in its own parametrisation (eps, v,
    z, flow or EDM's), and is trained online by AdamW on the mean squared error of that. The factors are added to a copy
    of the network's modules that shares all of its weights, so the prior is unchanged and several auxiliaries can use
    one prior. Costs one network evaluation per row to predict, and one forward and backward pass per row and update;
    `Counting` does not count them.

    Attributes:
        rank: rank of the LoRA factors, >= 1.
        lr: AdamW learning rate, > 0.
        decay: AdamW weight decay, >= 0.
        targets: names of the layers that get factors, as matched by peft.
        cameras: numbers per camera; 0 is no camera conditioning. The camera embedding is added to the network's time
            embedding and is 0 at initialisation.
        seed: random seed of the initial weights.
    """

    rank: int = 4
    lr: float = 1e-4
    decay: float = 1e-2
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    cameras: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rank < 1 or self.cameras < 0 or not self.targets:
            raise ValueError(f"LoRAAuxiliary needs rank >= 1, at least one target and cameras >= 0, got {self}")
        if not (0 < self.lr < math.inf and 0 <= self.decay < math.inf):
            raise ValueError(f"LoRAAuxiliary needs lr > 0 and decay >= 0, both finite, got {self}")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> LoRAState:
        """Builds the LoRA for the pipeline inside `prior`.

        Raises:
            TypeError: the innermost prior is not a Pipeline.
            ValueError: the pipeline is offloaded, or has no layer of these names.
        """
        teacher = unwrap(prior)
        if not isinstance(teacher, Pipeline):
            raise TypeError(
                f"LoRAAuxiliary needs a Pipeline as prior, got {type(teacher).__name__}; try auxiliary=MLPAuxiliary()"
            )
        if teacher.economy.offload != "none":
            raise ValueError(
                f"LoRAAuxiliary cannot train an offloaded network, got offload={teacher.economy.offload!r}; try 'none'"
            )
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
        reading = state.adapted.phi.reading
        with torch.enable_grad():
            prediction = state.adapted(inputs, with_grad=True)
            output = reading.output(prediction)
            losses = torch.zeros_like(inputs.alpha)
            for target in targets:
                expected = reading.output(
                    Prediction.from_z_and_eps(inputs.z_t, inputs.alpha, inputs.sigma, target.z, target.eps)
                )
                losses = losses + target.share * (output - expected).square().flatten(1).mean(1)
            state.optimizer.zero_grad(set_to_none=True)
            losses.mean().backward()
        state.optimizer.step()
        return state, losses.detach()

    def _with_lora(self, network: Any) -> Any:
        """Copies the network's modules with shared weights and adds LoRA factors to the target layers."""
        from peft import LoraConfig, inject_adapter_in_model

        shared = {id(part): part for part in (*network.parameters(), *network.buffers())}
        adapted = copy.deepcopy(network, shared)
        config = LoraConfig(r=self.rank, lora_alpha=self.rank, target_modules=list(self.targets))
        devices = [network.device.index] if network.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=devices):  # peft draws from the global generator; see `_draw`
                inject_adapter_in_model(config, adapted, _NAME)
        except ValueError as error:
            reason = one_line(error, 160)
            raise ValueError(
                f"targets must name layers of {type(network).__name__}, got {self.targets}: {reason}"
            ) from error
        return adapted.eval()


def _init_lora(network: nn.Module, rng: torch.Generator) -> None:
    """Initialises the factors in float32: A as a linear layer's weight is initialised, B to 0."""
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        initial = torch.zeros(parameter.shape)
        if "lora_A" in name:
            nn.init.kaiming_uniform_(initial, a=math.sqrt(5), generator=rng)
        parameter.data = initial.to(parameter.device)
