"""The device of the tests of this folder: that of MODESEEK_TEST_DEVICE, else the GPU of this machine.

Without either only the tests marked `cuda(handful=True)` run, on the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from pretended_device import IndexedNetwork

GIVEN = os.environ.get("MODESEEK_TEST_DEVICE", "")
DEVICE = GIVEN or ("cuda" if torch.cuda.is_available() else "cpu")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what does not run without a GPU."""
    for item in items:
        marker = item.get_closest_marker("cuda")
        if marker is None or (GIVEN != "cpu" and DEVICE == "cuda"):
            continue
        if marker.kwargs.get("only"):
            item.add_marker(pytest.mark.skip(reason="needs a GPU"))
        elif not GIVEN and not marker.kwargs.get("handful"):
            item.add_marker(pytest.mark.skip(reason="no GPU; MODESEEK_TEST_DEVICE=cpu runs it on the CPU"))


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The device that is compared with the CPU."""
    if DEVICE == "cuda" and not torch.cuda.is_available():
        pytest.fail("MODESEEK_TEST_DEVICE=cuda, but no CUDA device is available")
    return torch.device(DEVICE)


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    """Convolutions and products in float32 themselves, as the CPU computes them; as before afterwards."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    yield
    torch.backends.cudnn.allow_tf32 = convolutions
    torch.set_float32_matmul_precision(products)


@pytest.fixture(scope="session")
def networks(device: torch.device) -> tuple[IndexedNetwork, IndexedNetwork]:
    """The same small network on the CPU and on the device."""
    torch.manual_seed(0)
    here = IndexedNetwork("cpu")
    there = IndexedNetwork(device)
    there.network.load_state_dict(here.network.state_dict())
    return here, there
