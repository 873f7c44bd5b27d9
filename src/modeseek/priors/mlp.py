"""Residual MLP, the denoising network of a small learned prior."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def linear(n_in: int, n_out: int) -> nn.Linear:
    """Returns a linear layer with uninitialised weights: torch would draw them from the global generator.

    `to_empty` would do so too, but imports sympy, which takes longer than modeseek itself.
    """
    layer = nn.Linear(n_in, n_out, device="meta")
    layer.weight, layer.bias = nn.Parameter(torch.empty(n_out, n_in)), nn.Parameter(torch.empty(n_out))
    return layer


@dataclass(frozen=True)
class MLPArchitecture:
    """Architecture of an MLP: every size that fixes its shape.

    Attributes:
        dim: number of coordinates of one item, >= 1.
        n_classes: number of classes to condition on, >= 0.
        width: width of the hidden layers, >= 1.
        depth: number of residual layers, >= 1.
        n_frequencies: number of Fourier frequencies of the log noise level, >= 1.
    """

    dim: int
    n_classes: int = 0
    width: int = 96
    depth: int = 4
    n_frequencies: int = 8

    def __post_init__(self) -> None:
        if min(self.dim, self.width, self.depth, self.n_frequencies) < 1 or self.n_classes < 0:
            raise ValueError(f"an architecture needs positive sizes: got {self}; raise the ones below 1")


class MLP(nn.Module):
    """Residual MLP on (noised point, log noise level, class); weights are drawn from `rng` alone."""

    def __init__(self, architecture: MLPArchitecture, rng: torch.Generator) -> None:
        super().__init__()
        a = architecture
        self.register_buffer("frequencies", 0.25 * math.pi * 2.0 ** torch.linspace(-1, 3, a.n_frequencies))
        self.inlet = linear(a.dim, a.width)
        self.level = linear(2 * a.n_frequencies + 1, a.width)
        self.classes = nn.Embedding(
            a.n_classes + 1, a.width, _weight=torch.empty(a.n_classes + 1, a.width)
        )  # 0 is null
        self.norms = nn.ModuleList(nn.LayerNorm(a.width) for _ in range(a.depth))
        self.expansions = nn.ModuleList(linear(2 * a.width, a.width) for _ in range(a.depth))
        self.contractions = nn.ModuleList(linear(a.width, a.width) for _ in range(a.depth))
        self.outlet = linear(a.width, a.dim)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5, generator=rng)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.classes.weight, std=0.5, generator=rng)
        nn.init.zeros_(self.outlet.weight)

    def forward(self, x: Float[Tensor, "b d"], log_level: Float[Tensor, "b"], label: Int[Tensor, "b"]) -> Tensor:
        """Returns the raw output, (b, d); label -1 is the null class."""
        phase = log_level[:, None] * self.get_buffer("frequencies")
        features = torch.cat([log_level[:, None] / 4, phase.sin(), phase.cos()], 1)
        context = nn.functional.silu(self.level(features) + self.classes(label + 1))
        h = self.inlet(x)
        for norm, expansion, contraction in zip(self.norms, self.expansions, self.contractions, strict=True):
            h = h + contraction(nn.functional.silu(expansion(torch.cat([norm(h), context], 1))))
        return self.outlet(h)
