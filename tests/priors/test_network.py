"""The learned prior: its algebra, its training, its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from cases import full, generator, one_line
from disk_faults import FailingDisk
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import modeseek as ms
from modeseek.priors.mlp import MLP, MLPArchitecture
from modeseek.priors.network import Preconditioning

MEAN, STD = 1.5, 0.7
SMALL = {"width": 32, "depth": 2, "batch": 256}
TINY = {"width": 8, "depth": 1, "batch": 16}


@pytest.fixture(scope="module")
def trained() -> ms.Network:
    """A network trained for about a second on a Gaussian."""
    data = MEAN + STD * torch.randn(4000, 2, generator=generator())
    return ms.Network.train(data, steps=300, rng=generator(1), **SMALL)


@pytest.fixture(scope="module")
def rough() -> ms.Network:
    """Random weights, in float64, with classes: for what must hold of any network."""
    architecture = MLPArchitecture(6, n_classes=2, width=16, depth=2)
    mlp = MLP(architecture, generator(3)).double()
    torch.nn.init.normal_(mlp.outlet.weight, generator=generator(4))
    return ms.Network(mlp, architecture, Preconditioning(0.4, 1.7, 0.01, 30.0), (2, 3), ms.VP())


def predict(network: ms.Network, z_t: Tensor, alpha: float, sigma: float, cond: Tensor | None = None) -> ms.Prediction:
    n = len(z_t)
    return network.at(z_t, z_t.new_full((n,), alpha), z_t.new_full((n,), sigma), cond)


def noise(seed: int = 0, n: int = 4) -> Tensor:
    return torch.randn(n, 2, 3, generator=generator(seed), dtype=torch.float64)


@given(log_ratio=st.floats(-4.6, 3.4), scale=st.floats(1e-3, 1e3), seed=st.integers(0, 50))
def test_both_halves_fit_and_only_the_log_snr_matters(
    rough: ms.Network, log_ratio: float, scale: float, seed: int
) -> None:
    sigma = float(torch.tensor(log_ratio, dtype=torch.float64).exp())
    x = 0.4 + (1.7 + sigma) * noise(seed)
    p, q = predict(rough, x, 1.0, sigma), predict(rough, scale * x, scale, scale * sigma)
    assert not p.clamped.any()
    assert torch.allclose(p.z + sigma * p.eps, x, rtol=1e-10, atol=1e-10)
    assert torch.allclose(p.z, q.z, rtol=1e-8, atol=1e-8) and torch.allclose(p.eps, q.eps, rtol=1e-8, atol=1e-8)


def test_preconditioning_is_karras(rough: ms.Network) -> None:
    """`D = c_skip x + c_out F(c_in x; log sigma)` about the centre, sigma in units of the data's scale."""
    sigma, x = 0.8, 0.4 + 2.5 * noise(1)
    u, s = ((x - 0.4) / 1.7).flatten(1), sigma / 1.7
    labels = torch.full((4,), -1)
    log_level = full(4, s).log()
    raw = rough.mlp(u / (1 + s * s) ** 0.5, log_level, labels)
    want = 0.4 + 1.7 * (u / (1 + s * s) + s / (1 + s * s) ** 0.5 * raw)
    assert torch.allclose(predict(rough, x, 1.0, sigma).z.flatten(1), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("alpha", "sigma"), [(0.0, 1.0), (1e-9, 1.0), (1.0, 0.0), (1.0, 1e-9), (1.0, 1e4), (0.5, 2e-3)]
)
def test_beyond_its_range_it_is_flagged_finite_and_consistent(rough: ms.Network, alpha: float, sigma: float) -> None:
    z_t = alpha * (0.4 + 1.7 * noise()) + sigma * noise(1)
    p = predict(rough, z_t, alpha, sigma)
    assert p.clamped.all()
    assert p.z.isfinite().all() and p.eps.isfinite().all()
    assert torch.allclose(alpha * p.z + sigma * p.eps, z_t, rtol=1e-9, atol=1e-9)


def test_below_its_range_the_score_stays_and_above_the_point_is_pulled_in(rough: ms.Network) -> None:
    x = 0.4 + 1.7 * noise()
    least = predict(rough, x, 1.0, 0.01)
    below = predict(rough, x, 1.0, 1e-4)
    assert not least.clamped.any() and below.clamped.all()
    assert torch.allclose(below.score, least.score, rtol=1e-9, atol=1e-9)
    assert torch.allclose(predict(rough, x, 1.0, 0.0).z, x, rtol=1e-14, atol=1e-14)
    far = 0.4 + 300 * noise()
    pulled = predict(rough, 0.4 + (far - 0.4) * 30 / 300, 1.0, 30.0)
    assert torch.allclose(predict(rough, far, 1.0, 300.0).z, pulled.z, rtol=1e-10, atol=1e-10)
    noisy = predict(rough, noise(), 0.0, 1.0)
    limit = predict(rough, noise(), 1e-12, 1.0)
    assert torch.allclose(noisy.z, limit.z, rtol=1e-9, atol=1e-9)


def test_levels_may_differ_by_row(rough: ms.Network) -> None:
    a = torch.tensor([1.0, 0.6, 0.0, 1.0], dtype=torch.float64)
    s = torch.tensor([0.0, 0.8, 1.0, 50.0], dtype=torch.float64)
    p = rough.at(noise(), a, s)
    assert p.clamped.tolist() == [True, False, True, True]
    for i in range(4):
        row = rough.at(noise()[i : i + 1], a[i : i + 1], s[i : i + 1])
        assert torch.allclose(row.z, p.z[i : i + 1], rtol=1e-11, atol=1e-11)
        assert torch.allclose(row.eps, p.eps[i : i + 1], rtol=1e-11, atol=1e-11)


def test_gradients_reach_the_point_at_every_level(rough: ms.Network) -> None:
    a = torch.tensor([1.0, 0.6, 0.0, 1.0], dtype=torch.float64)
    s = torch.tensor([0.0, 0.8, 1.0, 50.0], dtype=torch.float64)
    z_t = noise().requires_grad_()
    p = rough.at(z_t, a, s)
    (p.z.square().sum() + p.eps.square().sum()).backward()
    assert z_t.grad is not None and z_t.grad.isfinite().all() and (z_t.grad[1] != 0).all()


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.5, 1.5, 6.0])
def test_training_on_a_gaussian_approximates_its_denoiser(trained: ms.Network, sigma: float) -> None:
    g = generator(7)
    x = MEAN + (STD**2 + sigma**2) ** 0.5 * torch.randn(1000, 2, generator=g)
    want = MEAN + STD**2 / (STD**2 + sigma**2) * (x - MEAN)
    p = predict(trained, x, 1.0, sigma)
    spread = sigma * STD / (STD**2 + sigma**2) ** 0.5  # what the posterior leaves open
    assert (p.z - want).square().mean().sqrt() <= 0.06 * spread
    assert not p.clamped.any()


def test_training_fixes_range_and_schedule(trained: ms.Network) -> None:
    p = trained.preconditioning
    assert abs(p.center - MEAN) < 0.05 and abs(p.scale - STD) < 0.03
    assert trained.schedule == ms.VE(p.sigma_min, p.sigma_max)
    assert trained.shape == (2,) and trained.dtype == torch.float32
    z = ms.heun(trained, trained.start(1000, generator()), trained.grid(24))
    assert (z.mean(0) - MEAN).abs().max() < 0.12 and (z.std(0) - STD).abs().max() < 0.12


@pytest.mark.parametrize("scale", [0.1, 0.31, 0.7, 1.0, 2.3, 8.8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_its_own_schedule_stays_within_its_range(trained: ms.Network, scale: float, dtype: torch.dtype) -> None:
    """The schedule spans the noise levels of the training; round-off at the ends is not out of range."""
    fixed = Preconditioning(0.0, scale, 2e-3 * scale, 20 * scale)
    walk = ms.VE(fixed.sigma_min, fixed.sigma_max)
    network = ms.Network(trained.mlp, trained.architecture, fixed, (2,), walk)
    t = torch.tensor([0.0, 0.25, 1.0], dtype=dtype)
    assert not network(torch.zeros(3, 2, dtype=dtype), t).clamped.any()


def test_training_reports_and_learns() -> None:
    data = torch.cat([torch.randn(200, 2, generator=generator()) * 0.05 + c for c in (-1.0, 1.0)])
    labels = torch.arange(400) // 200
    reports = list(ms.Network.training(data, labels, ms.Flow(), 450, rng=generator(), every=200, **SMALL))
    assert [step.index for step, _ in reports] == [200, 400, 450]
    losses = [step.loss for step, _ in reports]
    assert losses[-1] < 0.8 * losses[0]
    network = reports[-1][1]
    assert network.schedule == ms.Flow()
    middle = torch.zeros(2, 2)
    sides = predict(network, middle, 1.0, 1.0, torch.tensor([0, 1])).z
    assert (sides[0] < -0.7).all() and (sides[1] > 0.7).all()
    unconditional = predict(network, middle, 1.0, 1.0).z
    assert unconditional.abs().max() < 0.5
    assert torch.equal(predict(network, middle, 1.0, 1.0, torch.tensor([-1])).z, unconditional)
    conditions = ms.Conditions(positive=torch.tensor([1]), null=torch.tensor([-1]))
    a = torch.ones(2)
    assert torch.equal(network.at(middle, a, a, conditions).z, network.at(middle, a, a, torch.tensor([1, 1])).z)


def test_one_seed_trains_one_network() -> None:
    data = torch.randn(50, 3, generator=generator())
    labels = torch.arange(50) % 2
    a, b, c = (ms.Network.train(data, labels, steps=5, rng=generator(s), **TINY) for s in (1, 1, 2))
    for name, weight in a.mlp.state_dict().items():
        assert torch.equal(weight, b.mlp.state_dict()[name])
    assert any(not torch.equal(w, c.mlp.state_dict()[k]) for k, w in a.mlp.state_dict().items())


def test_global_randomness_is_untouched(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    network = ms.Network.train(torch.randn(20, 2, generator=generator()), steps=2, rng=generator(), **TINY)
    network.save(tmp_path / "n")
    ms.Network.load(tmp_path / "n")
    assert torch.equal(torch.get_rng_state(), before)


def small_network(schedule: ms.schedules.Schedule | None = None) -> ms.Network:
    data, labels = torch.rand(30, 1, 2, 2, generator=generator()), torch.arange(30) % 3
    return ms.Network.train(data, labels, schedule, steps=3, rng=generator(), **TINY)


@pytest.mark.parametrize(
    "schedule", [None, ms.VP.linear(), ms.schedules.Cosine(0.5), ms.VE(0.1, 9.0, 3.0), ms.Flow(3.0)]
)
def test_saved_and_loaded_it_predicts_bit_for_bit(tmp_path: Path, schedule: ms.schedules.Schedule | None) -> None:
    network = small_network(schedule)
    network.save(tmp_path / "deep" / "net")
    again = ms.Network.load(tmp_path / "deep" / "net")
    assert again.schedule == network.schedule and again.shape == (1, 2, 2)
    assert again.preconditioning == network.preconditioning and again.architecture == network.architecture
    z_t, t = torch.randn(6, 1, 2, 2, generator=generator()), torch.linspace(0, 1, 6)
    cond = torch.tensor([0, 1, 2, -1, 1, 0])
    p, q = network(z_t, t, cond), again(z_t, t, cond)
    assert torch.equal(p.z, q.z) and torch.equal(p.eps, q.eps) and torch.equal(p.clamped, q.clamped)
    assert sorted(f.name for f in (tmp_path / "deep").iterdir()) == ["net"]
    assert sorted(f.name for f in (tmp_path / "deep" / "net").iterdir()) == ["network.json", "network.safetensors"]


def test_saving_never_overwrites(tmp_path: Path) -> None:
    network, target = small_network(), tmp_path / "net"
    target.mkdir()
    network.save(target)  # an empty folder is free
    before = {f.name: f.read_bytes() for f in target.iterdir()}
    with pytest.raises(FileExistsError, match="new folder") as caught:
        network.save(target)
    one_line(caught.value)
    assert {f.name: f.read_bytes() for f in target.iterdir()} == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError):
        network.save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(f.name for f in tmp_path.iterdir()) == ["file", "net"]


def test_a_failed_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="Scaled") as caught:
        small_network(ms.schedules.ScaledSchedule(ms.VP(), 2.0)).save(tmp_path / "net")
    one_line(caught.value)
    assert list(tmp_path.iterdir()) == []
    network = small_network()
    for call in range(4):  # the first and later writes and syncs of two files
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            FailingDisk(patch, call, half=False)
            network.save(tmp_path / "net")
        assert list(tmp_path.iterdir()) == []


def edit(folder: Path, **changes: object) -> None:
    description = json.loads((folder / "network.json").read_text())
    (folder / "network.json").write_text(json.dumps(description | changes))


FIXED = {"center": 0.0, "scale": 1.0, "sigma_min": 0.002, "sigma_max": 20.0}
DAMAGE = {
    "no folder": lambda f: f.rename(f.with_name("elsewhere")),
    "no weights": lambda f: (f / "network.safetensors").unlink(),
    "no description": lambda f: (f / "network.json").unlink(),
    "truncated weights": lambda f: (f / "network.safetensors").write_bytes(
        (f / "network.safetensors").read_bytes()[:-40]
    ),
    "truncated header": lambda f: (f / "network.safetensors").write_bytes(b"\x00\x01"),
    "empty weights": lambda f: (f / "network.safetensors").write_bytes(b""),
    "truncated description": lambda f: (f / "network.json").write_text((f / "network.json").read_text()[:50]),
    "binary description": lambda f: (f / "network.json").write_bytes(b"\xff\xfe\x00"),
    "a list": lambda f: (f / "network.json").write_text("[1, 2]"),
    "another format": lambda f: edit(f, format="other-9"),
    "no format": lambda f: (f / "network.json").write_text("{}"),
    "another width": lambda f: edit(f, architecture={"dim": 4, "n_classes": 3, "width": 9, "depth": 1}),
    "unknown size": lambda f: edit(f, architecture={"dimension": 4}),
    "unknown schedule": lambda f: edit(f, schedule={"type": "Magic", "fields": {}}),
    "bad schedule": lambda f: edit(f, schedule={"type": "VE", "fields": {"sigma_min": -1.0}}),
    "bad shape": lambda f: edit(f, shape=7),
    "shape of another size": lambda f: edit(f, shape=[1, 2, 3]),
    "no scale": lambda f: edit(f, preconditioning={"center": 0.0}),
    "a word for a center": lambda f: edit(f, preconditioning=FIXED | {"center": "x"}),
    "no number for a scale": lambda f: edit(f, preconditioning=FIXED | {"scale": None}),
    "NaN for a scale": lambda f: edit(f, preconditioning=FIXED | {"scale": float("nan")}),
    "a negative scale": lambda f: edit(f, preconditioning=FIXED | {"scale": -1.0}),
    "negative sides": lambda f: edit(f, shape=[-2, -2]),
    "a depth that would fill the memory": lambda f: edit(
        f, architecture={"dim": 4, "n_classes": 3, "width": 8, "depth": 10**9}
    ),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_network_raises_one_clear_line(tmp_path: Path, damage: str) -> None:
    small_network().save(tmp_path / "net")
    DAMAGE[damage](tmp_path / "net")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="no readable network") as caught:
        ms.Network.load(tmp_path / "net")
    assert str(tmp_path / "net") in one_line(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("data", "labels", "reason"),
    [
        (torch.zeros(0, 2), None, "training data"),
        (torch.tensor([[1.0, float("nan")], [0.0, 1.0]]), None, "training data"),
        (torch.tensor([[1.0, float("inf")], [0.0, 1.0]]), None, "training data"),
        (torch.tensor([[1, 2], [3, 4]]), None, "training data"),
        (torch.ones(4, 2), None, "got"),
        (torch.rand(4), None, "training data"),
        (torch.rand(4, 2), torch.tensor([0, 1]), "labels"),
        (torch.rand(4, 2), torch.tensor([0.0, 1.0, 0.0, 1.0]), "labels"),
        (torch.rand(4, 2), torch.tensor([0, 1, -1, 0]), "labels"),
        (torch.rand(4, 2), torch.zeros(0, dtype=torch.long), "labels"),
    ],
)
def test_bad_training_data_raise_one_line(data: Tensor, labels: Tensor | None, reason: str, unchecked: None) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        ms.Network.train(data, labels, steps=1, rng=generator(), **TINY)
    one_line(caught.value)


@pytest.mark.parametrize("options", [{"steps": 0}, {"width": 0}, {"depth": 0}, {"batch": 0}, {"every": 0}])
def test_bad_training_options_raise_one_line(options: dict[str, int]) -> None:
    with pytest.raises(ValueError) as caught:
        ms.Network.train(torch.rand(4, 2), rng=generator(), **{"steps": 1, **options})
    one_line(caught.value)


def test_unknown_labels_raise_one_line(rough: ms.Network) -> None:
    for bad in (2, -2):
        with pytest.raises(ValueError, match=f"unknown label {bad}") as caught:
            predict(rough, noise(), 1.0, 1.0, torch.tensor([0, bad, 1, 0]))
        one_line(caught.value)
    with pytest.raises(ValueError, match="batch size 4") as caught:
        predict(rough, noise(), 1.0, 1.0, torch.tensor([0, 1, 1]))
    one_line(caught.value)
