"""Part of `gpu.py`: one step of each method under full-size pipelines, over the bare network and the plain loop."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from _gpu_measure import measure
from _pipelines import SHAPES, full_size_pipeline, tiny_pipeline
from pipeline_steps import tasks

import modeseek as ms

FULL = {"sd-1.5": 512, "sdxl": 512, "sd3": 512}


def pipelines(device: str, quick: bool) -> dict[str, Any]:
    """Returns seconds, memory and ratios of every task, by the shape of the pipeline."""
    torch.manual_seed(0)
    rows: dict[str, Any] = {}
    for name, side in FULL.items():
        side = 16 if quick else side
        with tempfile.TemporaryDirectory() as scratch:
            prior = (
                tiny_pipeline(Path(scratch), side, device, SHAPES[name].kind)
                if quick
                else full_size_pipeline(SHAPES[name], Path(scratch), side, device)
            )
        work = tasks(prior, side)
        each = {task: measure(step, device, 0.0 if quick else 3.0, 2 if quick else 30) for task, step in work.items()}
        rows[name] = {"pixels": side, "numbers": sum(p.numel() for p in prior.network.parameters()), "tasks": each}
        rows[name] |= {f"over {base}": _ratios(each, base) for base in ("bare network", "plain loop")}
        del prior, work
        if device == "cuda":
            torch.cuda.empty_cache()
            rows[name]["sds, encoder recomputed"] = _recomputed(name, side)
    return rows


def _ratios(each: dict[str, dict[str, Any]], base: str) -> dict[str, float | None]:
    over = each[base]["seconds"]
    return {
        task: row["seconds"] / over if row["seconds"] is not None and over is not None else None
        for task, row in each.items()
    }


def _recomputed(name: str, side: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        economy = ms.priors.MemoryOptions(recompute=True)
        prior = full_size_pipeline(SHAPES[name], Path(scratch), side, "cuda", economy)
    return measure(tasks(prior, side)["sds"], "cuda", 2.0, 20)
