"""Prior calls per step of a method, measured on a two-component mixture instead of derived by formula."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from modeseek.codec import Identity
from modeseek.generators.base import Rendering
from modeseek.generators.camera import CameraView
from modeseek.generators.orbit import Orbit
from modeseek.methods.base import Method, RenderContext
from modeseek.methods.vsd import Camera
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.gaussian_mixture import GaussianMixture
from modeseek.priors.guidance import Guided
from modeseek.priors.wrapper import Counting
from modeseek.rng import Streams

_STEPS = 9  # length of the run on which calls are counted
STAND_IN_CONDITIONS = Conditions(torch.tensor([0]), null=torch.tensor([-1]))


@runtime_checkable
class CameraMethod(Protocol):
    """A method whose auxiliary network may be conditioned on the camera."""

    @property
    def camera(self) -> Camera | None:
        """Function from the render context to the camera of each row; None for none."""
        ...


def count_prior_calls(
    method: Method, scale: float, guided: bool, conditions: Conditions | None = STAND_IN_CONDITIONS
) -> tuple[int, int]:
    """Prior calls per row: of the initialisation, and of one step (mean over a run, rounded up).

    Args:
        method: method whose calls are counted.
        scale: guidance scale; 1 is none.
        guided: True if the method is given a guided prior, False if it applies guidance itself.
        conditions: one row of conditions: labels 0 and 1, -1 for null; None counts the unconditional calls.
    """
    first, each = mean_prior_calls(method, scale, guided, conditions)
    per_step = math.ceil(each)
    return max(0, math.ceil(first + each) - per_step), per_step


def mean_prior_calls(
    method: Method,
    scale: float,
    guided: bool,
    conditions: Conditions | None = STAND_IN_CONDITIONS,
    steps: int = _STEPS,
) -> tuple[float, float]:
    """Prior calls per row: of the initialisation, and of one step, the mean over a run of `steps` >= 2 steps.

    The other arguments are those of `count_prior_calls`.
    """
    weights = torch.full((2,), 0.5, dtype=torch.float64)
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    covs = torch.eye(2, dtype=torch.float64).expand(2, 2, 2) / 4
    counting = Counting(GaussianMixture(weights, means, covs, labels=torch.tensor([0, 1])))
    prior: Prior = Guided(counting, scale) if guided and conditions is not None and scale != 1 else counting
    z, rng, calls = torch.zeros(1, 2, dtype=torch.float64), Streams(0), [0]
    context = _camera_context(z) if isinstance(method, CameraMethod) and method.camera is not None else None
    state = method.init(z, prior)
    for index in range(steps):
        progress = index / (steps - 1)
        _, state = method.step(
            z, prior, state, conditions=conditions, progress=progress, rng=rng.at(index), context=context
        )
        calls.append(counting.calls)
    each = (calls[-1] - calls[1]) / (steps - 1)
    return max(0.0, calls[1] - each), each


def _camera_context(z: Tensor) -> RenderContext:
    """Context of one row that is rendered from a camera, for methods that look at it."""
    view = CameraView((0,), Orbit().ring(1), 1)
    own = torch.zeros(1, dtype=torch.long)
    return RenderContext(view, Rendering(view, z), z, Identity(), own, own)
