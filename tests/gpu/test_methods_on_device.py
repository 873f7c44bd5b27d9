"""Every method on the device: the CPU's directions from the same draws, equal runs, and no wait within a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from every_method import METHODS
from pretended_device import DEVICE as PRETENDED
from pretended_device import IndexedNetwork, pretended_device
from torch import Tensor

import modeseek as ms
from modeseek.methods.base import Method

ROWS = 4
WAIT = {  # how many rows they evaluate depends on the levels drawn
    *("nfsd", "ism"),
    "pfd heun",  # where a walk ends is read from its times, which lie on the device
}


def method_of(name: str, z: Tensor) -> Method:
    """A method, its source where z is."""
    if name == "irfds":
        return ms.methods.IRFDS(torch.zeros_like(z[:1]))
    return METHODS[name]


def conditions(name: str, device: torch.device, prior: IndexedNetwork) -> ms.Conditions:
    """Embeddings, or labels for methods whose auxiliary is conditioned on them."""
    rng = torch.Generator().manual_seed(1)
    if name in ("vsd", "vpsd", "esd", "asd"):
        positive, null = torch.zeros(ROWS, dtype=torch.long), torch.full((ROWS,), -1)
        return ms.Conditions(positive.to(device), null.to(device))
    parts = (torch.randn(ROWS, 6, generator=rng).to(device) for _ in range(4))
    positive, null, negative, source = parts
    more = {"negative": negative} if name in ("csd negative", "nfsd") else {}
    return ms.Conditions(positive, null=null, source=source, **more)


def direction(name: str, prior: IndexedNetwork, z: Tensor, rng: ms.Rng) -> ms.Direction:
    """The direction of one step; noise is drawn on the CPU where rng lives there."""
    method = method_of(name, z)
    given = prior if method.guides else ms.Guided(prior, 7.5)
    state = method.init(z, given)
    options = {"conditions": conditions(name, z.device, prior), "progress": 0.3, "rng": rng}
    return method.step(z, given, state, **options)[0]


def z_on(device: torch.device | str) -> Tensor:
    return torch.randn(ROWS, 4, 8, 8, generator=torch.Generator().manual_seed(2)).to(device)


@pytest.mark.cuda
@pytest.mark.parametrize("name", METHODS)
def test_every_method_goes_where_it_goes_on_the_cpu(
    name: str, networks: tuple[IndexedNetwork, IndexedNetwork], device: torch.device
) -> None:
    here, there = networks
    want = direction(name, here, z_on("cpu"), torch.Generator().manual_seed(3))
    got = direction(name, there, z_on(device), torch.Generator().manual_seed(3))
    assert got.grad.device.type == device.type and got.grad.isfinite().all()
    bound = 2e-3 * float(want.grad.abs().max())
    assert (got.grad.cpu() - want.grad).abs().max() <= bound


@pytest.mark.cuda
@pytest.mark.parametrize("name", METHODS)
def test_equal_steps_are_equal_to_the_bit(
    name: str, networks: tuple[IndexedNetwork, IndexedNetwork], device: torch.device
) -> None:
    there = networks[1]
    first, second = (direction(name, there, z_on(device), ms.Streams(5, 1, tuple(range(ROWS)))) for _ in range(2))
    assert torch.equal(first.grad, second.grad)


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """Makes whatever waits for CUDA an error."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.cuda(only=True)
@pytest.mark.parametrize("name", [name for name in METHODS if name not in WAIT])
def test_a_step_waits_for_nothing(
    name: str, networks: tuple[IndexedNetwork, IndexedNetwork], device: torch.device
) -> None:
    there, z = networks[1], z_on(device)
    method = method_of(name, z)
    given = prior = there if method.guides else ms.Guided(there, 7.5)
    state, cond = method.init(z, prior), conditions(name, z.device, there)
    for step in range(2):  # the first call of a kernel may wait
        with no_waiting(device if step else torch.device("cpu")):
            _, state = method.step(
                z, given, state, conditions=cond, progress=0.3, rng=ms.Streams(0, step, tuple(range(ROWS)))
            )


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in METHODS if name not in WAIT])
def test_a_step_waits_for_nothing_on_a_pretended_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs everywhere: whatever reads a value, mixes devices or copies from the CPU and waits is found."""
    adam = torch.optim.Adam
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, fused=None, **options: adam(parameters, **options))
    with pretended_device() as copies:
        prior, z = IndexedNetwork(), torch.empty(ROWS, 4, 8, 8, device=PRETENDED)
        method = method_of(name, z)
        given = prior if method.guides else ms.Guided(prior, 7.5)
        state = method.init(z, given)
        cond = conditions(name, PRETENDED, prior)
        copies.found.clear()
        method.step(z, given, state, conditions=cond, progress=0.3, rng=ms.Streams(0, 1, tuple(range(ROWS))))
    assert not copies.found


@pytest.mark.parametrize("name", sorted(WAIT))
def test_what_waits_is_known(name: str) -> None:
    with pretended_device(), pytest.raises((RuntimeError, NotImplementedError), match=r"item\(\)|nonzero"):
        prior, z = IndexedNetwork(), torch.empty(ROWS, 4, 8, 8, device=PRETENDED)
        method = method_of(name, z)
        given = prior if method.guides else ms.Guided(prior, 7.5)
        rng = ms.Streams(0, 1, tuple(range(ROWS)))
        method.step(
            z, given, method.init(z, given), conditions=conditions(name, PRETENDED, prior), progress=0.3, rng=rng
        )
