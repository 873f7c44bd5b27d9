"""Guard against runs that run away: numbers beyond all measure fail them, though they are finite."""

from __future__ import annotations

from torch import Tensor

from modeseek.distill import Step
from modeseek.runs.interrupts import RunFailed

LIMIT = 1e12  # largest number of a run, in units of the data where these are above 1


def check_magnitude(values: Tensor, what: str, cause: str, extent: float | None = None) -> None:
    """Checks that numbers are finite and of a plausible size.

    Args:
        values: the numbers.
        what: what they are, for the message.
        cause: setting to lower, for the message.
        extent: size of the prior's data, units of z; None if unknown.

    Raises:
        RunFailed: one is not.
    """
    limit = LIMIT * max(1.0, extent or 0.0)
    largest = values.detach().abs().amax().item() if values.numel() else 0.0
    if not largest <= limit:
        raise RunFailed(
            f"{what} must be at most {limit:.0e} in size, got {largest:.3g}: it has diverged; lower {cause}"
        )


def check_step(step: Step, extent: float | None = None) -> None:
    """Checks the input of the prior, the direction and the measurements of a step.

    Raises:
        RunFailed: a number is not finite, or beyond all measure.
    """
    check_magnitude(step.z, f"z at step {step.index}", "the learning rate or the spread of the start", extent)
    check_magnitude(step.direction.grad, f"the direction at step {step.index}", "the guidance scale", extent)
    for name, values in step.direction.logs.items():
        if not values.isfinite().all():
            raise RunFailed(
                f"{name} must be finite, got {_first(values)} at step {step.index}; lower the learning rate"
            )


def _first(values: Tensor) -> float:
    return values[~values.isfinite()].flatten()[0].item()
