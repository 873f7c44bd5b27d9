"""The protocol of methods, and the records that travel between a method and the optimisation loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from modeseek.codec import Codec
from modeseek.diffusion.prediction import Prediction
from modeseek.generators.base import Rendering, View
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng


@dataclass(frozen=True)
class RenderContext:
    """What some methods need beside z: pixels, camera, codec, particle.

    Attributes:
        view: what was rendered.
        rendering: what came out.
        image: the rendered pixels, with their graph.
        codec: between image and z.
        item: global item numbers, (b,).
        particle: which particle each item belongs to, or None.
    """

    view: View
    rendering: Rendering
    image: Tensor
    codec: Codec
    item: Tensor
    particle: Tensor | None = None


@dataclass(frozen=True)
class Direction:
    """A method's answer: descend along `grad`.

    Attributes:
        grad: dL/dz per sample, detached, (b, *d).
        grad_image: dL/dimage per sample, or None.
        t: times visited, or None where the method thinks in bandwidths.
        eps: the noise drawn, or None.
        prediction: the last prediction used, or None.
        logs: named numbers per sample worth a curve (bandwidth, relative_shift ...), each (b,).
    """

    grad: Float[Tensor, "b *d"]
    grad_image: Tensor | None = None
    t: Tensor | None = None
    eps: Tensor | None = None
    prediction: Prediction | None = None
    logs: dict[str, Tensor] = field(default_factory=dict)


@runtime_checkable
class Grouped(Protocol):
    """What compares rows with each other: a method, or conditions. Several processes then keep them together."""

    @property
    def block(self) -> int | None:
        """How many consecutive rows belong together; None: all of a batch."""
        ...


@runtime_checkable
class Method(Protocol):
    """A score-distillation method: a frozen dataclass of hyperparameters; all that changes lives in the state."""

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> Any:
        """The state before the first step."""
        ...

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: Any,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, Any]:
        """The direction at z and the next state; progress in [0, 1] is where the run stands."""
        ...
