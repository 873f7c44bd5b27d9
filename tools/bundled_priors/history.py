"""History of the training of weights: an entry per session and stage, stored in `training.json` beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from modeseek.io.errors import one_line

FILE = "training.json"
_FORMAT = "modeseek-training-history-1"
_COUNTED = {"steps": "step", "samples": "samples", "seconds": "seconds"}  # counters of a row


@dataclass(frozen=True)
class HistoryEntry:
    """Training of one stage on one device with fixed settings.

    Attributes:
        trains: trained components, such as "denoiser".
        device: name of the device.
        steps: number of steps.
        batch: batch size.
        samples: number of examples of all steps.
        seconds: training time.
        lr: peak learning rate.
        measure: metric on held-out data, such as "error of v".
        before: metric before the training, or None.
        after: metric at its end, or None.
        note: remark for the card, or empty.
    """

    trains: str
    device: str
    steps: int
    batch: int
    samples: int
    seconds: float
    lr: float | None = None
    measure: str = ""
    before: float | None = None
    after: float | None = None
    note: str = ""


def write_history(entries: Iterable[HistoryEntry]) -> bytes:
    """Contents of `training.json`."""
    return (json.dumps({"format": _FORMAT, "history": [asdict(e) for e in entries]}, indent=2) + "\n").encode()


def read_history(folder: Path) -> tuple[HistoryEntry, ...]:
    """Reads `training.json` of a folder of weights.

    Raises:
        ValueError: the file is missing or damaged.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != _FORMAT:
            raise ValueError(f"its format is {content['format']!r}, not {_FORMAT!r}")
        return tuple(_entry(values) for values in content["history"])
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder} must hold the history of its training, but has no {FILE}; write one, or pack a training folder"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {one_line(error, 200)}; restore it") from error


def _entry(values: Mapping[str, Any]) -> HistoryEntry:
    if unknown := sorted(set(values) - {f.name for f in fields(HistoryEntry)}):
        raise ValueError(f"it has an unknown entry {unknown[0]!r}")
    for names, kinds in (
        (("trains", "device", "measure", "note"), str),
        (("steps", "batch", "samples"), int),
        (("seconds", "lr", "before", "after"), int | float | None),
    ):
        for name in names:
            if name in values and not isinstance(values[name], kinds):
                raise ValueError(f"{name} of an entry is {values[name]!r}")
    return HistoryEntry(**values)


def history_of(rows: Iterable[Mapping[str, Any]]) -> list[HistoryEntry]:
    """Entries of a training from the rows of its `metrics.jsonl`, consecutive sessions of equal settings as one.

    A row with "session" begins each session of a stage; rows with a metric name it in "measure".
    """
    entries: list[HistoryEntry] = []
    begin: Mapping[str, Any] = {"stage": None}  # row that began the newest session
    metric: dict[str, float] = {}  # newest held-out metric by stage
    for row in rows:
        stage = row["stage"]
        if stage == begin["stage"]:  # the next session of a stage begins where this one ended
            entries[-1] = replace(entries[-1], **{name: row[key] - begin[key] for name, key in _COUNTED.items()})
        if "session" in row:
            session, begin = row["session"], row
            named = {name: session[name] for name in ("trains", "device", "batch", "lr", "measure")}
            entries.append(HistoryEntry(**named, steps=0, samples=0, seconds=0.0, before=metric.get(stage)))
        elif stage == begin["stage"] and (measure := begin["session"]["measure"]) in row:
            metric[stage] = row[measure]
            at = "after" if entries[-1].steps else "before"
            entries[-1] = replace(entries[-1], **{at: metric[stage]})
    merged: list[HistoryEntry] = []
    for entry in entries:
        if not entry.steps:
            continue
        if merged and _settings(merged[-1]) == _settings(entry):
            merged[-1] = _joined(merged[-1], entry)
        else:
            merged.append(entry)
    return merged


def _settings(entry: HistoryEntry) -> tuple[Any, ...]:
    return entry.trains, entry.device, entry.batch, entry.lr, entry.measure


def _joined(first: HistoryEntry, second: HistoryEntry) -> HistoryEntry:
    return replace(
        first,
        steps=first.steps + second.steps,
        samples=first.samples + second.samples,
        seconds=first.seconds + second.seconds,
        after=first.after if second.after is None else second.after,
    )
