"""Full float32 precision of matrix products, which a distance computed by a product needs."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch

_FULL = ("ieee", "none")  # settings of torch >= 2.9 without TF32 and bfloat16


@contextmanager
def full_float32() -> Generator[None]:
    """Multiplies float32 matrices in float32 inside the context: neither TF32 nor bfloat16, whatever is set outside.

    TF32 keeps 10 bits of the mantissa, so that squared distances of a product would be off by 1e-3 of the data's
    squared radius. What was set outside is set again at the end.
    """
    if not hasattr(torch.backends, "fp32_precision"):
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
        return
    reduced = [
        (product, product.fp32_precision)
        for product in (
            torch.backends.cuda.matmul,
            torch.backends.mkldnn.matmul,  # pyright: ignore[reportAttributeAccessIssue]
        )
        if product.fp32_precision not in _FULL
    ]
    for product, _ in reduced:
        product.fp32_precision = "ieee"
    try:
        yield
    finally:
        for product, precision in reduced:
            product.fp32_precision = precision
