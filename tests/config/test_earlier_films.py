"""Films in configurations of earlier versions, which knew `mp4` alone."""

from __future__ import annotations

from typing import Any

import pytest

import modeseek as ms
from modeseek.config.config import read_config
from modeseek.config.defaults import configure


@pytest.mark.parametrize(("plain", "want"), [({"mp4": True}, "both"), ({"mp4": False}, "auto"), ({}, "auto")])
def test_mp4_of_an_earlier_configuration_is_a_film(plain: dict[str, Any], want: str) -> None:
    written = configure({}).to_dict()
    del written["film"]
    assert read_config({**written, **plain}).film == want
    assert configure({**written, **plain, "verb": "run"}).film == want
    assert "mp4" not in read_config({**written, **plain}).to_dict()


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_other_values_of_mp4_are_refused_by_name(value: Any) -> None:
    with pytest.raises(ValueError, match="mp4"):
        read_config({**configure({}).to_dict(), "mp4": value})


@pytest.mark.parametrize("film", ["auto", "mp4", "gif", "both", "none"])
def test_a_film_is_read_back(film: str) -> None:
    config = configure({}, [f"film={film}"])
    assert isinstance(config, ms.Config) and config.film == film
    assert read_config(config.to_dict()).film == film
    with pytest.raises(ValueError, match=r"film.*avi"):
        configure({}, ["film=avi"])
