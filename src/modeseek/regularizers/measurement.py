"""Data term of a rendering: a measured image, photographs from known cameras, or a silhouette to match."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Generator, Rendering, View, render
from modeseek.operators.data_term import DataTerm
from modeseek.regularizers.base import Penalty


@dataclass(frozen=True)
class MeasurementPenalty(Penalty):
    """Data term `-log p(y | image)`, mean over the images: of each step's renderings, or of fixed views.

    Beside a method whose direction is `w (z - D(z; h)) = -w h^2 grad log p_h`, the weight `w h^2` makes the sum the
    gradient of the posterior, and `w / (1 / h^2 + 1 / s^2)` that of the likelihood blurred by the kernel, which is no
    stiffer than the direction (`modeseek.methods.data_weight`).

    Attributes:
        weight: weight >= 0, or a function of progress in [0, 1].
        data: data term of images (b, c, h, w), such as `operators.GaussianLikelihood`, `LeastSquares`, `Likelihood`.
        generator: generator that is rendered for the penalty, once a step, such as the one that is optimised; None
            takes the rendering of the step.
        view: view of that rendering, such as the cameras of photographs; required with `generator`.
    """

    data: DataTerm | None = None
    generator: Generator | None = None
    view: View | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data is None or (self.generator is None) != (self.view is None):
            raise ValueError(
                "MeasurementPenalty needs data, and a generator with a view or neither, got "
                f"{'no data' if self.data is None else 'one without the other'}; "
                "try MeasurementPenalty(1.0, ms.Likelihood(f))"
            )

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        assert self.data is not None
        if self.generator is not None and self.view is not None:
            rendering = render(self.generator, self.view)
        return -self.data.log_prob(rendering.image).mean()
