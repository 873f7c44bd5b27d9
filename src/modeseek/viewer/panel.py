"""The page's controls beside the picture."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from modeseek.generators.camera import Cameras
from modeseek.viewer.render_frame import RenderStyle
from modeseek.viewer.section import DensitySection
from modeseek.viewer.ui_state import UIStateStore

SIZES = ("128", "256", "384", "512")
_SIDES = {"Front": (0.0, 0.0), "Right": (90.0, 0.0), "Back": (180.0, 0.0), "Left": (-90.0, 0.0), "Top": (0.0, 89.0)}


class Panel:
    """All controls, in viser's panel; they write wishes, and `tell` and its like write what is so.

    Args:
        server: viser's.
        ui_state: for wishes.
        title: of the run.
        solid: whether it is a thing to turn.
        reach: how far a section may lie from the middle, world units; 0: there is no density to cut.
    """

    def __init__(self, server: Any, ui_state: UIStateStore, title: str, solid: bool, reach: float) -> None:
        self._gui, self._ui_state = server.gui, ui_state
        self._steps: list[int] = []
        self._gui.set_panel_label("modeseek")
        self._gui.add_html(_text(title, "font-weight:600"))
        self._state = self._gui.add_html("")
        with self._gui.add_folder("Time"):
            self._moments(solid)
        if solid:
            with self._gui.add_folder("Picture"):
                self._picture(server)
            if reach:
                with self._gui.add_folder("Density across a plane"):
                    self._section(reach)
        with self._gui.add_folder("Metrics"):
            self._name = self._gui.add_dropdown("Curve", ("none yet",))
            self._name.on_update(lambda event: self._heard(event, curve=event.target.value))
            empty = np.zeros(0)
            self._plot = self._gui.add_uplot(
                (empty, empty),
                ({"label": "step"}, {"label": "", "stroke": "#1971c2", "width": 1.5}),
                scales={"x": {"time": False}, "y": {"auto": True}},
                axes=({}, {"size": 60}),
                legend={"show": False},
                height=170,
            )
            self._latest = self._gui.add_html("")

    def _moments(self, solid: bool) -> None:
        what = "kept checkpoint" if solid else "kept picture"
        self._follow = self._gui.add_checkbox("Follow the newest", True, hint="Off: the one shown stays.")
        self._slider = self._gui.add_slider("Moment", 1, 1, 1, 1, disabled=True, hint=f"Each is a {what}.")
        self._follow.on_update(lambda event: self._heard(event, following=event.target.value))
        self._slider.on_update(self._chosen)

    def _chosen(self, event: Any) -> None:
        if event.client is None or not self._steps:
            return
        place = min(max(int(event.target.value), 1), len(self._steps))
        self._follow.value = False
        self._ui_state.update(following=False, step=self._steps[place - 1])

    def _picture(self, server: Any) -> None:
        self._mode = self._gui.add_dropdown("Shows", ("colour", "depth", "normal", "opacity"))
        self._size = self._gui.add_dropdown("Pixels", SIZES, initial_value="256", hint="At rest, along the short side.")
        axes = self._gui.add_checkbox("Axes", False, hint="x red, y green, z blue; y is up, z to the front.")
        sides = self._gui.add_button_group("RenderStyle from", tuple(_SIDES))
        self._pace = self._gui.add_html("")
        self._mode.on_update(lambda event: self._looked(event))
        self._size.on_update(lambda event: self._heard(event, size=int(event.target.value)))

        @axes.on_update
        def _(event: Any) -> None:
            server.scene.world_axes.visible = event.target.value

        @sides.on_click
        def _(event: Any) -> None:
            if event.client is not None:
                move_camera(event.client.camera, *_SIDES[event.target.value])

    def _section(self, reach: float) -> None:
        self._cut = self._gui.add_checkbox("Show it", False, hint="In viridis, up to the densest point that is seen.")
        self._axis = self._gui.add_dropdown("Across", ("x", "y", "z"), initial_value="z")
        self._place = self._gui.add_slider("At", -reach, reach, reach / 50, 0.0)
        for control in (self._cut, self._axis, self._place):
            control.on_update(lambda event: self._looked(event))

    def _looked(self, event: Any) -> None:
        cut = getattr(self, "_cut", None)
        section = DensitySection(self._axis.value, self._place.value) if cut is not None and cut.value else None
        self._heard(event, look=RenderStyle(self._mode.value, section))

    def _heard(self, event: Any, **changes: Any) -> None:
        if event.client is not None:  # else it is we who moved the control
            self._ui_state.update(**changes)

    def show_steps(self, steps: Sequence[int], shown: int | None) -> None:
        """Which there are, and which is shown."""
        self._steps = list(steps)
        self._slider.max = max(1, len(steps))
        self._slider.disabled = len(steps) < 2
        if shown in self._steps:
            self._slider.value = self._steps.index(shown) + 1

    def show_status(self, lines: Sequence[str], trouble: str) -> None:
        """How the run stands, and what went wrong here, if anything."""
        told = "".join(_text(line, "font-size:0.9em") for line in lines)
        self._state.content = told + (_text(trouble, "font-size:0.9em;color:#c92a2a") if trouble else "")

    def show_frame_rate(self, line: str) -> None:
        """How fast pictures come."""
        self._pace.content = _text(line, "font-size:0.8em;opacity:0.7")

    def show_metrics(self, names: Sequence[str], row: dict[str, Any]) -> None:
        """Which there are, and the latest."""
        if names and tuple(self._name.options) != tuple(names):
            self._name.options = tuple(names)
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td style='text-align:right'>{_number(value)}</td></tr>"
            for name, value in row.items()
        )
        self._latest.content = f"<table style='font-size:0.8em;width:100%;padding:0 0.8em'>{rows}</table>"

    def show_curve(self, name: str, steps: np.ndarray, values: np.ndarray) -> None:
        """One metric over the steps."""
        if self._name.value != name:
            self._name.value = name
        self._plot.data = (steps, values)


def move_camera(camera: Any, azimuth: float, elevation: float) -> None:
    """Moves viser's camera there, around the origin, at the distance that it has."""
    distance = float(np.linalg.norm(camera.position)) or 1.0
    placed = Cameras(*(torch.tensor([value]) for value in (azimuth, elevation, distance, 30.0)))
    camera.position = tuple(placed.frame.position[0].tolist())
    camera.look_at = (0.0, 0.0, 0.0)
    camera.up_direction = (0.0, 1.0, 0.0)


def _text(words: str, style: str) -> str:
    return f"<div style='{style};padding:0 0.8em;overflow-wrap:anywhere'>{html.escape(words)}</div>"


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else html.escape(str(value))
