"""Where a picture was seen from, added to what a diffusers network is told of the noise level."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

_TIME_EMBEDDINGS = ("time_embedding", "time_text_embed", "adaln_single.emb")
"""What gives the embedding of the noise level, (b, width), in U-Nets, in SD3 and Flux, and in PixArt."""


class CameraEmbedding(nn.Module):
    """A perceptron from a camera's numbers to the width of the network's time embedding; 0 at first.

    Attributes:
        numbers: that describe a camera.
    """

    def __init__(self, numbers: int, network: Any, rng: torch.Generator) -> None:
        super().__init__()
        self.numbers, width = numbers, _width(time_embedding_of(network))
        self.inlet, self.outlet = (_linear(*sides) for sides in ((numbers, width), (width, width)))
        nn.init.normal_(self.inlet.weight, std=numbers**-0.5, generator=rng)
        for still in (self.inlet.bias, self.outlet.weight, self.outlet.bias):
            nn.init.zeros_(still)
        self._camera: tuple[Tensor, Tensor] | None = None

    @contextmanager
    def conditioned_on(self, camera: Float[Tensor, "b k"], shown: Float[Tensor, "b 1"]) -> Generator[None]:
        """Within, the network that hears this embedding is told these cameras; rows that are not shown, nothing."""
        self._camera = (camera.float(), shown.float())
        try:
            yield
        finally:
            self._camera = None

    def forward(self, embedding: Float[Tensor, "b w"]) -> Float[Tensor, "b w"]:
        """The network's embedding of the noise level, the camera added."""
        if self._camera is None:
            return embedding
        camera, shown = self._camera
        return embedding + (shown * self.outlet(nn.functional.silu(self.inlet(camera)))).to(embedding)


def attach_camera(network: Any, camera: CameraEmbedding) -> None:
    """Lets a network's embedding of the noise level pass through the camera's, in place."""
    held = (camera,)  # not as a submodule: the network's state dict stays its own
    time_embedding_of(network).register_forward_hook(lambda _, __, out: held[0](out))


def time_embedding_of(network: Any) -> nn.Module:
    """The module whose output is the embedding of the noise level.

    Raises:
        ValueError: the architecture has none that is known.
    """
    for name in _TIME_EMBEDDINGS:
        module: Any = network
        for part in name.split("."):
            module = getattr(module, part, None)
        if isinstance(module, nn.Module):
            return module
    raise ValueError(f"no place for a camera in a {type(network).__name__}: use an adapter with cameras=0")


def _width(place: nn.Module) -> int:
    for module in place.modules():
        last = getattr(module, "linear_2", None)
        if isinstance(last, nn.Linear):
            return last.out_features
    raise ValueError(f"the width of a {type(place).__name__} is unknown: use an adapter with cameras=0")


def _linear(n_in: int, n_out: int) -> nn.Linear:
    """A layer whose weights are not drawn yet: torch would draw them from the global generator."""
    return nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
