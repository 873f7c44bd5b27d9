"""Serialization of states as JSON and tensors: round trips, bit for bit."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from fuzz import soak
from hypothesis import example, given
from hypothesis import strategies as st
from state_cases import Inner, Net, Other, Outer, round_trip
from torch import Tensor

import modeseek as ms
from modeseek.methods.msd import MSDState
from modeseek.rundir.state_serialization import pack, unpack

DTYPES = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16]
DTYPES += [torch.float32, torch.float64, torch.uint16, torch.uint32, torch.uint64]
DTYPES += [torch.float8_e4m3fn, torch.float8_e5m2]


def bits(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def same(a: Any, b: Any) -> bool:
    """Whether two values have the same types, order and bits."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and (a.dtype, a.shape) == (b.dtype, b.shape) and bits(a) == bits(b)
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a), list(b)) and same(list(a.values()), list(b.values()))
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    return a == b


def drawn(shape: list[int], dtype: torch.dtype, seed: int) -> Tensor:
    """Random bits, NaNs, infinities and denormals among them."""
    rng = torch.Generator().manual_seed(seed)
    if dtype == torch.bool:
        return torch.randint(0, 2, shape, generator=rng, dtype=torch.bool)
    n_bytes = math.prod(shape) * torch.empty(0, dtype=dtype).element_size()
    return torch.randint(0, 256, (n_bytes,), generator=rng, dtype=torch.uint8).view(dtype).reshape(shape)


tensors = st.builds(
    drawn,
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(DTYPES),
    st.integers(0, 2**31),
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    tensors,
    st.sampled_from([-0.0, math.nan, math.inf, -math.inf, 5e-324, 2**100, "\ud800", "\0", "tensor", ""]),
)
keys = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False), st.tuples(st.text()))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(st.sampled_from(["tensor", "dict", "tuple", "type", "float", "module", "rng", "a.b"]), inner),
    ),
    max_leaves=15,
)


@soak
@given(tree=trees)
@example(tree={"a.b": torch.ones(2), "a": {"b": torch.zeros(3)}, 1: torch.ones(1), "1": torch.zeros(1)})
@example(tree={"0": torch.ones(1), 0: [torch.ones(2)], "0.0": torch.ones(3), "0'": torch.ones(4)})
@example(tree=[{}, [], (), [[]], [()], {"a": {}}])
def test_any_tree_is_restored_bit_for_bit(tree: Any) -> None:
    assert same(round_trip(tree), tree)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_of_all_types_shapes_and_layouts(dtype: torch.dtype) -> None:
    x = drawn([4, 6], dtype, 1)
    views = [x, x.T, x[::2, 1:], x[1], x[1, 1], x[:0], x[None].expand(3, 4, 6), x.reshape(2, 2, 3, 2)]
    views.append(x.reshape(1, 4, 3, 2).to(memory_format=torch.channels_last))
    backs = round_trip(views)
    assert all(map(same, views, backs)) and all(back.is_contiguous() for back in backs)


def test_packed_and_restored_tensors_share_no_memory() -> None:
    x = torch.zeros(3)
    packed: dict[str, Tensor] = {}
    plain = pack([x, x, x[:2]], packed)
    x.fill_(1)
    a, b, c = unpack(plain, packed, None)
    a.fill_(2)
    assert a.tolist() == [2, 2, 2] and b.tolist() == [0, 0, 0] and c.tolist() == [0, 0]
    assert unpack(plain, packed, None)[0].tolist() == [0, 0, 0]


def test_tensors_of_a_graph_are_restored_without_it() -> None:
    w = torch.ones(2, requires_grad=True)
    back = round_trip({"loss": (2 * w).sum()})
    assert same(back["loss"], torch.tensor(4.0)) and not back["loss"].requires_grad


def test_dataclasses_are_restored_where_the_template_holds_none() -> None:
    value = Outer(Inner(torch.ones(2), (1, "a", None)), Other(3), {1: math.nan}, {"a": 1})
    back = round_trip(value, Outer())
    assert same(back, value) and type(back.either) is Other
    back = round_trip({"s": [value, (value,)]}, {"s": [Outer(), (Outer(),)]})
    assert same(back, {"s": [value, (value,)]})


def test_dataclasses_that_live_inside_a_function() -> None:
    @dataclass(frozen=True)
    class Deep:
        n: Tensor

    @dataclass(frozen=True)
    class Local:
        deep: Deep

    value = Local(Deep(torch.arange(3)))
    assert same(round_trip(value, Local(Deep(torch.zeros(1)))), value)


@pytest.mark.parametrize(
    "bandwidth",
    [
        ms.Fixed(0.5),
        ms.Geometric(2.0, 0.5),
        ms.Adaptive(0.1),
        ms.Adaptive(0.1, 2.0),
        ms.Along(),
        ms.Along(ms.Uniform()),
    ],
)
@pytest.mark.parametrize("noise", ["independent", "common"])
def test_the_state_of_mean_shift_distillation(bandwidth: ms.bandwidth.Bandwidth, noise: str) -> None:
    rng = torch.Generator().manual_seed(0)
    prior = ms.Empirical(torch.randn(20, 2, generator=rng, dtype=torch.float64), ms.VE(0.01, 10.0))
    z = torch.randn(3, 2, generator=rng, dtype=torch.float64)
    method = ms.MSD(bandwidth, estimator="product", steps=2, samples=2, noise=noise)
    state = method.init(z, prior)
    assert same(round_trip(state, method.init(z, prior)), MSDState())
    for progress in (0.0, 0.5):
        _, state = method.step(z, prior, state, progress=progress, rng=rng)
    back = round_trip(state, method.init(z, prior))
    assert same(back, state) and type(back) is MSDState and back.progress == 0.5
    draws = [torch.Generator().manual_seed(7) for _ in range(2)]
    (a, after), (b, after_back) = (
        method.step(z, prior, s, progress=1.0, rng=r) for s, r in zip((state, back), draws, strict=True)
    )
    assert same(a.grad, b.grad) and same(after, after_back)


def test_a_state_from_before_its_progress_was_kept() -> None:
    """Checkpoints of earlier versions: the run goes on, and is not done before its next step says so."""
    tensors: dict[str, Tensor] = {}
    h = torch.full((3,), 0.2, dtype=torch.float64)
    plain = pack(MSDState(None, h, torch.zeros_like(h), None, 1.0), tensors)
    assert plain["fields"].pop("progress") == 1.0
    back = unpack(plain, tensors, MSDState())
    assert same(back, MSDState(None, h, torch.zeros_like(h), None, 0.0))
    assert not ms.MSD(ms.Along()).done(back).any() and ms.MSD(ms.Along(end=0.2)).done(back).all()


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "adam": lambda p: torch.optim.Adam(p, 0.1, betas=(0.8, 0.9)),
    "adamw": lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.1, amsgrad=True),
    "adam with a tensor rate": lambda p: torch.optim.Adam(p, torch.tensor(0.1)),
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01, centered=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.1),
    "two groups": lambda p: torch.optim.Adam(
        [{"params": (p := list(p))[:2], "lr": 0.3}, {"params": p[2:], "betas": (0.1, 0.2)}]
    ),
}


def take_steps(net: Net, optimizer: torch.optim.Optimizer, rng: torch.Generator, steps: int = 3) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(4, 3, generator=rng)).backward()
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_modules_optimizers_and_random_streams_continue_bit_for_bit(name: str) -> None:
    net, rng = Net(0), torch.Generator().manual_seed(1)
    optimizer = OPTIMIZERS[name](net.parameters())
    take_steps(net, optimizer, rng)
    optimizer.param_groups[0]["lr"] *= 0.5
    objects = {"net": net, "optimizer": optimizer, "rng": rng}
    other, fresh = Net(5), torch.Generator().manual_seed(9)
    template = {"net": other, "optimizer": OPTIMIZERS[name](other.parameters()), "rng": fresh}
    back = round_trip(objects, template)
    assert back["net"] is other and back["optimizer"] is template["optimizer"] and back["rng"] is fresh
    assert other.tied is other.a.weight
    for _ in range(2):
        assert same(dict(net.state_dict()), dict(other.state_dict()))
        assert same(optimizer.state_dict(), template["optimizer"].state_dict())
        assert same(rng.get_state(), fresh.get_state())
        take_steps(net, optimizer, rng)
        take_steps(other, template["optimizer"], fresh)


def test_a_network_and_its_optimizer_within_the_state_of_a_method() -> None:
    """As in the states of variational methods."""

    @dataclass(frozen=True)
    class State:
        net: Net
        optimizer: torch.optim.Optimizer
        rng: torch.Generator
        step: int = 0

    def fresh(seed: int) -> State:
        net = Net(seed)
        return State(net, torch.optim.Adam(net.parameters(), 0.1), torch.Generator().manual_seed(seed))

    saved, template = fresh(0), fresh(1)
    take_steps(saved.net, saved.optimizer, saved.rng)
    back = round_trip((State(saved.net, saved.optimizer, saved.rng, 3),), (template,))[0]
    assert back.step == 3 and back.net is template.net
    take_steps(saved.net, saved.optimizer, saved.rng)
    take_steps(back.net, back.optimizer, back.rng)
    assert same(dict(saved.net.state_dict()), dict(back.net.state_dict()))


def test_a_random_stream_without_a_template_is_created() -> None:
    rng = torch.Generator().manual_seed(3)
    torch.randn(7, generator=rng)
    back = round_trip([rng])[0]
    assert same(torch.randn(5, generator=back), torch.randn(5, generator=rng))


def test_subclasses_of_dict_and_tuple_are_restored_plain() -> None:
    assert same(round_trip(OrderedDict(b=1, a=2)), {"b": 1, "a": 2})
    assert same(round_trip(torch.Size([2, 3])), (2, 3))
