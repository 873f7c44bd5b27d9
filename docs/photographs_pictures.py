"""Image and numbers of docs/photographs.md: `python docs/photographs_pictures.py` makes docs/photographs.webp.

Renders of two ground-truth scenes stand for photographs, from one to three known cameras and as captures of 6 and 24
with a transforms.json. From them `modeseek shape --photograph` makes a shape, in runs/gallery; a finished run is not
made again, an interrupted one is resumed. Beside it is the same volume fitted to the photographs alone, without a
prior, by as many optimizer steps. Both are compared with the truth from sixteen held-out cameras.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gallery_runs import GalleryRun
from pictures import GALLERY, make_picture

if TYPE_CHECKING:
    from torch import Tensor

    from modeseek.generators.camera import Cameras
    from modeseek.reports.contact_sheet import ContactSheet
    from modeseek.runs.build import RunObjects

CAPTIONS = {"duck": "a yellow duck", "cone": "a red cone on a blue cube"}
AZIMUTHS = {1: (0,), 2: (30, 210), 3: (0, 120, 240)}
CAPTURES = (6, 24)  # photographs of a capture
ELEVATION, SIDE = 15, 64
METRES, AWAY = 0.15, (1.0, 2.0, 0.5)  # a unit of the shape in the world of a capture, and where the object stands there
SHOWN = (1, 5, 9, 13)  # of the held-out cameras
FOLDER = GALLERY / "photographs"


def file_of(name: str, azimuth: int) -> Path:
    """Photograph of a scene from an azimuth."""
    return FOLDER / f"{name}-{azimuth}.png"


def capture_file(name: str, n: int) -> Path:
    """transforms.json of a capture of a scene."""
    return FOLDER / f"{name}-capture-{n}" / "transforms.json"


def photographs_run(name: str, n: int) -> GalleryRun:
    """Run that makes a shape from n photographs of a scene."""
    if n in CAPTURES:
        given, more = [str(capture_file(name, n))], ("--set", f"photographs.capture.scale={1 / METRES:g}")
    else:
        given = [f"{file_of(name, azimuth)}={azimuth},{ELEVATION}" for azimuth in AZIMUTHS[n]]
        more = ("--set", "photographs.distance=3.5")
    arguments = ("shape", CAPTIONS[name], "--photograph", *given, *more, "--film", "none")
    return GalleryRun(f"photographs-{name}-{n}", arguments)


RUNS = {(name, n): photographs_run(name, n) for name in CAPTIONS for n in (*AZIMUTHS, *CAPTURES)}


def take_photographs() -> None:
    """Renders the photographs of the scenes, single ones and captures.

    Raises:
        OSError: a file cannot be written.
    """
    import torch

    from modeseek.io.atomic import write_atomic
    from modeseek.io.images import encode_png

    azimuths = sorted({azimuth for group in AZIMUTHS.values() for azimuth in group})
    for name, caption in CAPTIONS.items():
        level = torch.full((len(azimuths),), ELEVATION)
        images, _ = render_scene(caption, torch.tensor(azimuths).float(), level.float())
        for azimuth, image in zip(azimuths, images, strict=True):
            write_atomic(file_of(name, azimuth), encode_png(image), parents=True)
        for n in CAPTURES:
            index, folder = torch.arange(n), capture_file(name, n).parent
            elevation = torch.asin(-0.2 + (2 * index + 1) / (2 * n)).rad2deg()  # a spiral, equal areas between turns
            images, cameras = render_scene(caption, 137.508 * index, elevation)
            for k, image in enumerate(images):
                write_atomic(folder / f"{k:02}.png", encode_png(image), parents=True)
            write_atomic(folder / "transforms.json", json.dumps(transforms(cameras), indent=1))


def render_scene(caption: str, azimuth: Tensor, elevation: Tensor) -> tuple[Tensor, Cameras]:
    """Renders of a scene, and their cameras."""
    import torch

    from modeseek.datasets.scenes.static_scene import DISTANCE, FOV, StaticScene
    from modeseek.generators.camera import Cameras

    ones = torch.ones(len(azimuth))
    cameras = Cameras(azimuth, elevation, DISTANCE * ones, FOV * ones)
    return StaticScene.from_caption(caption).render(cameras, SIDE).image.clamp(0, 1), cameras


def transforms(cameras: Cameras) -> dict[str, object]:
    """Table of a transforms.json: a world with z up and the object somewhere in it, in metres."""
    import torch

    up = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    position, right, above, forward = (part @ up.T for part in cameras.frame)
    columns = torch.stack([right, above, -forward, METRES * position + torch.tensor(AWAY)], -1)
    frames = [{"file_path": f"{k:02}.png", "transform_matrix": pose.tolist()} for k, pose in enumerate(columns)]
    return {"camera_angle_x": math.radians(cameras.fov[0].item()), "w": SIDE, "h": SIDE, "frames": frames}


def fit_alone(objects: RunObjects) -> None:
    """Fits the volume of a run to its photographs without a prior, by Adam at the run's rates, in as many steps."""
    from modeseek.config.optimizers import set_rate
    from modeseek.generators.base import advance, render

    assert objects.photographs is not None
    views, config, nerf = objects.photographs.views, objects.config, objects.generator
    penalty = objects.photographs.penalty(config.method, objects.prior.schedule)
    steps = config.steps * config.inner_steps
    for index in range(steps):
        advance(nerf, index / (steps - 1))
        set_rate(objects.optimizer, config.optimizer.rate(index / (steps - 1)))
        objects.optimizer.zero_grad()
        rows = penalty.rows(index / (steps - 1))
        residual = views.seen[rows] * (render(nerf, views.view(rows)).image - views.images[rows])
        (residual.square().sum() / len(residual)).backward()
        objects.optimizer.step()


def draw(folder: Path) -> ContactSheet:
    """Prints the table of the page and returns the held-out views: the truth, without and with the prior.

    Raises:
        ValueError: a run is not finished.
        OSError: a file cannot be read.
    """
    from gallery import check_run

    import modeseek as ms
    from modeseek.datasets.scenes.static_scene import StaticScene
    from modeseek.experiments.text_to_3d.measure import render_views
    from modeseek.metrics.restoration import psnr, ssim
    from modeseek.metrics.scenes.alignment import render_function
    from modeseek.metrics.scenes.shape_metrics import held_out_cameras
    from modeseek.reports.contact_sheet import ContactSheet, Tile
    from modeseek.runs.build import build
    from modeseek.runs.trained import load_trained

    rows: dict[str, list[Tensor]] = {}
    for name, caption in CAPTIONS.items():
        truth = StaticScene.from_caption(caption).render(held_out_cameras(), SIDE).image.clamp(0, 1)
        rows.setdefault("Truth", []).extend(truth[k] for k in SHOWN)
        for n in (*AZIMUTHS, *CAPTURES):
            path = check_run(folder / RUNS[name, n].name, RUNS[name, n])
            objects = build(ms.Run.load(path).config)
            fit_alone(objects)
            found = {"alone": objects.generator, "and the prior": load_trained(ms.Run.load(path), "cpu").generator}
            for label, nerf in found.items():
                images, _ = render_views(render_function(nerf), held_out_cameras(), SIDE)
                scores = f"{psnr(images, truth).mean():.1f} dB, SSIM {ssim(images, truth).mean():.3f}"
                print(f"{caption}, {n} photographs {label}: {scores}", flush=True)
                rows.setdefault(f"{n} {label}", []).extend(images[k] for k in SHOWN)
    cells = [[[Tile(image)] for image in images] for images in rows.values()]
    return ContactSheet(cells, labels=tuple(rows), side=2 * SIDE, label_width=170)


def main() -> None:
    """Takes the photographs, makes the runs, the table and the image."""
    try:
        take_photographs()
    except OSError as error:
        sys.exit(f"photographs_pictures: {error}")
    make_picture("photographs", tuple(RUNS.values()), draw)


if __name__ == "__main__":
    main()
