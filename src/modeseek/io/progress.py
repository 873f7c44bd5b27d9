"""How a long job tells where it stands, without printing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a stage of a run stands.

    Attributes:
        stage: what is being done, for people.
        done: units done.
        total: units in all.
        note: a number worth seeing beside it, or nothing.
    """

    stage: str
    done: int
    total: int
    note: str = ""
