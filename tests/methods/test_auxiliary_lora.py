"""LoRA auxiliary on every pipeline family: initialised as the prior, trained beside it, checkpointed alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from cases_phi import context
from torch import Tensor

import modeseek as ms
from modeseek.methods.auxiliary import Auxiliary, AuxiliaryInput, AuxiliaryTarget
from modeseek.methods.vsd import VSD
from modeseek.priors.pipeline import Pipeline
from modeseek.priors.pipeline.memory_options import MemoryOptions
from modeseek.rundir.checkpoint import read_checkpoint, write_checkpoint

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
pytest.importorskip("peft", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers

from modeseek.methods.auxiliary_lora import LoRAAuxiliary  # noqa: E402 - needs diffusers

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
FAMILIES = ["sd", "sd-v", "sd-v-zero-snr", "sdxl", "if", "sd3", "flux", "pixart"]
TRAINED_FAMILIES = {"sd": "eps", "sd-v": "v", "sd3": "flow"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of saved pipelines, made once."""
    return tiny.kept(tmp_path_factory.mktemp("pipelines"))


def load(path: Path, **options: Any) -> Pipeline:
    size = None if "if" in path.name else 16
    return Pipeline.load(path, **({"cache": None, "size": size} | options))


def auxiliary_input(prior: Pipeline, n: int = 2, t: float = 0.6, **options: Any) -> tuple[AuxiliaryInput, Tensor]:
    """Random particles at two levels, and the noise on them."""
    rng = torch.Generator().manual_seed(3)
    z, eps = (torch.randn(n, *prior.shape, generator=rng) for _ in range(2))
    alpha, sigma = prior.schedule(torch.linspace(t, t - 0.2, n))
    a, s = (x.reshape(-1, 1, 1, 1) for x in (alpha, sigma))
    cond = prior.encode(["a red cone", "re"][:n])
    return AuxiliaryInput(z, a * z + s * eps, alpha, sigma, cond, **options), eps


def weights(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_it_starts_as_the_prior_and_learns_beside_it(name: str, folder: Callable[[str], Path]) -> None:
    prior = load(folder(name))
    before, modules = weights(prior.network), [type(m) for m in prior.network.modules()]
    global_rng = torch.get_rng_state()
    camera = torch.tensor([[1.0, 0.5, 0.0], [0.0, -1.0, 2.0]])
    phi = LoRAAuxiliary(cameras=3, lr=1e-2)
    state = phi.init(torch.zeros(2, *prior.shape), ms.Counting(prior))
    assert torch.equal(global_rng, torch.get_rng_state()) and isinstance(phi, Auxiliary)
    what, eps = auxiliary_input(prior, camera=camera)
    teacher = prior.at(what.z_t, what.alpha, what.sigma, what.cond)
    first = phi.predict(state, what)
    assert torch.equal(first.eps, teacher.eps) and torch.equal(first.z, teacher.z)
    losses = []
    for _ in range(12):
        state, loss = phi.update(state, what, (AuxiliaryTarget(1.0, what.z, eps),))
        losses.append(loss)
    assert losses[0].shape == (2,) and (losses[-1] < losses[0]).all()
    # phi and its camera have moved; the prior has not, in weights, in modules, in answers
    moved = phi.predict(state, what)
    assert (moved.eps != teacher.eps).any() and not moved.eps.requires_grad
    blind = phi.predict(state, what.take(torch.arange(2), torch.tensor([False, True])))
    nowhere = phi.predict(state, replace(what, camera=torch.zeros(2, 3)))
    assert not torch.equal(nowhere.eps[0], blind.eps[0])  # a camera at 0 is not no camera
    assert torch.equal(phi.predict(state, replace(what, camera=None)).eps[0], blind.eps[0])
    assert not torch.equal(blind.eps[0], moved.eps[0]) and torch.allclose(blind.eps[1], moved.eps[1], atol=1e-5)
    assert same(before, weights(prior.network)) and modules == [type(m) for m in prior.network.modules()]
    assert torch.equal(prior.at(what.z_t, what.alpha, what.sigma, what.cond).eps, teacher.eps)
    assert all(not p.requires_grad and p.grad is None for p in prior.network.parameters())


@pytest.mark.parametrize("name", TRAINED_FAMILIES)
def test_the_loss_is_that_of_its_own_kind_of_prediction(name: str, folder: Callable[[str], Path]) -> None:
    prior, phi = load(folder(name)), LoRAAuxiliary()
    state = phi.init(torch.zeros(2, *prior.shape), prior)
    what, eps = auxiliary_input(prior)
    a, s = (x.reshape(-1, 1, 1, 1) for x in (what.alpha, what.sigma))
    with torch.no_grad():  # what the stock network says, at its own clock
        cond, network = what.cond, prior.network
        time = torch.tensor([0.6, 0.4]) * 999
        if name == "sd3":
            clock = 1000 * what.sigma
            raw = network(
                what.z_t, timestep=clock, encoder_hidden_states=cond["text"], pooled_projections=cond["pooled"]
            ).sample
        else:
            raw = network(what.z_t, time, encoder_hidden_states=cond["text"]).sample
    wanted = {"eps": eps, "v": a * eps - s * what.z, "flow": eps - what.z}[TRAINED_FAMILIES[name]]
    other = torch.flip(what.z, (0,))
    elsewhere = {"eps": -eps, "v": -a * eps - s * other, "flow": -eps - other}[TRAINED_FAMILIES[name]]
    want = (raw - wanted).square().flatten(1).mean(1) - 0.4 * (raw - elsewhere).square().flatten(1).mean(1)
    _, loss = phi.update(state, what, (AuxiliaryTarget(1.0, what.z, eps), AuxiliaryTarget(-0.4, other, -eps)))
    assert torch.allclose(loss, want, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_what_is_kept_is_the_lora_and_the_camera_alone(folder: Callable[[str], Path], tmp_path: Path) -> None:
    prior, phi = load(folder("sd")), LoRAAuxiliary(cameras=2, rank=3)
    state = phi.init(torch.zeros(2, *prior.shape), prior)
    names = set(state.adapted.state_dict())
    loras = {name for name in names if name.startswith("lora.")}
    assert names - loras == {f"camera.{side}.{part}" for side in ("inlet", "outlet") for part in ("weight", "bias")}
    layers = [n for n, _ in prior.network.named_modules() if n.endswith(("to_q", "to_k", "to_v", "to_out.0"))]
    assert len(loras) == 2 * len(layers) > 0
    assert all(3 in state.adapted.state_dict()[name].shape for name in loras)

    def walk(state: Any, first: int, last: int) -> tuple[Tensor, Any]:
        what, eps = auxiliary_input(prior, camera=torch.eye(2))
        for index in range(first, last):
            state, _ = phi.update(state, what, (AuxiliaryTarget(1.0, what.z, eps * index),))
        return phi.predict(state, what).eps, state

    whole, _ = walk(phi.init(torch.zeros(2, *prior.shape), prior), 0, 6)
    _, half = walk(state, 0, 3)
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, 3, {"method": half}))
    size = sum(value.numel() for value in half.adapted.parameters())
    assert sum(t.numel() for t in checkpoint.tensors.values()) < 3 * size + 2 * len(
        names
    )  # weights, and Adam's two moments
    again = checkpoint.restore({"method": phi.init(torch.zeros(2, *prior.shape), prior)})["method"]
    assert torch.equal(walk(again, 3, 6)[0], whole)


def test_several_phis_stand_beside_one_prior(folder: Callable[[str], Path]) -> None:
    prior, phi = load(folder("sd")), LoRAAuxiliary(lr=1e-2)
    trained, untrained = (phi.init(torch.zeros(2, *prior.shape), prior) for _ in range(2))
    assert same(trained.adapted.state_dict(), untrained.adapted.state_dict())  # by the seed
    what, eps = auxiliary_input(prior)
    still = phi.predict(untrained, what).eps
    for _ in range(3):
        phi.update(trained, what, (AuxiliaryTarget(1.0, what.z, eps),))
    assert torch.equal(phi.predict(untrained, what).eps, still) and not torch.equal(
        phi.predict(trained, what).eps, still
    )
    shared = {id(p) for p in prior.network.parameters()}
    own = {id(p) for p in trained.adapted.phi.network.parameters()}
    assert shared < own and len(own - shared) == len(trained.adapted.lora)
    assert not same(LoRAAuxiliary(seed=1).init(what.z, prior).adapted.state_dict(), untrained.adapted.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sd-v-zero-snr", "flux"])
def test_vsd_runs_on_a_pipeline(name: str, folder: Callable[[str], Path]) -> None:
    prior = load(folder(name))
    counted, conditions = ms.Counting(prior), prior.conditions(["a red cone"])
    camera = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    method = VSD(auxiliary=LoRAAuxiliary(cameras=2, lr=1e-3), scale=3.0, camera=lambda s: camera)
    z = torch.randn(2, *prior.shape, generator=torch.Generator().manual_seed(0))
    state, rng = method.init(z, counted), torch.Generator().manual_seed(1)
    first = None
    for _ in range(2):
        answer, state = method.step(z, counted, state, conditions=conditions, progress=0.3, rng=rng, context=context(z))
        first = answer if first is None else first
        assert answer.grad.isfinite().all() and (answer.grad != 0).any() and not answer.grad.requires_grad
    assert counted.calls == 2 * 2 * 2
    assert first is not None and first.prediction is not None and first.t is not None
    # untaught, phi is the conditional prior: what is left is guidance, w (s - 1) (eps_y - eps_0)
    at = (first.prediction.z_t, first.prediction.alpha, first.prediction.sigma)
    pulled = prior.at(*at, conditions.positive).eps - prior.at(*at, conditions.null).eps
    want = 2.0 * first.prediction.sigma.reshape(-1, 1, 1, 1) ** 2 * pulled
    assert torch.allclose(first.grad, want, rtol=1e-3, atol=1e-4)


def test_in_half_precision_the_factors_stay_in_full(folder: Callable[[str], Path]) -> None:
    prior, phi = load(folder("sd"), dtype=torch.bfloat16), LoRAAuxiliary(cameras=2)
    state = phi.init(torch.zeros(2, *prior.shape), prior)
    assert {p.dtype for p in state.adapted.parameters()} == {torch.float32}
    what, eps = auxiliary_input(prior, camera=torch.eye(2))
    teacher = prior.at(what.z_t, what.alpha, what.sigma, what.cond)
    assert torch.equal(phi.predict(state, what).eps, teacher.eps)
    for _ in range(3):
        state, loss = phi.update(state, what, (AuxiliaryTarget(1.0, what.z, eps),))
        assert loss.isfinite().all()
    assert (phi.predict(state, what).eps != teacher.eps).any()


def test_mistakes_are_one_clear_line(folder: Callable[[str], Path]) -> None:
    z = torch.zeros(1, 4, 8, 8)
    with pytest.raises(TypeError, match=r"needs a Pipeline as prior, got Empirical; try auxiliary=MLPAuxiliary\(\)"):
        LoRAAuxiliary().init(z, ms.Counting(ms.Empirical(z)))
    prior = load(folder("sd"))
    with pytest.raises(
        ValueError, match=r"targets must name layers of UNet2DConditionModel, got \('nothing',\): "
    ) as error:
        LoRAAuxiliary(targets=("nothing",)).init(z, prior)
    assert "\n" not in str(error.value)
    prior.economy = MemoryOptions(offload="blocks")
    with pytest.raises(ValueError, match="cannot train an offloaded network, got offload='blocks'; try 'none'"):
        LoRAAuxiliary().init(z, prior)
    for wrong in ({"rank": 0}, {"cameras": -1}, {"targets": ()}, {"lr": 0.0}, {"decay": -1.0}):
        with pytest.raises(ValueError, match=r"LoRAAuxiliary needs .*got LoRAAuxiliary"):
            LoRAAuxiliary(**wrong)
