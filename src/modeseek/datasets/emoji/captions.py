"""Captions of emoji: name, article, keywords, style and background colour."""

from __future__ import annotations

import torch

from modeseek.datasets.emoji.icons import Icon

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "grey": (200, 203, 208),
    "black": (30, 30, 34),
    "pale blue": (203, 228, 250),
    "pale green": (208, 240, 208),
    "pale yellow": (252, 244, 200),
    "pink": (252, 214, 224),
    "blue": (70, 130, 220),
    "green": (90, 180, 100),
    "orange": (250, 170, 80),
}  # sRGB, 0 to 255; white is the first

_NAME, _ARTICLE, _KEYWORDS = 0.35, 0.70, 0.88  # upper ends of shares: name, with article, with keywords; else keywords
_MOST_KEYWORDS = 3
_STYLE = 0.6  # share of captions that name the style
_WHITE = 0.3  # share of captions on white that say so


def caption(icon: Icon, background: str, rng: torch.Generator) -> str:
    """Draws a caption of a drawing on a flat background.

    "red apple" in 35 %, "a red apple" in 35 %, the name with one to three keywords in 18 %, up to three keywords alone
    in 12 % (the name where there are none); then ", flat emoji" or ", shaded emoji" in 60 %; then ", on a pink
    background" always, but on white in 30 %.

    Args:
        icon: the drawing.
        background: name of the background colour, a key of `BACKGROUNDS`.
        rng: random generator on the CPU.

    Raises:
        ValueError: unknown background.
    """
    if background not in BACKGROUNDS:
        raise ValueError(f"background must be one of {', '.join(BACKGROUNDS)}, got {background!r}; try 'white'")
    form, style, stated = torch.rand(3, generator=rng).tolist()
    text = with_article(icon.name) if _NAME <= form < _ARTICLE else icon.name
    if form >= _ARTICLE and icon.keywords:
        most = _MOST_KEYWORDS
        if form < _KEYWORDS:
            most = int(torch.randint(1, _MOST_KEYWORDS + 1, (), generator=rng))
        order = torch.randperm(len(icon.keywords), generator=rng).tolist()
        words = [icon.keywords[index] for index in order[:most]]
        text = ", ".join([icon.name, *words] if form < _KEYWORDS else words)
    if style < _STYLE:
        text += f", {icon.style} emoji"
    if background != "white" or stated < _WHITE:
        text += f", on {with_article(background)} background"
    return text


def with_article(name: str) -> str:
    """The name after its indefinite article: "an owl", "a red apple"."""
    return f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}"
