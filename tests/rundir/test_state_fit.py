"""States that cannot be saved or do not fit the template: errors name the path."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from cases import one_line
from fuzz import plain_data, soak
from hypothesis import given
from hypothesis import strategies as st
from state_cases import Inner, Net, Other, Outer, round_trip
from torch import Tensor, nn

from modeseek.rundir.checkpoint import Checkpoint
from modeseek.rundir.state_serialization import pack, unpack


class Point(NamedTuple):
    """Named tuple, whose field names would be lost."""

    x: int


class Color(Enum):
    """Enum."""

    RED = 1


UNSUPPORTED: dict[str, tuple[Any, str]] = {
    "function": ({"f": len}, r"state\.f: got a builtin_function_or_method"),
    "array": ([1, np.zeros(3)], r"state\.1: got a ndarray"),
    "number of numpy": ({"n": np.int64(3)}, r"state\.n: got a int64"),
    "set": ((1, {2}), r"state\.1: got a set"),
    "bytes": ({"a": {"b": [b"x"]}}, r"state\.a\.b\.0: got a bytes"),
    "object": (object(), "state: got a object"),
    "path": (Path("a"), "state: got a PosixPath"),
    "class": (Inner, "state: got a type"),
    "named tuple": (Inner(seen=(Point(1),)), r"state\.seen\.0: got a Point"),
    "choice": ([Color.RED], r"state\.0: got a Color"),
    "dtype": ([torch.float32], r"state\.0: got a dtype"),
    "complex number": ({"a": 1j}, r"state\.a: got a complex"),
    "complex tensor": ({"a": torch.ones(2, dtype=torch.complex64)}, r"state\.a: got a tensor of torch\.complex64"),
    "sparse tensor": ({"a": torch.eye(2).to_sparse()}, r"state\.a: got a tensor of torch\.float32, torch\.sparse_coo"),
    "tensor without data": ({"a": torch.ones(2, device="meta")}, r"state\.a: got a tensor of .* on meta"),
    "parameter": ({"a": nn.Parameter(torch.ones(2))}, r"state\.a: got a parameter by itself; save the module"),
    "key": ({"a": {b"k": 1}}, r"a key of state\.a: got a bytes; use text or numbers"),
    "key in a tuple": ({("a", Color.RED): 1}, "a key of state: got a Color"),
    "module with more than tensors": (None, r"state\._extra_state: got a set"),
}


class Extra(nn.Module):
    """Module with an extra state that is not a tensor."""

    def get_extra_state(self) -> Any:
        return {1}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_unsupported_values_are_named_by_their_path(case: str) -> None:
    value, message = UNSUPPORTED[case]
    with pytest.raises(TypeError, match=rf"a checkpoint cannot save {message}") as caught:
        pack(Extra() if value is None else value, {})
    one_line(caught.value)


def trained(seed: int = 0) -> Net:
    return Net(seed)


def adam(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), 0.1)


def sgd(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)


MISFITS: dict[str, tuple[Callable[[], Any], Callable[[], Any], str]] = {
    "module for nothing": (lambda: {"a": [nn.Linear(1, 1)]}, lambda: {}, r"state\.a\.0 was a module and is none now"),
    "nothing for a module": (lambda: {"a": None}, lambda: {"a": nn.Linear(1, 1)}, r"state\.a is a Linear now"),
    "tensor for a module": (lambda: (torch.ones(1),), lambda: (nn.Linear(1, 1),), r"state\.0 is a Linear now"),
    "dict for a module": (lambda: {"a": {"b": 1}}, lambda: {"a": nn.Linear(1, 1)}, r"state\.a is a Linear now"),
    "module lost": (lambda: {"a": 1}, lambda: {"a": 1, "net": nn.Linear(1, 1)}, r"state\.net is a Linear now"),
    "optimizer lost": (lambda: {}, lambda: {"o": adam(trained())}, r"state\.o is a Adam now and was not saved"),
    "stream lost": (lambda: {"g": 1}, lambda: {"g": torch.Generator()}, r"state\.g is a Generator now"),
    "other shape": (lambda: {"a": nn.Linear(2, 3)}, lambda: {"a": nn.Linear(3, 3)}, r"state\.a does not fit: .*weight"),
    "other names": (lambda: [nn.Linear(2, 3)], lambda: [nn.BatchNorm1d(3)], r"state\.0 does not fit: .*running_mean"),
    "other numbers": (
        lambda: {"a": nn.Linear(2, 3).double()},
        lambda: {"a": nn.Linear(2, 3)},
        r"state\.a.*state\.a\.weight was of torch\.float64 and is of torch\.float32",
    ),
    "other optimizer": (
        lambda: {"o": adam(trained())},
        lambda: {"o": sgd(trained())},
        r"state\.o was a Adam, got SGD",
    ),
    "other groups": (lambda: adam(trained()), lambda: adam(nn.Linear(1, 1)), "state does not fit: .*group"),
    "module for an optimizer": (lambda: [trained()], lambda: [adam(trained())], r"state\.0 is a Adam now"),
    "other state": (lambda: {"s": Inner()}, lambda: {"s": Other()}, r"state\.s was a Inner, expected Other; res"),
    "state for nothing": (lambda: {"s": Inner()}, lambda: {"s": None}, r"state\.s was a Inner, expected no dataclass"),
    "other state within": (
        lambda: Outer(any=Inner()),
        lambda: Outer(),
        r"state\.any was a Inner, expected no dataclass",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_misfits_are_named_by_their_path(case: str) -> None:
    value, template, message = MISFITS[case]
    with pytest.raises(ValueError, match=message) as caught:
        round_trip(value(), template())
    assert len(one_line(caught.value)) < 2000


def test_added_and_removed_fields(unchecked: None) -> None:
    packed = pack({"s": Other(3)}, {})
    fields = packed["dict"][0][1]["fields"]
    fields["gone"] = 1
    with pytest.raises(ValueError, match=r"state\.s is another Other now: .*gone") as caught:
        unpack(packed, {}, {"s": Other()})
    one_line(caught.value)
    del fields["gone"], fields["n"]
    assert unpack(packed, {}, {"s": Other()}) == {"s": Other()}, "a new field has its default"


def test_streams_of_another_kind_of_device() -> None:
    packed_tensors: dict[str, Tensor] = {}
    plain = pack({"g": torch.Generator()}, packed_tensors)
    short = {key: value[:10] for key, value in packed_tensors.items()}
    with pytest.raises(ValueError, match=r"state\.g does not fit") as caught:
        unpack(plain, short, {"g": torch.Generator()})
    one_line(caught.value)
    with pytest.raises(ValueError, match=r"state\.g has no tensor in the file"):
        unpack(plain, {}, {"g": torch.Generator()})


tagged = st.recursive(
    plain_data | st.sampled_from(["state", "cpu", "Inner", "nan", "a"]),
    lambda inner: st.dictionaries(
        st.sampled_from(["tensor", "cpu", "dict", "tuple", "type", "fields", "float", "module", "optimizer", "rng"]),
        inner,
        max_size=3,
    ),
    max_leaves=8,
)


@soak
@given(plain=tagged)
def test_fuzz_any_json_is_restored_or_refused_in_one_line(plain: Any, unchecked: None) -> None:
    """States as another version might have written them."""
    net = nn.Linear(1, 1)
    template = {"a": Inner(), "b": net, "module": net}
    checkpoint = Checkpoint(Path("step-00000001"), 1, plain, {"state": torch.ones(2)})
    for candidate in (template, Inner(), net, torch.Generator(), adam(net)):
        try:
            checkpoint.restore(candidate)
        except ValueError as error:
            line = one_line(error)
            assert line.startswith("step-00000001 does not fit this run: ") and len(line) < 500
