"""What one finished thing is worth, seen from cameras that no optimisation used, beside the truth; and keeping that."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes.static_scene import StaticScene, turntable
from modeseek.generators.camera import Cameras
from modeseek.generators.export import encode_ply, encode_pngs
from modeseek.generators.nerf import NeRF
from modeseek.io.atomic import LineFile, write_atomic
from modeseek.metrics.scenes.alignment import SAMPLES, RenderFunction, render_function
from modeseek.metrics.scenes.caption_accuracy import score_captions
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.metrics.scenes.janus import FrontFaces, count_front_faces, has_front_face, classify_front_faces
from modeseek.metrics.scenes.shape_metrics import measure_shape, held_out_cameras
from modeseek.rundir.run_dir import Run
from modeseek.runs.exports3d import extract_mesh

MEASURES = Path("exports") / "measures.json"
HELD_OUT = Path("media") / "held-out.png"
TURN = Path("media") / "turn.png"
FRAMES = 24  # around
_TALL = 96  # pixels a side of a frame
_SIDE = 64  # of held-out pictures
_HEIGHT = 15.0  # degrees, of the turntable


def load_measures(run: Run) -> dict[str, float] | None:
    """What an earlier session measured, or None where something of it is missing.

    Raises:
        ValueError: the file is damaged.
    """
    if not all((run.path / name).is_file() for name in (MEASURES, HELD_OUT, TURN)):
        return None
    path = run.path / MEASURES
    try:
        told = json.loads(path.read_bytes())
        return {str(name): float(value) for name, value in told.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged; remove it and call again") from error


def measure(run: Run, nerf: NeRF, scene: StaticScene, classifier: SceneClassifier, turns: bool) -> dict[str, float]:
    """Measures a thing, and keeps the numbers (`exports/measures.json`), what was seen, and its mesh.

    `media/held-out.png` shows the 16 held-out views in four rows: found, true (moved as it was compared), and both
    silhouettes. `media/turn.png` shows 24 views around.

    Args:
        run: that made it.
        nerf: the thing.
        still: the truth.
        judge: of scenes.
        turns: whether the front may look anywhere.
    """
    look, cameras = render_function(nerf), held_out_cameras()
    found = measure_shape(look, scene, size=_SIDE, free_yaw=turns)
    told = {name: one.value for name, one in found.estimates().items() if name != "colour"}
    told |= {"scale": found.alignment.scale, "up": found.alignment.lift, "turn": found.alignment.yaw}
    told["saturation_error"] = abs(told["saturation"] - told["true_saturation"])
    image, opacity = render_views(look, cameras, _SIDE)
    told |= caption_scores(classifier, image, scene)
    around = render_views(look, turntable(FRAMES, _HEIGHT), _TALL)[0]
    if has_front_face(scene.parsed):
        told |= front_counts(count_front_faces(look, scene, found.alignment), classify_front_faces(classifier, around))
    closed = _mesh(run, nerf)
    if closed is not None:
        told["watertight"] = float(closed)
    status = run.status
    told |= {"calls": float(status.calls), "seconds": status.seconds, "steps": float(status.step)}
    true = found.alignment(scene).render(cameras, _SIDE, SAMPLES)
    silhouettes = [(mask > 0.5).float().expand(-1, 3, -1, -1) for mask in (opacity, true.mask)]
    rows = [torch.cat(list(part), -1) for part in (image, true.image, *silhouettes)]
    write_atomic(run.path / HELD_OUT, encode_pngs(torch.cat(rows, -2)[None])[0])
    write_atomic(run.path / TURN, strip(around))
    finite = {name: value for name, value in told.items() if math.isfinite(value)}
    write_atomic(run.path / MEASURES, json.dumps(finite, indent=2, allow_nan=False) + "\n")
    return finite


def measure_ground_truth(path: Path, scene: StaticScene, classifier: SceneClassifier) -> dict[str, float]:
    """What a perfect thing would get, and its views around as a strip under `path`."""
    shots = scene.render(held_out_cameras(), _SIDE, SAMPLES)
    around = scene.render(turntable(FRAMES, _HEIGHT), _TALL).image
    write_atomic(path, strip(around))
    told = {name: one for name, one in caption_scores(classifier, shots.image, scene).items()}
    if has_front_face(scene.parsed):

        def look(cameras: Cameras, size: int) -> tuple[Tensor, Tensor]:
            true = scene.render(cameras, size)
            return true.image, true.mask

        told |= front_counts(count_front_faces(look, scene), classify_front_faces(classifier, around))
    return told


def front_counts(compared: FrontFaces, judged: FrontFaces) -> dict[str, float]:
    """Both counts of fronts, beside the truth and by the judge, and whether each is one."""
    return {
        "fronts": float(compared.count),
        "one_front": float(compared.count == 1),
        "fronts_judged": float(judged.count),
        "one_front_judged": float(judged.count == 1),
    }


def caption_scores(
    classifier: SceneClassifier, image: Float[Tensor, "n 3 h w"], scene: StaticScene
) -> dict[str, float]:
    """Shares of views that show what the caption says, by the judge."""
    scores = score_captions(classifier, image, [scene.caption] * len(image))
    told = {"right": scores.all, "object": scores.object, "colour": scores.colour}
    if bool(scores.two_objects.any()):
        told["relation"] = scores.relation
    return {name: good.double().mean().item() for name, good in told.items()}


@torch.no_grad()
def render_views(look: RenderFunction, cameras: Cameras, size: int) -> tuple[Float[Tensor, "n 3 s s"], Float[Tensor, "n 1 s s"]]:
    """Pictures in [0, 1] and opacities, a few cameras at a time."""
    parts = [look(cameras.select(slice(k, k + 4)), size) for k in range(0, len(cameras), 4)]
    image, opacity = (torch.cat(list(some)).float().cpu() for some in zip(*parts, strict=True))
    return image.clamp(0, 1), opacity


def strip(image: Float[Tensor, "n 3 s s"]) -> bytes:
    """Pictures side by side, as a PNG."""
    return encode_pngs(torch.cat(list(image), -1)[None])[0]


def frames(path: Path) -> Float[Tensor, "n 3 s s"]:
    """The pictures of a strip of squares.

    Raises:
        ValueError: it is no picture.
        OSError: it cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            pixels = torch.from_numpy(np.asarray(picture.convert("RGB")).copy())
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is no picture any more; remove it and call again") from error
    side = pixels.shape[0]
    return torch.stack(list(pixels.permute(2, 0, 1).float().div(255).split(side, -1)))


def _mesh(run: Run, nerf: NeRF) -> bool | None:
    """Whether its mesh is watertight, which is kept; False where it has no surface; None where nobody can tell."""
    if find_spec("skimage") is None:
        return None
    try:
        mesh, _ = extract_mesh(nerf)
    except ValueError as error:  # nothing in it ends anywhere, which is a result
        log = LineFile(run.path / "log.txt")
        log.append(f"no mesh was written: {error}")
        log.close()
        return False
    if find_spec("trimesh") is not None:
        write_atomic(run.path / "exports" / "mesh.ply", encode_ply(mesh))
    return mesh.closed
