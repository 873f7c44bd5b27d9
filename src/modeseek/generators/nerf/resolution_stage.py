"""Coarse-to-fine schedule of the render size and the volume resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ResolutionStage:
    """One stage of a coarse-to-fine schedule, in force from its start to that of the next.

    Attributes:
        start: progress at which the stage begins, in [0, 1).
        size: side length of the images, pixels, >= 1.
        level: refinement level of the volume, >= 0.
        prune: density threshold per world unit for pruning when the stage begins, >= 0; 0 prunes nothing.
    """

    start: float
    size: int
    level: int = 0
    prune: float = 0.0


def validate_stages(stages: Sequence[ResolutionStage], levels: int) -> tuple[ResolutionStage, ...]:
    """Returns the stages after checking that they start at 0, increase, and use existing levels of the volume.

    Raises:
        ValueError: stages out of order, a level that the volume lacks, or a size below 1.
    """
    starts, levels_used = [stage.start for stage in stages], [stage.level for stage in stages]
    increasing = starts == sorted(set(starts)) and levels_used == sorted(levels_used)
    if stages and (starts[0] != 0 or starts[-1] >= 1 or not increasing):
        raise ValueError(f"stages must start at 0, each later and no coarser, before 1, got {tuple(stages)}")
    if any(stage.size < 1 or not 0 <= stage.level < levels or stage.prune < 0 for stage in stages):
        raise ValueError(
            f"a stage needs size >= 1, prune >= 0 and one of the volume's {levels} levels, got {tuple(stages)}"
        )
    return tuple(stages)
