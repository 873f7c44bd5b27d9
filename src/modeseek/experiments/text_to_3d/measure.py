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
from modeseek.generators.export import ply, pngs
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.nerf import NeRF
from modeseek.io.atomic import Lines, write_whole
from modeseek.metrics.scenes.alignment import SAMPLES, Look, through
from modeseek.metrics.scenes.caption_accuracy import score
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.metrics.scenes.janus import Fronts, count_fronts, has_front, judged_fronts
from modeseek.metrics.scenes.shape_metrics import fit, held_out_cameras
from modeseek.rundir.run_dir import Run
from modeseek.runs.exports3d import mesh_of

MEASURES = Path("exports") / "measures.json"
HELD_OUT = Path("media") / "held-out.png"
TURN = Path("media") / "turn.png"
FRAMES = 24  # around
_TALL = 96  # pixels a side of a frame
_SIDE = 64  # of held-out pictures
_HEIGHT = 15.0  # degrees, of the turntable


def kept(run: Run) -> dict[str, float] | None:
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


def measure(run: Run, nerf: NeRF, still: StaticScene, judge: SceneClassifier, turns: bool) -> dict[str, float]:
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
    look, cameras = through(nerf), held_out_cameras()
    found = fit(look, still, size=_SIDE, turns=turns)
    told = {name: one.value for name, one in found.estimates().items() if name != "colour"}
    told |= {"scale": found.alignment.scale, "up": found.alignment.up, "turn": found.alignment.turn}
    told["saturation_error"] = abs(told["saturation"] - told["true_saturation"])
    image, opacity = seen(look, cameras, _SIDE)
    told |= judged(judge, image, still)
    around = seen(look, turntable(FRAMES, _HEIGHT), _TALL)[0]
    if has_front(still.said):
        told |= fronts_told(count_fronts(look, still, found.alignment), judged_fronts(judge, around))
    closed = _mesh(run, nerf)
    if closed is not None:
        told["watertight"] = float(closed)
    status = run.status
    told |= {"calls": float(status.calls), "seconds": status.seconds, "steps": float(status.step)}
    true = found.alignment(still).render(cameras, _SIDE, SAMPLES)
    silhouettes = [(mask > 0.5).float().expand(-1, 3, -1, -1) for mask in (opacity, true.mask)]
    rows = [torch.cat(list(part), -1) for part in (image, true.image, *silhouettes)]
    write_whole(run.path / HELD_OUT, pngs(torch.cat(rows, -2)[None])[0])
    write_whole(run.path / TURN, strip(around))
    finite = {name: value for name, value in told.items() if math.isfinite(value)}
    write_whole(run.path / MEASURES, json.dumps(finite, indent=2, allow_nan=False) + "\n")
    return finite


def measure_truth(path: Path, still: StaticScene, judge: SceneClassifier) -> dict[str, float]:
    """What a perfect thing would get, and its views around as a strip under `path`."""
    shots = still.render(held_out_cameras(), _SIDE, SAMPLES)
    around = still.render(turntable(FRAMES, _HEIGHT), _TALL).image
    write_whole(path, strip(around))
    told = {name: one for name, one in judged(judge, shots.image, still).items()}
    if has_front(still.said):

        def look(cameras: Cameras, size: int) -> tuple[Tensor, Tensor]:
            true = still.render(cameras, size)
            return true.image, true.mask

        told |= fronts_told(count_fronts(look, still), judged_fronts(judge, around))
    return told


def fronts_told(compared: Fronts, judged: Fronts) -> dict[str, float]:
    """Both counts of fronts, beside the truth and by the judge, and whether each is one."""
    return {
        "fronts": float(compared.count),
        "one_front": float(compared.count == 1),
        "fronts_judged": float(judged.count),
        "one_front_judged": float(judged.count == 1),
    }


def judged(judge: SceneClassifier, image: Float[Tensor, "n 3 h w"], still: StaticScene) -> dict[str, float]:
    """Shares of views that show what the caption says, by the judge."""
    scores = score(judge, image, [still.caption] * len(image))
    told = {"right": scores.all, "object": scores.object, "colour": scores.colour}
    if bool(scores.two.any()):
        told["relation"] = scores.relation
    return {name: good.double().mean().item() for name, good in told.items()}


@torch.no_grad()
def seen(look: Look, cameras: Cameras, size: int) -> tuple[Float[Tensor, "n 3 s s"], Float[Tensor, "n 1 s s"]]:
    """Pictures in [0, 1] and opacities, a few cameras at a time."""
    parts = [look(cameras.only(slice(k, k + 4)), size) for k in range(0, len(cameras), 4)]
    image, opacity = (torch.cat(list(some)).float().cpu() for some in zip(*parts, strict=True))
    return image.clamp(0, 1), opacity


def strip(image: Float[Tensor, "n 3 s s"]) -> bytes:
    """Pictures side by side, as a PNG."""
    return pngs(torch.cat(list(image), -1)[None])[0]


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


def closed(mesh: Mesh) -> bool:
    """Whether every edge has one face on either side, walked in opposite directions: the mesh is watertight."""
    faces = mesh.faces.cpu()
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    n = len(mesh.vertices)
    there, back = edges[:, 0] * n + edges[:, 1], edges[:, 1] * n + edges[:, 0]
    return len(there.unique()) == len(there) and torch.equal(there.sort().values, back.sort().values)


def _mesh(run: Run, nerf: NeRF) -> bool | None:
    """Whether its mesh is watertight, which is kept; False where it has no surface; None where nobody can tell."""
    if find_spec("skimage") is None:
        return None
    try:
        mesh, _ = mesh_of(nerf)
    except ValueError as error:  # nothing in it ends anywhere, which is a result
        log = Lines(run.path / "log.txt")
        log.add(f"no mesh was written: {error}")
        log.close()
        return False
    if find_spec("trimesh") is not None:
        write_whole(run.path / "exports" / "mesh.ply", ply(mesh))
    return closed(mesh)
