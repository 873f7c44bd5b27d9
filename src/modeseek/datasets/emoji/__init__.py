"""Captioned drawings of emoji, read from npm packages that a user has: Fluent Emoji and Noto Emoji."""

from __future__ import annotations

from modeseek.datasets.emoji.augment import AugmentedIcons, augment, canonical
from modeseek.datasets.emoji.captions import BACKGROUNDS, caption, with_article
from modeseek.datasets.emoji.icons import INSTALL, Icon, read_icons, sampling_weights
from modeseek.datasets.emoji.render import render_icons

__all__ = [
    "AugmentedIcons",
    "BACKGROUNDS",
    "INSTALL",
    "Icon",
    "augment",
    "canonical",
    "caption",
    "read_icons",
    "render_icons",
    "sampling_weights",
    "with_article",
]
