"""Headline of a run's page: the prompt, and under it method, prior, guidance and seed."""

from __future__ import annotations

from typing import Any

import pytest

from modeseek.config.config import read_config
from modeseek.reports.headline import headline, subtitle

RING = {"prior": {"problem": {"name": "ring"}}, "method": "sds", "seed": 3}
SCENES = {"prior": {"pipeline": {"path": "scenes"}}, "generator": "field"}


@pytest.mark.parametrize(
    ("settings", "title", "under"),
    [
        (RING, "SDS on ring", "SDS, ring prior, seed 3"),
        (RING | {"label": 2, "scale": 4.0}, "SDS on ring, class 2", "SDS, ring prior, guidance 4, seed 3"),
        (RING | {"method": "sdi"}, "SDI on ring", "SDI, ring prior, seed 3"),  # nothing to guide
        (RING | {"method": "sdi", "label": 1}, "SDI on ring, class 1", "SDI, ring prior, guidance 7.5, seed 3"),
        (
            SCENES | {"method": "sds", "scale": 3.0, "prompts": ["a red cone"]},
            "a red cone",
            "SDS, scenes prior, guidance 3, seed 0",
        ),
        (
            SCENES | {"method": {"sdi": {"scale": 101.0}}, "prompts": ["a", "b", "c"], "negative": "blur"},
            "a and 2 more",
            "SDI, scenes prior, guidance 101, negative prompt 'blur', seed 0",
        ),
        (
            {"prior": {"renders": {"caption": "a red cone"}}, "method": "sds", "name": "a red cone"},
            "SDS on a red cone",
            "SDS, prior of renders of a red cone, seed 0",
        ),
    ],
)
def test_it_says_what_was_made_and_how(settings: dict[str, Any], title: str, under: str) -> None:
    config = read_config(settings)
    assert (headline(config), subtitle(config)) == (title, under)
