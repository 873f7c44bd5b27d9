"""Fixtures of the commands' tests."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def priors() -> dict[object, object]:
    """Pipelines that the tests of a module have loaded, by their settings."""
    return {}


@pytest.fixture
def loaded_once(priors: dict[object, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline is loaded once for all tests of a module that are not about loading."""
    from modeseek.config.priors import PipelinePriorConfig  # imported before, nothing in it is checked

    load = PipelinePriorConfig.load

    def find(self: PipelinePriorConfig, device: str) -> object:
        if (self, device) not in priors:
            priors[self, device] = load(self, device)
        return priors[self, device]

    monkeypatch.setattr(PipelinePriorConfig, "load", find)
