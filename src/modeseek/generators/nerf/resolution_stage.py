"""Coarse to fine: at what point of a run a volume is rendered how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ResolutionStage:
    """From `start` on, pictures of that size and a volume refined that often.

    Attributes:
        start: progress in [0, 1).
        size: side of the pictures, pixels.
        level: of the volume's fineness.
        prune: density below which space is closed when the stage begins; 0 closes nothing.
    """

    start: float
    size: int
    level: int = 0
    prune: float = 0.0


def validate_stages(stages: Sequence[ResolutionStage], levels: int) -> tuple[ResolutionStage, ...]:
    """The stages, if they begin at 0, go on, and the volume has their levels.

    Raises:
        ValueError: they do not, or a size is below 1.
    """
    starts, wanted = [stage.start for stage in stages], [stage.level for stage in stages]
    if stages and (starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= 1 or wanted != sorted(wanted)):
        raise ValueError(f"stages begin at 0 and go on, each later and no coarser, before 1: got {tuple(stages)}")
    if any(stage.size < 1 or not 0 <= stage.level < levels or stage.prune < 0 for stage in stages):
        raise ValueError(
            f"a stage has size >= 1, prune >= 0 and one of the volume's {levels} levels: got {tuple(stages)}"
        )
    return tuple(stages)
