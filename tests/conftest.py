"""Every test runs on one thread, and hypothesis draws the same examples every time."""

from __future__ import annotations

import os
from collections.abc import Iterator

import jaxtyping
import pytest
import shape_checks
import torch
from hypothesis import HealthCheck, settings

jaxtyping.jaxtyped = shape_checks.jaxtyped  # what the import hook calls, see pyproject.toml
torch.set_num_threads(1)
settings.register_profile(
    "modeseek",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=100 if os.environ.get("MODESEEK_SOAK") == "1" else 24,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("modeseek")


@pytest.fixture(scope="session", autouse=True)
def fast_films() -> Iterator[None]:
    """Films are encoded in a third of the time, into larger files; `io/test_video.py` encodes them as users do."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("modeseek.io.video._ENCODER", {"crf": "18", "preset": "ultrafast"})
        yield


@pytest.fixture
def rng() -> torch.Generator:
    """A generator with a fixed seed."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Switches the checks of annotated shapes off: what a user meets, who runs without them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
