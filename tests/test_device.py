"""Choice of a device: auto, what this machine lacks, and the device that a run keeps."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

import modeseek as ms
from modeseek import device as module
from modeseek import runs
from modeseek.config.priors import RenderedPriorConfig, ToyPriorConfig
from modeseek.device import check_device, device_title, float64_device, resolve_device, runs_natively
from modeseek.io.remarks import RemarkWarning, collect_remarks


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
@pytest.mark.parametrize("given", [None, "auto"])
def test_auto_is_the_fastest(
    cuda: bool, mps: bool, best: str, given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device(given).type == best
    assert resolve_device("cpu").type == "cpu"
    config = ms.Config(runs.PipelinePriorConfig("scenes"), ms.SDS())
    assert config.device == "auto" and config.with_device().device == best
    toy = ms.Config(ToyPriorConfig("ring"), ms.SDS())
    assert toy.with_device().device == "cpu", "a toy is fastest on the CPU"
    named = ms.Config(ToyPriorConfig("ring"), ms.SDS(), device=best)
    assert named.with_device() is named
    renders = RenderedPriorConfig("a red cone").default_device
    assert renders == ("cpu" if best == "mps" else best), "exact priors compute in float64"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("cuda", "no CUDA device is available, got device 'cuda'; use cpu"),
        ("cuda:3", "no CUDA device is available"),
        ("mps", "no MPS device"),
        ("gpu", "device must be auto, cpu, cuda, cuda:1 or mps, got 'gpu'"),
        ("meta", "device must be auto, cpu"),
        ("", "device must be auto, cpu"),
    ],
)
def test_what_is_not_here_is_one_line(given: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=line):
        resolve_device(given)


def test_an_index_beyond_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda:1") and check_device("cuda:7") == torch.device("cuda:7")
    with pytest.raises(ValueError, match="device must be one of 2 CUDA devices, got 'cuda:2'"):
        resolve_device("cuda:2")


def test_exact_priors_compute_in_float64_where_it_is() -> None:
    assert float64_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="an exact prior computes in float64, which mps lacks"):
        float64_device("mps")
    mixture = ms.GaussianMixture(torch.ones(1), torch.zeros(1, 2), torch.eye(2)[None])
    assert mixture.to("cpu") is mixture
    data = ms.Empirical(torch.randn(5, 2), labels=torch.tensor([1, 0, 1, 0, 0]))
    assert data.to("cpu") is data
    assert ToyPriorConfig("digits").default_device == "cpu"


def test_exact_priors_are_rebuilt_on_another_device() -> None:
    """Priors that say that they are elsewhere; what is rebuilt predicts the same from the data."""
    data = ms.Empirical(torch.randn(5, 2), ms.VE(0.1, 3.0), labels=torch.tensor([1, 0, 1, 0, 0]))
    eye = torch.eye(2).expand(3, 2, 2)
    mixture = ms.GaussianMixture(torch.ones(3) / 3, torch.randn(3, 2), eye, ms.VE(0.1, 3.0), torch.tensor([0, 1, 1]))
    z, one, labels = torch.randn(4, 2), torch.ones(4), torch.tensor([-1, 0, 1, -1])
    for prior in (data, mixture):
        before = prior.at(z, one, one, labels).z
        prior.device = torch.device("cuda")
        moved = prior.to("cpu")
        assert moved is not prior and moved.device.type == "cpu" and moved.schedule == prior.schedule
        assert torch.equal(moved.at(z, one, one, labels).z, before)


def test_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_title("cpu") == f"cpu ({torch.get_num_threads()} threads)"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200")
    assert device_title("cuda:0") == "cuda:0 (NVIDIA H200)" and device_title("mps") == "mps"


def test_a_run_keeps_the_device_that_it_was_on(tmp_path: Path) -> None:
    config = ms.Config(runs.ToyPriorConfig("ring"), ms.SDS(), steps=2)
    run = ms.run(config, tmp_path / "run")
    assert run.config.device == "cpu" and "device: cpu" in (run.path / "config.yaml").read_text()
    assert module.AUTO == config.device


@pytest.mark.parametrize(("processes", "gpus", "best"), [(1, 1, "cuda"), (2, 2, "cuda"), (2, 1, "cpu"), (4, 2, "cpu")])
def test_processes_without_a_gpu_each_take_the_cpu(
    processes: int, gpus: int, best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert resolve_device().type == best
    if best == "cpu":
        with pytest.raises(ValueError, match=f"{processes} processes need as many GPUs, got {gpus}"):
            resolve_device("cuda")


def test_emulated_precisions_are_remarked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without bfloat16 instructions emulates them at many times the cost; float32 and CUDA are native."""
    for supported in (False, True):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda supported=supported: supported)
        assert runs_natively(torch.bfloat16, torch.device("cpu")) is supported
        assert runs_natively(torch.float32, torch.device("cpu"))
        assert runs_natively(torch.bfloat16, torch.device("cuda"))
        with collect_remarks() as remarks, nullcontext() if supported else pytest.warns(RemarkWarning):
            ms.bundled("emoji", device="cpu", dtype=torch.bfloat16)
        assert any("emulates torch.bfloat16" in remark for remark in remarks) is not supported
