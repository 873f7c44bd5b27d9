"""Full float32 precision of matrix products: forced inside the context, as it was outside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.overrides import TorchFunctionMode

import modeseek as ms
from modeseek.priors.full_precision import full_float32


def precisions() -> tuple[str, str]:
    return torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision


@pytest.fixture
def restored() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="torch before 2.9 has other settings")
@pytest.mark.parametrize(("setting", "outside"), [("high", ("tf32", "tf32")), ("medium", ("tf32", "bf16"))])
@pytest.mark.usefixtures("restored")
def test_reduced_precision_is_full_inside_and_set_again(setting: str, outside: tuple[str, str]) -> None:
    torch.set_float32_matmul_precision(setting)
    assert precisions() == outside
    with full_float32():
        assert precisions() == ("ieee", "ieee")
    assert precisions() == outside
    with pytest.raises(KeyError), full_float32():
        raise KeyError
    assert precisions() == outside and torch.get_float32_matmul_precision() == setting


def test_what_is_full_is_left_alone() -> None:
    before = precisions()
    with full_float32():
        assert precisions() == before
    assert precisions() == before


class Products(TorchFunctionMode):
    """Records the precision in force at each matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, str]] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.Tensor.matmul, torch.Tensor.__matmul__, torch.addmm):
            self.seen.add(precisions())
        return func(*args, **(kwargs or {}))


@pytest.mark.usefixtures("restored")
def test_the_empirical_prior_multiplies_in_full_precision() -> None:
    torch.set_float32_matmul_precision("high")
    data = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    with Products() as products:
        ms.Empirical(data).at(data[:3], torch.ones(3), torch.ones(3))
    assert products.seen == {("ieee", "ieee")}
