"""Camera embedding added to the time embedding of a diffusers network."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.priors.mlp import linear

_TIME_EMBEDDINGS = ("time_embedding", "time_text_embed", "adaln_single.emb")
"""Modules that output the time embedding (b, width): in U-Nets, in SD3 and Flux, and in PixArt."""


class CameraEmbedding(nn.Module):
    """Perceptron from k camera numbers to the width of the network's time embedding; outputs 0 at initialisation.

    Attributes:
        numbers: numbers per camera, k.
    """

    def __init__(self, numbers: int, network: Any, rng: torch.Generator) -> None:
        super().__init__()
        self.numbers, width = numbers, _width(time_embedding_of(network))
        self.inlet, self.outlet = (linear(*sides) for sides in ((numbers, width), (width, width)))
        nn.init.normal_(self.inlet.weight, std=numbers**-0.5, generator=rng)
        for parameter in (self.inlet.bias, self.outlet.weight, self.outlet.bias):
            nn.init.zeros_(parameter)
        self._camera: tuple[Tensor, Tensor] | None = None

    @contextmanager
    def conditioned_on(self, camera: Float[Tensor, "b k"], shown: Float[Tensor, "b 1"]) -> Generator[None]:
        """Context in which the network is conditioned on these cameras; rows with `shown` 0 stay unconditional."""
        self._camera = (camera.float(), shown.float())
        try:
            yield
        finally:
            self._camera = None

    def forward(self, embedding: Float[Tensor, "b w"]) -> Float[Tensor, "b w"]:
        """Returns the network's time embedding with the camera embedding added."""
        if self._camera is None:
            return embedding
        camera, shown = self._camera
        return embedding + (shown * self.outlet(nn.functional.silu(self.inlet(camera)))).to(embedding)


def attach_camera(network: Any, camera: CameraEmbedding) -> None:
    """Registers a hook that adds the camera embedding to the network's time embedding, in place."""
    unregistered = (camera,)  # not as a submodule: the network's state dict stays unchanged
    time_embedding_of(network).register_forward_hook(lambda _, __, out: unregistered[0](out))


def time_embedding_of(network: Any) -> nn.Module:
    """Returns the module whose output is the time embedding.

    Raises:
        ValueError: the architecture is not supported.
    """
    for name in _TIME_EMBEDDINGS:
        module: Any = network
        for part in name.split("."):
            module = getattr(module, part, None)
        if isinstance(module, nn.Module):
            return module
    raise ValueError(
        f"camera conditioning needs a network with one of {', '.join(_TIME_EMBEDDINGS)}, got {type(network).__name__}; "
        "try cameras=0"
    )


def _width(embedding: nn.Module) -> int:
    for module in embedding.modules():
        last = getattr(module, "linear_2", None)
        if isinstance(last, nn.Linear):
            return last.out_features
    raise ValueError(
        f"camera conditioning needs a time embedding with `linear_2`, got {type(embedding).__name__}; try cameras=0"
    )
