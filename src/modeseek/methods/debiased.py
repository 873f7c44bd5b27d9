"""Directions bounded along the run, around any method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from modeseek.methods.base import Direction, Grouped, Method, RenderContext
from modeseek.priors.base import Conditions, Prior
from modeseek.ramp import Ramp, Varying, value_at
from modeseek.rng import Rng


@dataclass(frozen=True)
class Debiased:
    """D-SDS's score debiasing (Hong et al. 2023, arXiv 2303.15413): each number of `grad` clamped to [-c, c].

    c rises along the run: early on a few large entries, which push every view towards the front, are held back; in the
    end all details may pass. The bound counts in the units of the wrapped method's direction, weight included, so it
    is chosen per prior and weight (threestudio: 2 to 8 for Stable Diffusion, 0.5 to 2 for IF). An image gradient is
    passed on as it is. The paper's prompt debiasing is a matter of conditions, not of this class.

    Costs and draws what the wrapped method does; the state is the wrapped method's.

    Attributes:
        method: any method.
        threshold: c, positive, a number or a function of progress.
    """

    method: Method
    threshold: Varying = Ramp(2.0, 8.0)

    def __post_init__(self) -> None:
        for progress in (0.0, 1.0):
            self.bound(progress)

    @property
    def block(self) -> int | None:
        """What the method asks for."""
        return self.method.block if isinstance(self.method, Grouped) else 1

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> Any:
        return self.method.init(z, prior)

    def bound(self, progress: float) -> float:
        """c at this point of the run.

        Raises:
            ValueError: it is not positive.
        """
        c = value_at(self.threshold, progress)
        if not c > 0:
            raise ValueError(f"Debiased needs a positive threshold: got {c:g} at progress {progress:g}; raise it")
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
        """The wrapped method's direction with its entries bounded, and its state; logs the share held back."""
        direction, state = self.method.step(
            z, prior, state, conditions=conditions, progress=progress, rng=rng, context=context
        )
        c = self.bound(progress)
        held = (direction.grad.abs() > c).flatten(1).to(direction.grad).mean(1)
        logs = {**direction.logs, "held_back": held}
        return replace(direction, grad=direction.grad.clamp(-c, c), logs=logs), state
