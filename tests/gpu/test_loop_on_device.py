"""The loop on the device: two equal runs and a resumed one to the bit, memory, and several processes."""

from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from pretended_device import IndexedNetwork

import modeseek as ms
from modeseek.runs.exports import WEIGHTS

DRIVER = Path(__file__).resolve().parent.parent / "device_driver.py"


def run(
    prior: IndexedNetwork, latent: ms.Latent, optimizer: torch.optim.Optimizer, start: int, stop: int, state: object
) -> object:
    """Steps of SDS up to `stop` of six; returns the state."""
    device = prior.device
    embedding = torch.randn(2, 6, generator=torch.Generator().manual_seed(1)).to(device)
    conditions = ms.Conditions(embedding, null=torch.zeros_like(embedding[:1]))
    steps = ms.distill(
        latent,
        ms.Guided(prior, 7.5),
        ms.SDS(),
        optimizer,
        steps=6,
        start=start,
        batch=2,
        conditions=conditions,
        rng=7,
        state=state,
    )
    for step in steps:
        state = step.state
        if step.index + 1 == stop:
            steps.close()
            break
    return state


def begun(device: torch.device) -> tuple[ms.Latent, torch.optim.Optimizer]:
    latent = ms.Latent(torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)).to(device))
    return latent, torch.optim.Adam(latent.parameters(), lr=0.1)


@pytest.mark.cuda(handful=True)
def test_equal_runs_and_resumed_ones_are_equal_to_the_bit(
    networks: tuple[IndexedNetwork, IndexedNetwork], device: torch.device
) -> None:
    prior = networks[1]
    ends = []
    for _ in range(2):
        latent, optimizer = begun(device)
        run(prior, latent, optimizer, 0, 6, None)
        ends.append(latent.z.detach().cpu())
    assert torch.equal(*ends)
    latent, optimizer = begun(device)
    state = run(prior, latent, optimizer, 0, 3, None)
    again, fresh = begun(device)
    again.load_state_dict(copy.deepcopy(latent.state_dict()))
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(prior, again, fresh, 3, 6, state)
    assert torch.equal(again.z.detach().cpu(), ends[0])
    here, optimizer = begun(torch.device("cpu"))
    run(networks[0], here, optimizer, 0, 6, None)
    if device.type == "cpu":
        assert torch.equal(here.z.detach(), ends[0])


@pytest.mark.cuda
def test_a_run_on_the_device_is_resumed_to_the_bit(tmp_path: Path, device: torch.device) -> None:
    """SDS at uniform levels and a constant rate does not depend on the number of steps: 2 and then 4 are 4."""
    config = ms.Config(
        ms.runs.PipelinePriorConfig("scenes"), ms.SDS(), ms.runs.PixelsConfig(1), steps=4, prompts=("a red cone",),
        device=str(device), previews=0,
    )  # fmt: skip
    whole = ms.run(config, tmp_path / "whole")
    resumed = ms.resume(ms.run(replace(config, steps=2), tmp_path / "begun"), steps=4)
    first, second = (safetensors.torch.load_file(run.path / WEIGHTS) for run in (whole, resumed))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.cuda(only=True)
def test_sds_through_an_encoder_of_512_pixels_takes_less_than_8_gb(device: torch.device) -> None:
    """The shape of Stable Diffusion 1.5 in float16, random weights: 3.8 GB on an H200."""
    sys.path.insert(0, str(DRIVER.parent.parent / "benchmarks"))
    from _gpu_pipelines import FULL  # noqa: PLC0415
    from _pipelines import SHAPES, full_size_pipeline  # noqa: PLC0415
    from pipeline_steps import tasks  # noqa: PLC0415

    assert "sd-1.5" in FULL
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch:
        prior = full_size_pipeline(SHAPES["sd-1.5"], Path(scratch), 512, "cuda")
    step = tasks(prior, 512)["sds"]
    step()
    torch.cuda.reset_peak_memory_stats()
    step()
    assert torch.cuda.max_memory_allocated() <= 8e9


@pytest.mark.cuda
def test_the_processes_there_are_make_the_updates_of_one(tmp_path: Path, device: torch.device) -> None:
    """NCCL with a process per GPU; gloo with two on a CPU."""
    size = torch.cuda.device_count() if device.type == "cuda" else 2
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(tmp_path), str(size), device.type],
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    alone, shared = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("alone", "shared"))
    assert torch.allclose(alone, shared, rtol=1e-5, atol=1e-6)
