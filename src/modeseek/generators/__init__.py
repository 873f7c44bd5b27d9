"""Generators: what is optimised."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from modeseek.rng import Rng
from modeseek.view import View


@runtime_checkable
class Generator(Protocol):
    """An nn.Module whose parameters become an image."""

    def view(self, n: int, rng: Rng) -> View:
        """What to render next, n items of it."""
        ...

    def __call__(self, view: View) -> Float[Tensor, "b *d"]:
        """The rendered image, differentiable in the parameters."""
        ...
