"""Serialization of benchmark outcomes between processes."""

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
    """Runs one entry; returns its outcome as numbers and NumPy arrays, see `outcome_from_dict`."""
    frames = run_entry(entry, task)
    while True:
        try:
            frame = next(frames)
        except StopIteration as end:
            return _outcome_to_dict(end.value)
        yield Progress(entry.name, frame.index, frame.steps)


def outcome_from_dict(entry: ToyEntry, data: Mapping[str, Any]) -> ToyOutcome:
    """Outcome of an entry from the data of `run_to_dict`."""
    values = dict(data)
    for name in ("z", "trajectory"):
        values[name] = torch.from_numpy(values[name])
    if values["modes"] is not None:
        z, weight, label, log_prob = (None if part is None else torch.from_numpy(part) for part in values["modes"])
        if z is None or weight is None or label is None:
            raise ValueError(f"modes of {entry.name} are incomplete: got {data['modes']}; run it again")
        values["modes"] = Modes(z, weight, label, log_prob)
    return ToyOutcome(entry, **values)


def _outcome_to_dict(outcome: ToyOutcome) -> dict[str, Any]:
    data = {f.name: getattr(outcome, f.name) for f in fields(outcome) if f.name != "entry"}
    for name in ("z", "trajectory"):
        data[name] = data[name].numpy()
    if outcome.modes is not None:
        parts = (getattr(outcome.modes, f.name) for f in fields(outcome.modes))
        data["modes"] = tuple(None if part is None else part.numpy() for part in parts)
    return data
