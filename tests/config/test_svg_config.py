"""`svg_config`: options, the paths of a file, round trips and mistakes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cases import one_line

from modeseek.config.config import Config, read_config
from modeseek.config.image_config import image_config
from modeseek.config.svg_config import svg_config
from modeseek.config.vector import DrawingConfig
from modeseek.config.vector_starts import RandomStart, SaliencyStart, SampleStart, SvgStart

FILE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">'
    '<path d="M1 1C2 1 3 1 3 3C3 4 2 4 1 4C1 3 1 2 1 1Z" fill="#f00"/><circle cx="5" cy="5" r="2" fill="#00f"/></svg>'
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "owl.svg").write_text(FILE)
    return tmp_path / "owl.svg"


def drawings(config: Config) -> DrawingConfig:
    assert isinstance(config.generator, DrawingConfig)
    return config.generator


def test_the_defaults_are_those_of_the_emoji_prior() -> None:
    config = svg_config(["an owl"])
    assert config.prior.title == "emoji" and config.method_name == "msd" and config.name == "an owl"
    assert config.scale == 3 and config.shift == 3
    own = drawings(config)
    assert (own.n, own.paths, own.cubics, own.strokes, own.max_bytes) == (1, 24, 4, 0, 10_000)
    assert own.start == SampleStart() and own.background is None


OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "numbers": ({"paths": 9, "cubics": 3, "strokes": 2}, {"paths": 9, "cubics": 3, "strokes": 2}, {}),
    "strokes alone": ({"paths": 0, "strokes": 5}, {"paths": 0, "strokes": 5}, {}),
    "copies": ({"copies": 3}, {"n": 6}, {}),
    "budget": ({"bytes": 500}, {"max_bytes": 500}, {}),
    "background": ({"background": "#ffcc00"}, {"background": "#ffcc00"}, {}),
    "random": ({"start": "random"}, {"start": RandomStart()}, {}),
    "saliency": ({"start": "saliency"}, {"start": SaliencyStart()}, {}),
    "a start with settings": ({"start": SampleStart(steps=9)}, {"start": SampleStart(steps=9)}, {}),
    "of the run": ({"steps": 7, "seed": 3, "shift": 1, "inner_steps": 2}, {}, {"steps": 7, "seed": 3, "shift": 1}),
    "settings": ({"settings": ["generator.drawing.rates.color=9"]}, {}, {}),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_are_in_the_configuration_which_round_trips(case: str) -> None:
    options, of_drawings, of_run = OPTIONS[case]
    config = svg_config(["an owl", "a cat"], **options)
    assert {name: getattr(drawings(config), name) for name in of_drawings} == of_drawings
    assert {name: getattr(config, name) for name in of_run} == of_run
    assert read_config(config.to_dict()) == config
    rates = drawings(config).rates
    assert (None if rates is None else rates.color) == (9 if case == "settings" else None)


def test_the_numbers_of_paths_are_those_of_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    own = drawings(svg_config(["an owl"], start="owl.svg"))
    assert own.start == SvgStart(file) and (own.paths, own.strokes) == (2, 0)
    first = own.start.read()
    assert first is not None and own.cubics == first.cubics
    for option in ({"paths": 3}, {"strokes": 1}, {"cubics": 99}):
        ((name, value),) = option.items()
        with pytest.raises(ValueError) as caught:
            svg_config(["an owl"], start=file, **option)
        assert f"{name} must be" in one_line(caught.value) and f"got {value}" in str(caught.value)


def test_the_image_command_has_the_same_drawings() -> None:
    other = drawings(image_config(["an owl", "a cat"], "emoji", generator="drawing", copies=2))
    assert other == replace(drawings(svg_config(["an owl"])), n=4, paths=None, cubics=None, strokes=None)


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "start": ({"start": "sampel"}, "start must be sample, saliency, random or an SVG file, got 'sampel': did you mean"),
    "folder": ({"start": "."}, "start must be"),
    "paths": ({"paths": -1}, "paths of a drawing must be at least 0, got -1"),
    "no paths": ({"paths": 0}, "a drawing must have a path"),
    "cubics": ({"cubics": 1}, "cubics of a drawing must be at least 2, got 1"),
    "strokes": ({"strokes": -2}, "strokes of a drawing must be at least 0, got -2"),
    "background": ({"background": "mauvish"}, "got 'mauvish'"),
    "latents": ({"settings": ["generator=latent"], "shift": 0}, "generator must be drawing for an SVG, got latent"),
    "method": ({"method": "msdd"}, "did you mean msd?"),
    "prompt": ({"prompts": []}, "prompts must not be empty"),
    "copies": ({"copies": 0}, "copies must be at least 1, got 0"),
    "sampler": ({"start": lambda: SampleStart(steps=0)}, "a sample start needs steps and candidates >= 1"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line(case: str) -> None:
    options, words = MISTAKES[case]
    with pytest.raises(ValueError) as caught:
        options = {key: value() if callable(value) else value for key, value in options.items()}
        svg_config(options.pop("prompts", ["an owl"]), **options)
    assert words in one_line(caught.value)


@pytest.mark.parametrize("text", ["", "owl", "<html/>", "<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_a_file_that_is_no_drawing_is_one_line(text: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(ValueError) as caught:
        svg_config(["an owl"], start=file)
    one_line(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        svg_config(["an owl"], start=tmp_path / "missing.svg")
    assert "missing.svg" in one_line(caught.value)
