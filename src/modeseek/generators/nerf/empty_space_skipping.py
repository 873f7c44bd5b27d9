"""Empty space skipping: leaves out samples that are empty or occluded."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.generators.nerf.composite import transmittance


@dataclass(frozen=True)
class EmptySpaceSkipping:
    """Thresholds below which samples are skipped as empty or occluded.

    A sample is skipped if its optical depth (density times interval) is at most `empty`, or the transmittance up to it
    at most `opaque`. Opacity and colour err by at most `samples * empty + opaque`, 6e-5 with 48 samples. Closed cells
    of the `OccupancyGrid` are skipped at once; in open cells the density is evaluated without a gradient, and only the
    contributing samples are evaluated for colour and gradient. This pays off after pruning, so nothing is skipped
    before.

    The gradient of a skipped sample would be as small as its contribution. Optimizers that normalise gradients, such as
    Adam, follow it nevertheless: empty space stays empty here, while without skipping it may fill again.

    Attributes:
        empty: largest optical depth of an empty sample, >= 0.
        opaque: largest transmittance up to an occluded sample, in [0, 1).

    Raises:
        ValueError: either out of its range.
    """

    empty: float = 1e-6
    opaque: float = 1e-5

    def __post_init__(self) -> None:
        if not self.empty >= 0 or not 0 <= self.opaque < 1:
            raise ValueError(
                f"empty space skipping needs empty >= 0 and opaque in [0, 1), got {self.empty} and {self.opaque}"
            )

    def contributing(self, optical_depth: Float[Tensor, "m s"]) -> Bool[Tensor, "m s"]:
        """Returns which samples contribute to the image, given the optical depths along their rays."""
        return (optical_depth > self.empty) & (transmittance(optical_depth) > self.opaque)


def compact_samples(selected: Bool[Tensor, "m s"]) -> tuple[Bool[Tensor, "m"], Int[Tensor, "q"]]:
    """Returns a mask of rays with any selected sample, and the indices of those samples within the selected rays."""
    rows = selected.any(1)
    return rows, selected[rows].flatten().nonzero()[:, 0]
