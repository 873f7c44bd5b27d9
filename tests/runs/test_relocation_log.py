"""Relocated elements of a generator in the metrics and the log of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch

import modeseek as ms
from modeseek.codec import Identity
from modeseek.config.built_generator import BuiltGenerator
from modeseek.config.generators import PointsConfig
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.generators.relocation import Relocation
from modeseek.rng import Rng
from modeseek.runs.api import create_run
from modeseek.runs.train import train


class Reborn(ms.Points):
    """Points of which the last two are relocated after the second step."""

    def relocate(self, optimizer: torch.optim.Optimizer, step: int, rng: Rng) -> Relocation | None:
        return Relocation((0, 0), (2, 3)) if step == 1 else None


@dataclass(frozen=True)
class RebornConfig(PointsConfig):
    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[ms.Points]:
        points = Reborn(torch.zeros(4, 2, dtype=loaded.prior.dtype))
        return BuiltGenerator(points, Identity(), 1, pixels=False)


def test_relocations_are_logged_and_counted(tmp_path: Path) -> None:
    config = ms.Config(ms.runs.ToyPriorConfig("ring"), ms.MSD(0.3), steps=3, previews=0)
    run, objects = create_run(replace(config, generator=PointsConfig()), ["test"], tmp_path / "run")
    built = RebornConfig().make(objects.loaded, 0)
    optimizer = torch.optim.SGD(built.module.parameters(), lr=1.0)
    objects = replace(objects, generator=built.module, optimizer=optimizer, batch=1)
    for _ in train(run, objects, 3):
        pass
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [row.get("relocated") for row in rows] == [None, 2, None]
    lines = [line for line in (run.path / "log.txt").read_text().splitlines() if "relocated" in line]
    assert len(lines) == 1 and lines[0].endswith("relocated after step 2: 2 of item 0, 3 of item 0")
