"""Protocol of score-distillation methods, and the records exchanged with the optimisation loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.codec import Codec
from modeseek.diffusion.prediction import Prediction
from modeseek.generators.base import Rendering, View, concatenate_optional
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng


@dataclass(frozen=True)
class RenderContext:
    """Rendering behind z, for methods that need pixels, cameras, the codec or particle indices.

    Attributes:
        view: rendered view (camera and random draws).
        rendering: output of the generator for that view.
        image: image that was encoded, (b, c, h, w) in [0, 1], attached to the autograd graph: the rendered one, resized
            and moved as a random codec (`Shifted`) drew it for this step.
        codec: differentiable maps between that image and z.
        item: global item index of each row, (b,).
        particle: global index of the particle (optimised object) of each row, (b,): all views of one NeRF share theirs,
            each image is its own, and each point of a cloud.
    """

    view: View
    rendering: Rendering
    image: Tensor
    codec: Codec
    item: Tensor
    particle: Int[Tensor, "b"]


@dataclass(frozen=True)
class Direction:
    """Result of a method's step: the gradient to descend, and the quantities it was computed from.

    Attributes:
        grad: dL/dz per sample, detached, (b, *d).
        grad_image: dL/dimage per sample, detached, (b, c, h, w); None if the method has no image term.
        t: evaluated times in [0, 1], (b,); None for methods parametrised by a bandwidth.
        eps: drawn noise, (b, *d), or None.
        prediction: last prediction of the prior, or None.
        weight: weight w of each sample, (b,), where the gradient is `w (z - target)`, so that more than one step can be
            taken to the same target (`distill(inner_steps=...)`); None where the method has no target in z.
        logs: named per-sample metrics to plot (bandwidth, relative_shift ...), each (b,).
    """

    grad: Float[Tensor, "b *d"]
    grad_image: Tensor | None = None
    t: Tensor | None = None
    eps: Tensor | None = None
    prediction: Prediction | None = None
    weight: Float[Tensor, "b"] | None = None
    logs: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def concatenate(cls, parts: Sequence[Direction]) -> Direction:
        """Returns the direction of the rows of several batches; one is itself, the prediction of several is None."""
        if len(parts) == 1:
            return parts[0]
        grad_image, t, eps, weight = (
            concatenate_optional([getattr(part, name) for part in parts])
            for name in ("grad_image", "t", "eps", "weight")
        )
        logs = {name: torch.cat([part.logs[name] for part in parts]) for name in parts[0].logs}
        return cls(torch.cat([part.grad for part in parts]), grad_image, t, eps, weight=weight, logs=logs)


@runtime_checkable
class Grouped(Protocol):
    """A method or conditions that compare rows with each other; distributed runs keep such rows in one process."""

    @property
    def block(self) -> int | None:
        """Number of consecutive rows that belong together; None is the whole batch."""
        ...


def block_size(*parts: object) -> int | None:
    """Number of consecutive items that a method and its conditions need in one process; None: all items."""
    blocks = [part.block for part in parts if isinstance(part, Grouped)]
    return None if None in blocks else math.lcm(*(block or 1 for block in blocks))


@runtime_checkable
class ConvergingMethod(Protocol):
    """A method with a criterion of convergence."""

    def done(self, state: Any) -> Bool[Tensor, "b"]:
        """Returns True for converged rows."""
        ...


@runtime_checkable
class TrainingMethod(Protocol):
    """A method that trains an auxiliary network: `warmup` updates before the first direction, `updates` in a step."""

    updates: int
    warmup: int


@runtime_checkable
class TargetingMethod(Protocol):
    """A method whose directions may have a target in z: `grad = w (z - target)`, with w as `Direction.weight`."""

    @property
    def has_target(self) -> bool:
        """True if they have one with these hyperparameters."""
        ...


def has_target(method: object) -> bool:
    """Returns True if the directions of a method (or of its class) have a target in z, so that inner steps go to it."""
    return isinstance(method, TargetingMethod) and method.has_target is True


@runtime_checkable
class PromptedMethod(Protocol):
    """A method that compares prompts: `needs` are the fields of `Conditions` that it requires, too."""

    needs: ClassVar[tuple[str, ...]]


def needs_of(method: object) -> tuple[str, ...]:
    """Returns the fields of `Conditions` that a method requires beside the positive and the null one."""
    return method.needs if isinstance(method, PromptedMethod) else ()


@runtime_checkable
class ViewMethod(Protocol):
    """A method that may need several views of one 3D object."""

    @property
    def needs_cameras(self) -> bool:
        """True if it needs them with these hyperparameters."""
        ...


def needs_cameras(method: object) -> bool:
    """Returns True if a method needs views of a 3D object from cameras, so that free images will not do."""
    return isinstance(method, ViewMethod) and method.needs_cameras is True


def own_scale(method: Any) -> float | None:
    """Returns the guidance scale of a method, or the default of its class, that guides by one; None for others.

    One that `guides` without a `scale` mixes its branches by coefficients.
    """
    scale = getattr(method, "scale", None) if method.guides else None
    return None if scale is None else float(scale)


MAX_INNER_STEPS = 10_000
MAX_BATCHES = 10_000


def check_accumulate(accumulate: int) -> None:
    """Raises ValueError unless the number of batches per update is 1 to 10,000."""
    if not 1 <= accumulate <= MAX_BATCHES:
        raise ValueError(
            f"accumulate must be 1 to {MAX_BATCHES}, got {accumulate}; try 1, an update of the optimizer per batch"
        )


def check_inner_steps(inner_steps: int, method: object) -> None:
    """Raises ValueError unless inner_steps >= 1, and 1 for a method whose directions have no target in z."""
    if inner_steps < 1:
        raise ValueError(f"inner_steps must be at least 1, got {inner_steps}; try 1, one update per direction")
    if inner_steps > MAX_INNER_STEPS:
        raise ValueError(f"inner_steps must be at most {MAX_INNER_STEPS}, got {inner_steps}; try 4")
    if inner_steps > 1 and not has_target(method):
        raise ValueError(
            f"inner_steps must be 1 for {type(method).__name__}, whose directions have no target in z, got "
            f"{inner_steps}; try msd or sds"
        )


def check_method(method: object, expected: str = "an object such as MSD(0.2)") -> None:
    """Raises TypeError, naming what is expected, for what is no method, such as the class of one."""
    if isinstance(method, type):
        raise TypeError(f"method must be {expected}, got the class {method.__name__}; try {method.__name__}()")
    if not isinstance(method, Method):
        raise TypeError(f"method must be {expected}, got {method!r:.80}")


@runtime_checkable
class Method(Protocol):
    """A score-distillation method: a frozen dataclass of hyperparameters; all that changes lives in the state.

    Attributes:
        references: BibTeX keys of its papers, in `citations/references.bib`.
        guides: True if it applies guidance itself to an unguided prior, by its own `scale` or its coefficients.
    """

    references: ClassVar[tuple[str, ...]]
    guides: ClassVar[bool]

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> Any:
        """Returns the state before the first step."""
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
        """Returns the direction at z and the next state; progress in [0, 1] is the completed share of the run."""
        ...
