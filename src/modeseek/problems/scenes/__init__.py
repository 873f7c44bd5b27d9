"""A procedural world of captioned scenes, with its geometry, colours and cameras known."""

from __future__ import annotations

from modeseek.problems.scenes.caption import Object, Said, parse
from modeseek.problems.scenes.held_out import held_out
from modeseek.problems.scenes.layouts import Layouts
from modeseek.problems.scenes.scenes import Scenes, Shots
from modeseek.problems.scenes.view import View

__all__ = ["Layouts", "Object", "Said", "Scenes", "Shots", "View", "held_out", "parse"]
