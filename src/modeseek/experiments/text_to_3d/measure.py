"""Measures of a finished text-to-3D job: metrics of held-out views and turntable, image strips, mesh."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes.static_scene import StaticScene, turntable
from modeseek.experiments.text_to_3d.metrics import METRICS, EvaluatedShape
from modeseek.generators.camera import Cameras
from modeseek.generators.export import encode_ply
from modeseek.generators.generator3d import Generator3D
from modeseek.io.atomic import LineFile, write_atomic
from modeseek.io.images import encode_png, read_images
from modeseek.metrics.scenes.alignment import SAMPLES, RenderFunction, render_function
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.metrics.scenes.shape_metrics import held_out_cameras, measure_shape
from modeseek.reports.metric import evaluate
from modeseek.rundir.run_dir import Run

MEASURES = Path("exports") / "measures.json"
MESH = Path("exports") / "mesh.ply"
HELD_OUT = Path("media") / "held-out.png"
TURNTABLE = Path("media") / "turn.png"
FRAMES = 24  # views of a turntable
_TURNTABLE_SIDE = 96  # side of a turntable frame, pixels
_VIEW_SIDE = 64  # side of a held-out view, pixels
_ELEVATION = 15.0  # elevation of the turntable, degrees


def load_measures(run: Run) -> dict[str, float] | None:
    """Measures of an earlier session, or None where one of their files is missing.

    Raises:
        ValueError: the file is damaged.
    """
    if not all((run.path / name).is_file() for name in (MEASURES, HELD_OUT, TURNTABLE)):
        return None
    path = run.path / MEASURES
    try:
        return {str(name): float(value) for name, value in json.loads(path.read_bytes()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged; remove it and run the command again") from error


def measure(
    stages: Sequence[Run], generator: Generator3D, scene: StaticScene, classifier: SceneClassifier, free_yaw: bool
) -> dict[str, float]:
    """Measures a 3D shape and writes the measures (`exports/measures.json`), two image strips and its mesh.

    `media/held-out.png` shows the 16 held-out views in four rows: render, ground truth (aligned for the comparison),
    and both silhouettes. `media/turn.png` shows 24 turntable views.

    Args:
        stages: runs of the job; the last one receives the measures.
        generator: the optimised shape.
        scene: ground-truth scene.
        classifier: scene classifier.
        free_yaw: whether the alignment may rotate the ground truth about the vertical axis.
    """
    run, statuses = stages[-1], [stage.status for stage in stages]
    status = replace(
        statuses[-1],
        step=sum(each.step for each in statuses),
        calls=sum(each.calls for each in statuses),
        seconds=sum(each.seconds for each in statuses),
    )
    render, cameras = render_function(generator), held_out_cameras()
    found = measure_shape(render, scene, size=_VIEW_SIDE, free_yaw=free_yaw)
    image, opacity = render_views(render, cameras, _VIEW_SIDE)
    around, _ = render_views(render, turntable(FRAMES, _ELEVATION), _TURNTABLE_SIDE)
    shape = EvaluatedShape(scene, classifier, render, image, around, found, write_mesh(run, generator)[0], status)
    alignment = {"scale": found.alignment.scale, "up": found.alignment.lift, "turn": found.alignment.yaw}
    measures = {name: value for name, value in (_values(shape) | alignment).items() if math.isfinite(value)}
    true = found.alignment(scene).render(cameras, _VIEW_SIDE, SAMPLES)
    silhouettes = [(mask > 0.5).float().expand(-1, 3, -1, -1) for mask in (opacity, true.mask)]
    rows = [torch.cat(list(part), -1) for part in (image, true.image, *silhouettes)]
    write_atomic(run.path / HELD_OUT, encode_png(torch.cat(rows, -2)))
    write_atomic(run.path / TURNTABLE, encode_strip(around))
    write_atomic(run.path / MEASURES, json.dumps(measures, indent=2, allow_nan=False) + "\n")
    return measures


def measure_ground_truth(path: Path, scene: StaticScene, classifier: SceneClassifier) -> dict[str, float]:
    """Measures of the ground truth itself; writes its turntable views to `path`, a PNG strip."""

    def render(cameras: Cameras, size: int) -> tuple[Tensor, Tensor]:
        true = scene.render(cameras, size)
        return true.image, true.mask

    image = scene.render(held_out_cameras(), _VIEW_SIDE, SAMPLES).image
    around = scene.render(turntable(FRAMES, _ELEVATION), _TURNTABLE_SIDE).image
    write_atomic(path, encode_strip(around))
    return _values(EvaluatedShape(scene, classifier, render, image, around))


@torch.no_grad()
def render_views(
    render: RenderFunction, cameras: Cameras, size: int
) -> tuple[Float[Tensor, "n 3 s s"], Float[Tensor, "n 1 s s"]]:
    """Renders in [0, 1] and opacities, four cameras at a time."""
    parts = [render(cameras.select(slice(k, k + 4)), size) for k in range(0, len(cameras), 4)]
    image, opacity = (torch.cat(list(views)).float().cpu() for views in zip(*parts, strict=True))
    return image.clamp(0, 1), opacity


def encode_strip(image: Float[Tensor, "n 3 s s"]) -> bytes:
    """PNG bytes of images side by side."""
    return encode_png(torch.cat(list(image), -1))


def read_strip(path: Path) -> Float[Tensor, "n 3 s s"]:
    """Images of a strip of squares, in [0, 1].

    Raises:
        ValueError: the file is no image.
        OSError: it cannot be read.
    """
    image = read_images([path])[0]
    return torch.stack(list(image.split(image.shape[1], -1)))


def _values(shape: EvaluatedShape) -> dict[str, float]:
    return {key: estimate.value for key, estimate in evaluate(METRICS, shape).items()}


def write_mesh(run: Run, generator: Generator3D) -> tuple[bool | None, str]:
    """Writes the mesh (`exports/mesh.ply`); whether it is watertight, and a one-line summary.

    False without a surface; None where scikit-image is missing.
    """
    if find_spec("skimage") is None:
        return None, "scikit-image is missing"
    try:
        mesh, summary = generator.extract_mesh()
    except ValueError as error:  # no surface: a result, not a failure
        log = LineFile(run.path / "log.txt")
        log.append(f"no mesh was written: {error}")
        log.close()
        return False, str(error)
    if find_spec("trimesh") is not None:
        write_atomic(run.path / MESH, encode_ply(mesh))
    return mesh.closed, summary
