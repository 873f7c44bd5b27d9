"""Procedural dataset of captioned 3-D scenes with known geometry, colours and cameras."""

from __future__ import annotations

from modeseek.datasets.scenes.caption import CaptionObject, ParsedCaption, are_captions, parse
from modeseek.datasets.scenes.held_out import is_held_out
from modeseek.datasets.scenes.layouts import Layouts
from modeseek.datasets.scenes.scenes import RenderedScenes, Scenes
from modeseek.datasets.scenes.view_phrases import ViewPhrase

__all__ = [
    "Layouts",
    "CaptionObject",
    "ParsedCaption",
    "Scenes",
    "RenderedScenes",
    "ViewPhrase",
    "are_captions",
    "is_held_out",
    "parse",
]
