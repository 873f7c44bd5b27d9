"""A training step as a CUDA graph: the same steps as eager ones, and eager where it cannot be captured."""

from __future__ import annotations

import shutil

import pytest
import torch
from tiny_training import train_tiny, weights

from tools.bundled_priors.session import SessionSettings
from tools.bundled_priors.train import train
from tools.bundled_priors.training_dir import TrainingDir
from tools.bundled_priors.update import Update, adamw, fast_kernels

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_fast_kernels_leave_the_settings_as_they_were():
    before = torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()
    with fast_kernels(torch.device("cpu")):
        assert (torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()) == before
    with pytest.raises(KeyError), fast_kernels(torch.device("cuda")):
        assert torch.backends.cudnn.benchmark and torch.get_float32_matmul_precision() == "high"
        raise KeyError
    assert (torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()) == before


def steps(device: torch.device, n: int, loss=None) -> tuple[list[float], torch.Tensor, Update]:
    """Losses and weights of n steps of a linear layer with an average, on the same data on every device."""
    rng = torch.Generator().manual_seed(0)
    layer, average = (torch.nn.Linear(6, 4) for _ in range(2))
    with torch.no_grad():
        for mean, p in zip(average.parameters(), layer.parameters(), strict=True):
            mean.copy_(p.copy_(torch.randn(p.shape, generator=rng)))
    layer, average = layer.to(device), average.to(device).requires_grad_(False)
    pairs = [(list(average.parameters()), list(layer.parameters()))]

    def squared(inputs):
        return (layer(inputs["x"]) - inputs["y"]).square().mean()

    update = Update(
        lambda examples: examples, squared if loss is None else loss(squared), [list(layer.parameters())],
        [adamw(list(layer.parameters()))], pairs, 0.9, device,
    )  # fmt: skip
    losses = []
    for step in range(n):
        examples = {name: torch.randn(8, k, generator=rng).to(device) for name, k in (("x", 6), ("y", 4))}
        losses.append(update(examples, 0.01 * (step + 1), step).item())
    return losses, torch.cat([p.detach().cpu().flatten() for p in (*layer.parameters(), *average.parameters())]), update


def test_a_step_on_the_cpu_follows_the_loss():
    losses, _, update = steps(torch.device("cpu"), 60)
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10]) and update.graph_failure is None


@on_cuda
def test_replayed_steps_are_the_eager_ones_of_the_cpu():
    """Ten steps with a changing rate, four of them eager; float32 sums of other order."""
    expected, weights_cpu, _ = steps(torch.device("cpu"), 10)
    losses, weights_cuda, update = steps(torch.device("cuda"), 10)
    assert update.graph_failure is None and update.captured
    assert losses == pytest.approx(expected, rel=1e-3)
    torch.testing.assert_close(weights_cuda, weights_cpu, rtol=1e-3, atol=1e-3)


@on_cuda
def test_a_step_that_reads_its_loss_back_goes_on_eager_and_says_why():
    def reading(loss):
        return lambda inputs: loss(inputs) * (1 if loss(inputs).item() > 0 else 2)

    expected, weights_cpu, _ = steps(torch.device("cpu"), 10)
    losses, weights_cuda, update = steps(torch.device("cuda"), 10, reading)
    assert update.graph_failure and not update.captured
    assert losses == pytest.approx(expected, rel=1e-3)
    torch.testing.assert_close(weights_cuda, weights_cpu, rtol=1e-3, atol=1e-3)


@on_cuda
@pytest.mark.parametrize("prior", ["scenes", "emoji"])
def test_the_whole_training_runs_on_cuda_and_resumes_on_the_cpu(icons, tmp_path, prior):
    from dataclasses import replace

    from tiny_training import RECIPES, STAGE

    recipe = replace(RECIPES[prior], network=replace(STAGE, steps=12))
    settings = SessionSettings(1e9, device="cuda", icons=icons if prior == "emoji" else None)
    for _ in train(prior, tmp_path / "gpu", settings, recipe=recipe):
        pass
    assert not [row["warning"] for row in TrainingDir(tmp_path / "gpu").metrics if "warning" in row]
    shutil.copytree(tmp_path / "gpu", tmp_path / "cpu")
    longer = replace(TrainingDir(tmp_path / "cpu").recipe, network=replace(STAGE, steps=14))
    longer.write(tmp_path / "cpu")
    train_tiny(prior, tmp_path / "cpu", icons)
    assert len({entry.device for entry in TrainingDir(tmp_path / "cpu").history}) == 2
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "cpu").values() if tensor.is_floating_point())
