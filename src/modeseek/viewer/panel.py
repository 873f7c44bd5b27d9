"""Control panel of the viewer's page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from modeseek.generators.camera import Cameras
from modeseek.viewer.density_section import DensitySection
from modeseek.viewer.render_frame import RenderStyle
from modeseek.viewer.ui_state import UIStateStore

SIZES = ("128", "256", "384", "512")
_SIDES = {"Front": (0.0, 0.0), "Right": (90.0, 0.0), "Back": (180.0, 0.0), "Left": (-90.0, 0.0), "Top": (0.0, 89.0)}


class Panel:
    """Control panel in viser's GUI: controls write to the UI state, the `show_` methods display the run.

    Args:
        server: viser server.
        ui_state: store that the controls update.
        title: title of the run.
        noun: name of what a step is loaded from.
        in_3d: whether the generator is 3D, so that cameras and modes can be chosen.
        radius: largest distance of a density section from the origin, world units; 0 for no section.
    """

    def __init__(self, server: Any, ui_state: UIStateStore, title: str, noun: str, in_3d: bool, radius: float) -> None:
        self._gui, self._ui_state = server.gui, ui_state
        self._steps: list[int] = []
        self._frame_rate = self._section = None
        self._gui.set_panel_label("modeseek")
        self._gui.add_html(_text(title, "font-weight:600"))
        self._status = self._gui.add_html("")
        with self._gui.add_folder("Step"):
            self._add_step_controls(noun)
        if in_3d:
            with self._gui.add_folder("Rendering"):
                self._add_rendering_controls(server)
            if radius:
                with self._gui.add_folder("Density section"):
                    self._add_section_controls(radius)
        with self._gui.add_folder("Metrics"):
            self._name = self._gui.add_dropdown("Curve", ("none yet",))
            self._name.on_update(lambda event: self._update(event, curve=event.target.value))
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

    def _add_step_controls(self, noun: str) -> None:
        self._follow = self._gui.add_checkbox("Follow latest", True, hint=f"Off: the shown {noun} stays.")
        self._slider = self._gui.add_slider("Index", 1, 1, 1, 1, disabled=True, hint=f"Index of the {noun}.")
        self._follow.on_update(lambda event: self._update(event, following=event.target.value))
        self._slider.on_update(self._on_slider)

    def _on_slider(self, event: Any) -> None:
        if event.client is None or not self._steps:
            return
        index = min(max(int(event.target.value), 1), len(self._steps))
        self._follow.value = False
        self._ui_state.update(following=False, step=self._steps[index - 1])

    def _add_rendering_controls(self, server: Any) -> None:
        self._mode = self._gui.add_dropdown("Mode", ("colour", "depth", "normal", "opacity"))
        self._size = self._gui.add_dropdown("Pixels", SIZES, initial_value="256", hint="At rest, along the short side.")
        axes = self._gui.add_checkbox("Axes", False, hint="x red, y green, z blue; y is up, z to the front.")
        sides = self._gui.add_button_group("View from", tuple(_SIDES))
        self._frame_rate = self._gui.add_html("")
        self._mode.on_update(lambda event: self._update_style(event))
        self._size.on_update(lambda event: self._update(event, size=int(event.target.value)))

        @axes.on_update
        def _(event: Any) -> None:
            server.scene.world_axes.visible = event.target.value

        @sides.on_click
        def _(event: Any) -> None:
            if event.client is not None:
                move_camera(event.client.camera, *_SIDES[event.target.value])

    def _add_section_controls(self, radius: float) -> None:
        self._section = self._gui.add_checkbox("Show section", False, hint="In viridis, from 0 to the largest density.")
        self._axis = self._gui.add_dropdown("Axis", ("x", "y", "z"), initial_value="z", hint="Normal of the plane.")
        self._position = self._gui.add_slider("Position", -radius, radius, radius / 50, 0.0)
        for control in (self._section, self._axis, self._position):
            control.on_update(lambda event: self._update_style(event))

    def _update_style(self, event: Any) -> None:
        shown = self._section is not None and self._section.value
        section = DensitySection(self._axis.value, self._position.value) if shown else None
        self._update(event, style=RenderStyle(self._mode.value, section))

    def _update(self, event: Any, **changes: Any) -> None:
        if event.client is not None:  # else the control was set by the server
            self._ui_state.update(**changes)

    def show_steps(self, steps: Sequence[int], shown: int | None) -> None:
        """Sets the range of the slider, and its position to the displayed step."""
        self._steps = list(steps)
        self._slider.max = max(1, len(steps))
        self._slider.disabled = len(steps) < 2
        if shown in self._steps:
            self._slider.value = self._steps.index(shown) + 1

    def show_status(self, lines: Sequence[str], error: str) -> None:
        """Shows the status of the run, and the last loading error in red if there is one."""
        status = "".join(_text(line, "font-size:0.9em") for line in lines)
        self._status.content = status + (_text(error, "font-size:0.9em;color:#c92a2a") if error else "")

    def show_frame_rate(self, line: str) -> None:
        """Shows resolution and frame rate, if frames are rendered."""
        if self._frame_rate is not None:
            self._frame_rate.content = _text(line, "font-size:0.8em;opacity:0.7")

    def show_metrics(self, names: Sequence[str], row: dict[str, Any]) -> None:
        """Offers the names of the metrics as curves, and lists the latest values."""
        if names and tuple(self._name.options) != tuple(names):
            self._name.options = tuple(names)
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td style='text-align:right'>{_number(value)}</td></tr>"
            for name, value in row.items()
        )
        self._latest.content = f"<table style='font-size:0.8em;width:100%;padding:0 0.8em'>{rows}</table>"

    def show_curve(self, name: str, steps: np.ndarray, values: np.ndarray) -> None:
        """Plots one metric over the steps."""
        if self._name.value != name:
            self._name.value = name
        self._plot.data = (steps, values)


def move_camera(camera: Any, azimuth: float, elevation: float) -> None:
    """Moves viser's camera around the origin to these angles, degrees, at its current distance."""
    distance = float(np.linalg.norm(camera.position)) or 1.0
    target = Cameras(*(torch.tensor([value]) for value in (azimuth, elevation, distance, 30.0)))
    camera.position = tuple(target.frame.position[0].tolist())
    camera.look_at = (0.0, 0.0, 0.0)
    camera.up_direction = (0.0, 1.0, 0.0)


def _text(text: str, style: str) -> str:
    return f"<div style='{style};padding:0 0.8em;overflow-wrap:anywhere'>{html.escape(text)}</div>"


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else html.escape(str(value))
