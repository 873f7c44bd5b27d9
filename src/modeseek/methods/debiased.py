"""Score debiasing (D-SDS): element-wise gradient clamping around any method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from modeseek.methods.base import Direction, Method, RenderContext, block_size, has_target
from modeseek.priors.base import Conditions, Prior
from modeseek.ramp import Ramp, Varying, value_at
from modeseek.rng import Rng


@dataclass(frozen=True)
class Debiased:
    """D-SDS score debiasing (Hong et al. 2023, arXiv 2303.15413): each number of `grad` clamped to [-c, c].

    c rises along the run: early on, the few large entries that push every view towards the front view are clamped;
    at the end all details pass. The bound has the units of the wrapped method's direction, weight included, so it is
    chosen per prior and weight (threestudio: 2 to 8 for Stable Diffusion, 0.5 to 2 for IF). `grad_image` is unchanged.
    The paper's prompt debiasing is `DebiasedPrompts`, not this class.

    Costs, random draws and state are those of the wrapped method.

    Attributes:
        method: wrapped method.
        threshold: bound c > 0 in units of `grad`, a number or a function of progress.
    """

    references: ClassVar[tuple[str, ...]] = ("debiased",)
    guides: ClassVar[bool] = False
    method: Method
    threshold: Varying = Ramp(2.0, 8.0)

    def __post_init__(self) -> None:
        for progress in (0.0, 1.0):
            self.bound(progress)

    @property
    def block(self) -> int | None:
        """Block size of the wrapped method, 1 if it has none."""
        return block_size(self.method)

    @property
    def has_target(self) -> bool:
        """True if the directions of the wrapped method have a target in z."""
        return has_target(self.method)

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> Any:
        return self.method.init(z, prior)

    def bound(self, progress: float) -> float:
        """Returns c at this progress.

        Raises:
            ValueError: c is not positive.
        """
        c = value_at(self.threshold, progress)
        if not c > 0:
            raise ValueError(f"Debiased needs a positive threshold, got {c:g} at progress {progress:g}")
        return c

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
        """Returns the wrapped method's direction with clamped entries, and its state; logs the clamped share."""
        direction, state = self.method.step(
            z, prior, state, conditions=conditions, progress=progress, rng=rng, context=context
        )
        c = self.bound(progress)
        clamped_share = (direction.grad.abs() > c).flatten(1).to(direction.grad).mean(1)
        logs = {**direction.logs, "held_back": clamped_share}
        return replace(direction, grad=direction.grad.clamp(-c, c), logs=logs), state
