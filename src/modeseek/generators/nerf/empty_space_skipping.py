"""The fast path: which samples can be left out because nothing is there, or because nothing shows through to them."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.generators.nerf.composite import transmittance


@dataclass(frozen=True)
class EmptySpaceSkipping:
    """Leaves out samples with next to nothing in them, and those that next to no light reaches.

    That is, an optical depth (density times interval) of `empty` at most, and a share of light of `opaque` at most:
    opacity and colour err by `samples * empty + opaque` at most, 6e-5 with 48 samples. Closed boxes of the `OccupancyGrid`
    are left out at once; in open ones the volume is asked for its density without a gradient, and only the samples
    that count are asked for colours and take part in the gradient. That pays once the space has been pruned, so nothing
    is left out before.

    The gradient of a sample left out would have been as small as what it shows. Optimizers that normalise it, such as
    Adam, follow it all the same: what is empty stays so here, while in the plain path it may come back.

    Attributes:
        empty: optical depth of a sample, >= 0.
        opaque: share of light, in [0, 1).

    Raises:
        ValueError: either out of its range.
    """

    empty: float = 1e-6
    opaque: float = 1e-5

    def __post_init__(self) -> None:
        if not self.empty >= 0 or not 0 <= self.opaque < 1:
            raise ValueError(
                f"skipping needs empty >= 0 and opaque in [0, 1): got {self.empty} and {self.opaque}; mend them"
            )

    def contributing(self, optical_depth: Float[Tensor, "m s"]) -> Bool[Tensor, "m s"]:
        """Which samples count, given the optical depths along their rays."""
        return (optical_depth > self.empty) & (transmittance(optical_depth) > self.opaque)


def compact_samples(chosen: Bool[Tensor, "m s"]) -> tuple[Bool[Tensor, "m"], Int[Tensor, "q"]]:
    """The rays with any chosen sample, and the samples' numbers in order among theirs."""
    rows = chosen.any(1)
    return rows, chosen[rows].flatten().nonzero()[:, 0]
