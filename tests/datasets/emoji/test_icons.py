"""Emoji drawings: packages as npm leaves them, what is left out, rendering against areas by hand, captions' shares."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import fabricated_icons as fabricated
import pytest
import torch
from fabricated_icons import FLUENT, NOTO

from modeseek.datasets.emoji import (
    BACKGROUNDS,
    Icon,
    caption,
    read_icons,
    render_icons,
    sampling_weights,
    with_article,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fabricated.write_packages(tmp_path / "icons")


def test_both_sets_are_read_without_skin_tones_and_aliases(folder: Path) -> None:
    icons = read_icons(folder)
    assert [icon.name for icon in icons] == [name.replace("-", " ") for name in fabricated.SHAPES] * 2
    assert [icon.style for icon in icons] == ["flat"] * 6 + ["shaded"] * 6
    by_name = {icon.name: icon for icon in icons}
    assert by_name["red square"].keywords == tuple(f"word {k}" for k in range(7)), "seven, after the name"
    assert by_name["white flag"].keywords == ("peace",), "found with the variation selector"
    assert by_name["blue bar"].keywords == () and by_name["blue bar"].category == "Symbols"
    assert sampling_weights(icons).tolist() == [0.25 if icon.name == "white flag" else 1.0 for icon in icons]


def test_where_the_packages_may_lie(folder: Path, tmp_path: Path) -> None:
    expected = read_icons(folder)
    assert read_icons(folder / "node_modules") == expected
    unpacked = tmp_path / "unpacked"
    for name, place in ((FLUENT, "ff"), (NOTO, "noto/package"), (fabricated.KEYWORDS, "words")):
        shutil.copytree(folder / "node_modules" / name, unpacked / place)
    assert read_icons(str(unpacked)) == expected
    bare = read_icons(fabricated.write_packages(tmp_path / "bare", keywords=False))
    assert len(bare) == 12 and not any(icon.keywords for icon in bare)


def change(folder: Path, name: str, **properties: object) -> None:
    path = folder / "node_modules" / FLUENT / "icons.json"
    content = json.loads(path.read_text())
    content["icons"][name].update(properties)
    path.write_text(json.dumps(content))


def test_packages_that_cannot_be_used_are_named_in_one_line(folder: Path, tmp_path: Path) -> None:
    def line(pattern: str, place: Path = folder) -> None:
        with pytest.raises(ValueError, match=pattern) as caught:
            read_icons(place)
        assert "\n" not in str(caught.value)

    line("fluent-emoji-flat in .*empty; try npm install @iconify", tmp_path / "empty")
    change(folder, "blue-bar", rotate=1)
    line("must be upright, got blue-bar of .* with rotate")
    change(folder, "blue-bar", rotate=0, body=f'<image href="{tmp_path}/secret.png" width="32" height="32"/>')
    line("must be drawn of paths, got blue-bar .* element image")
    change(folder, "blue-bar", body='<svg:feImage xmlns:svg="http://www.w3.org/2000/svg" href="a.png"/>')
    line("element feImage")
    change(folder, "blue-bar", body=7)
    line("must have a body of SVG, got blue-bar")
    place = folder / "node_modules" / FLUENT
    (place / "icons.json").write_text('{"icons": {"a": 3}}')
    line("must hold a dict 'a', got 3")
    words = folder / "node_modules" / fabricated.KEYWORDS / "dist" / "emoji-en-US.json"
    kept = words.read_text()
    words.write_text('{"x": 3}')
    line("must hold a list 'x', got 3")
    words.write_text(kept)
    (place / "icons.json").write_text("[1]")
    line("must hold a JSON object, got a list")
    (place / "icons.json").write_text("{")
    line("must be a file of JSON")
    (place / "chars.json").write_text('{"110000": "a"}')
    (place / "icons.json").write_text("{}")
    line("has '110000', which is no character")
    shutil.rmtree(folder / "node_modules" / NOTO)
    line("got none of @iconify-json/noto")


def shape(body: str, box: str = "0 0 32 32") -> Icon:
    names = 'xmlns="http://www.w3.org/2000/svg"'
    return Icon("flat", "shape", (), "", f'<svg {names} viewBox="{box}" width="9" height="9">{body}</svg>')


def test_a_rendered_square_covers_the_area_it_has() -> None:
    """The square of side 9 at (3, 5) of a box of 32, in an image of 8 pixels of side 4: coverage by hand."""
    (image,) = render_icons([shape('<path fill="#f80" fill-opacity="0.5" d="M3 5h9v9H3z"/>')], size=8)
    across = torch.tensor([1, 4, 4, 0, 0, 0, 0, 0]) / 4  # of 3..12 in pixels of 4
    down = torch.tensor([0, 3, 4, 2, 0, 0, 0, 0]) / 4  # of 5..14
    expected = 255 / 2 * down[:, None] * across
    assert (image[3] - expected).abs().max() <= 2, "resvg samples edges on a grid, to about a hundredth of a pixel"
    inside = image[3] > 20
    for channel, value in zip(image[:3], (255, 136, 0), strict=True):
        assert (channel[inside].float() - value).abs().max() <= 3, "straight alpha: the colour does not fade"
    assert image.shape == (4, 8, 8) and image.dtype == torch.uint8


def test_an_oblong_box_is_fitted_and_centred() -> None:
    (image,) = render_icons([shape('<path d="M0 0h16v32H0z"/>', "0 0 16 32")], size=16)
    assert (image[3, :, 4:12] == 255).all() and not image[3, :, :4].any() and not image[3, :, 12:].any()


def test_what_cannot_be_rendered_is_one_line() -> None:
    with pytest.raises(ValueError, match="must be SVG, got 'shape' .flat."):
        render_icons([shape("<g")])
    with pytest.raises(ValueError, match="size must be at least 1 pixel, got 0"):
        render_icons([], size=0)
    assert render_icons([], size=4).shape == (0, 4, 4, 4)


def test_captions_come_in_their_shares() -> None:
    """Shares of 6,000 draws: standard error at most 0.0065, five of which are allowed."""
    icon = Icon("shaded", "owl", ("bird", "night", "wise", "hoot"), "Animals & Nature", "")
    rng = torch.Generator().manual_seed(1)
    texts = [caption(icon, "white", rng) for _ in range(6000)]
    endings = Counter(re.search(r"(, shaded emoji)?(, on a white background)?$", text)[0] for text in texts)  # type: ignore[index]
    starts = [re.sub(r"(, shaded emoji)?(, on a white background)?$", "", text) for text in texts]
    number = Counter(len(text.split(", ")) for text in starts if text.startswith("owl, "))
    alone = [text.split(", ") for text in starts if text not in ("owl", "an owl") and not text.startswith("owl, ")]
    shares = {
        "name": (starts.count("owl"), 0.35),
        "article": (starts.count("an owl"), 0.35),
        "one keyword": (number[2], 0.06),
        "two": (number[3], 0.06),
        "three": (number[4], 0.06),
        "keywords alone": (len(alone), 0.12),
        "plain": (endings[""], 0.4 * 0.7),
        "style": (endings[", shaded emoji"], 0.6 * 0.7),
        "white": (endings[", on a white background"], 0.4 * 0.3),
        "both": (endings[", shaded emoji, on a white background"], 0.6 * 0.3),
    }
    for name, (count, share) in shares.items():
        assert abs(count / 6000 - share) < 0.033, (name, count / 6000, share)
    assert all(len(words) == 3 == len(set(words)) and set(words) <= set(icon.keywords) for words in alone)
    uses = Counter(word for words in alone for word in words)
    assert all(abs(uses[word] / len(alone) - 0.75) < 0.1 for word in icon.keywords), "no keyword is preferred"


def test_a_coloured_background_is_always_named() -> None:
    icon, rng = Icon("flat", "key", (), "", ""), torch.Generator().manual_seed(0)
    for background in BACKGROUNDS:
        texts = {caption(icon, background, rng) for _ in range(100)}
        end = f", on {with_article(background)} background"
        allowed = {f"{start}{style}{end}" for start in ("key", "a key") for style in ("", ", flat emoji")}
        assert texts >= allowed and (texts == allowed) == (background != "white")
    assert with_article("orange") == "an orange" and with_article("1st place medal") == "a 1st place medal"
    with pytest.raises(ValueError, match="background must be one of white, grey"):
        caption(icon, "mauve", rng)


def test_equal_states_give_equal_captions(folder: Path) -> None:
    icon = read_icons(folder)[0]
    first, second = ([caption(icon, "pink", torch.Generator().manual_seed(s)) for _ in range(1)] for s in (4, 4))
    assert first == second
