"""Every prior and sampler on the device against the CPU's numbers, in every precision."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import modeseek as ms

F64 = torch.float64
LEVELS = torch.tensor([0.02, 0.3, 0.7, 0.98], dtype=F64)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def mixture(dtype: torch.dtype = F64) -> ms.GaussianMixture:
    covs = torch.diag_embed(torch.tensor([[0.5, 0.1], [0.2, 0.9], [1.1, 0.3]], dtype=dtype))
    means = torch.tensor([[-1.0, 0.5], [1.2, -0.3], [0.2, 1.5]], dtype=dtype)
    return ms.GaussianMixture(torch.tensor([0.2, 0.5, 0.3], dtype=dtype), means, covs, labels=torch.tensor([0, 1, 1]))


def images(dtype: torch.dtype = F64) -> ms.Empirical:
    return ms.Empirical(torch.randn(60, 1, 3, 3, generator=rng(), dtype=dtype), labels=torch.arange(60) % 2)


def network(dtype: torch.dtype = torch.float32) -> ms.Network:
    return ms.Network.train(torch.randn(40, 2, generator=rng()), torch.arange(40) % 2, steps=3, rng=rng())


def moved(prior: ms.Prior, device: torch.device) -> ms.Prior:
    return prior.to(device)  # pyright: ignore[reportAttributeAccessIssue]


def difference(here: Tensor, there: Tensor) -> float:
    """The largest difference in units of the largest number."""
    return ((there.cpu().double() - here.double()).abs().max() / here.double().abs().max().clamp(min=1e-12)).item()


PRIORS: dict[str, tuple[Callable[[], ms.Prior], float]] = {
    "mixture": (mixture, 1e-12),
    "mixture, float32": (lambda: mixture(torch.float32), 1e-5),
    "data": (images, 1e-12),
    "data, float32": (lambda: images(torch.float32), 1e-5),
    "network": (network, 1e-4),
}


@pytest.mark.cuda(handful=True)
@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_predicts_as_on_the_cpu(name: str, device: torch.device) -> None:
    make, bound = PRIORS[name]
    here = make()
    there = moved(make(), device)
    z = torch.randn(4, *here.shape, generator=rng(), dtype=here.dtype)
    t, labels = LEVELS.to(here.dtype), torch.tensor([-1, 0, 1, 0])
    for cond in (None, labels):
        want = here(z, t, cond)
        got = there(z.to(device), t.to(device), None if cond is None else cond.to(device))
        assert got.z.device.type == device.type and got.z.dtype == want.z.dtype
        assert max(difference(want.z, got.z), difference(want.eps, got.eps)) <= bound
    conditions = ms.Conditions(labels, null=torch.tensor([-1]))
    want = ms.Guided(here, 3.0)(z, t, conditions)
    got = ms.Guided(there, 3.0)(z.to(device), t.to(device), conditions.map(lambda part: part.to(device)))
    assert difference(want.z, got.z) <= 10 * bound
    center = 0.5 * z
    want = ms.Product(here, center, 0.7)(z, t)
    got = ms.Product(there, center.to(device), 0.7)(z.to(device), t.to(device))
    assert difference(want.z, got.z) <= 10 * bound


SAMPLERS = {"ddim": ms.ddim, "heun": ms.heun, "dpmpp_2m": ms.dpmpp_2m, "ddpm": ms.ddpm, "invert": ms.invert}


@pytest.mark.cuda
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_walks_as_on_the_cpu(name: str, device: torch.device) -> None:
    here, there = mixture(), moved(mixture(), device)
    z = torch.randn(5, 2, generator=rng(), dtype=F64)
    options = {"rng": rng()} if name == "ddpm" else {}
    want = SAMPLERS[name](here, z, here.grid(6), **options)
    options = {"rng": rng()} if name == "ddpm" else {}
    got = SAMPLERS[name](there, z.to(device), there.grid(6), **options)
    assert difference(want, got) <= 1e-10


@pytest.mark.cuda
def test_modes_and_mean_shift_are_those_of_the_cpu(device: torch.device) -> None:
    data, z = torch.randn(200, 2, generator=rng(), dtype=F64), torch.randn(9, 2, generator=rng(), dtype=F64)
    for here, there in ((data, data.to(device)), (mixture(), moved(mixture(), device))):
        want, got = ms.mean_shift(here, z, 0.4), ms.mean_shift(there, z.to(device), 0.4)
        assert difference(want.z, got.z) <= 1e-6 and got.converged.all()


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float32, 1e-4), (torch.bfloat16, 4e-2), (torch.float16, 1e-2)], ids=str
)
def test_the_bundled_prior_in_every_precision(dtype: torch.dtype, bound: float, device: torch.device) -> None:
    if device.type == "cpu" and dtype != torch.float32:
        pytest.skip("half precision is slow on many CPUs")
    here = ms.bundled("scenes", device="cpu", dtype=torch.float32)
    there = ms.bundled("scenes", device=device, dtype=dtype)
    z = torch.randn(2, *here.shape, generator=rng())
    t = torch.tensor([0.3, 0.7])
    want = here(z, t, here.encode(["a red cone"] * 2))
    got = there(z.to(device), t.to(device), there.encode(["a red cone"] * 2))
    assert got.z.dtype == torch.float32 and difference(want.eps, got.eps) <= bound
    image = torch.rand(2, 3, 64, 64, generator=rng())
    assert difference(here.codec.encode(image), there.codec.encode(image.to(device))) <= bound


@pytest.mark.cuda
@pytest.mark.parametrize("h", [0.05, 1.0, 30.0])
@pytest.mark.parametrize("setting", ["highest", "high"])
def test_distances_are_exact_whatever_the_precision_of_products(h: float, setting: str, device: torch.device) -> None:
    """TF32 would move logits by far more than 1; the prior does not use it."""
    data = torch.randn(3000, 64, generator=rng()) + 20
    z = data[:6] + h * torch.randn(6, 64, generator=rng())
    exact = ms.Empirical(data.double()).at(z.double(), torch.ones(6, dtype=F64), torch.full((6,), h, dtype=F64))
    torch.set_float32_matmul_precision(setting)
    got = ms.Empirical(data.to(device)).at(
        z.to(device), torch.ones(6, device=device), torch.full((6,), h, device=device)
    )
    assert (got.z.cpu().double() - exact.z).abs().max() <= 2e-4
    assert torch.get_float32_matmul_precision() == setting
