"""Outcomes of a contest as one process can send them to another."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import fields
from typing import Any

import torch

from modeseek.experiments.toy2d.benchmark import run_entry
from modeseek.experiments.toy2d.entries import ToyEntry, ToyOutcome, ToyTask
from modeseek.io.progress import Progress
from modeseek.meanshift.modes import Modes


def run_to_dict(entry: ToyEntry, task: ToyTask) -> Generator[Progress, None, dict[str, Any]]:
    """Plays one contestant and gives what `received` makes an outcome of: numbers and NumPy arrays."""
    playing = run_entry(entry, task)
    while True:
        try:
            frame = next(playing)
        except StopIteration as end:
            return _plain(end.value)
        yield Progress(entry.name, frame.index, frame.steps)


def outcome_from_dict(entry: ToyEntry, plain: Mapping[str, Any]) -> ToyOutcome:
    """The outcome that `sent` took apart."""
    whole = dict(plain)
    for name in ("z", "trajectory"):
        whole[name] = torch.from_numpy(whole[name])
    if whole["modes"] is not None:
        z, weight, label, log_prob = (None if part is None else torch.from_numpy(part) for part in whole["modes"])
        if z is None or weight is None or label is None:
            raise ValueError(f"the modes of {entry.name} lack a part: got {plain['modes']}; play again")
        whole["modes"] = Modes(z, weight, label, log_prob)
    return ToyOutcome(entry, **whole)


def _plain(outcome: ToyOutcome) -> dict[str, Any]:
    plain = {f.name: getattr(outcome, f.name) for f in fields(outcome) if f.name != "entry"}
    for name in ("z", "trajectory"):
        plain[name] = plain[name].numpy()
    if outcome.modes is not None:
        parts = (getattr(outcome.modes, f.name) for f in fields(outcome.modes))
        plain["modes"] = tuple(None if part is None else part.numpy() for part in parts)
    return plain
