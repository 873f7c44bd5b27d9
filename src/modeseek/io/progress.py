"""Progress reports that long-running generators yield."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Progress of one stage of a run.

    Attributes:
        stage: name of the stage, for display.
        done: number of completed units.
        total: total number of units.
        note: short text to show beside the progress, or empty.
    """

    stage: str
    done: int
    total: int
    note: str = ""
