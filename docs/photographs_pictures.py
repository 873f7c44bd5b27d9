"""Image and numbers of docs/photographs.md: `python docs/photographs_pictures.py` makes docs/photographs.webp.

Renders of two ground-truth scenes stand for photographs, from one to three known cameras. From them `modeseek shape
--photograph` makes a shape, in runs/gallery; a finished run is not made again, an interrupted one is resumed. Beside it
is the same volume fitted to the photographs alone, without a prior, by as many optimizer steps. Both are compared with
the truth from sixteen held-out cameras.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gallery_runs import GalleryRun
from pictures import GALLERY, make_picture

if TYPE_CHECKING:
    from torch import Tensor

    from modeseek.reports.contact_sheet import ContactSheet
    from modeseek.runs.build import RunObjects

CAPTIONS = {"duck": "a yellow duck", "cone": "a red cone on a blue cube"}
AZIMUTHS = {1: (0,), 2: (30, 210), 3: (0, 120, 240)}
ELEVATION, SIDE = 15, 64
SHOWN = (1, 5, 9, 13)  # of the held-out cameras
FOLDER = GALLERY / "photographs"


def file_of(name: str, azimuth: int) -> Path:
    """Photograph of a scene from an azimuth."""
    return FOLDER / f"{name}-{azimuth}.png"


def photographs_run(name: str, n: int) -> GalleryRun:
    """Run that makes a shape from n photographs of a scene."""
    given = [f"{file_of(name, azimuth)}={azimuth},{ELEVATION}" for azimuth in AZIMUTHS[n]]
    more = ("--set", "photographs.distance=3.5", "--film", "none")
    return GalleryRun(f"photographs-{name}-{n}", ("shape", CAPTIONS[name], "--photograph", *given, *more))


RUNS = {(name, n): photographs_run(name, n) for name in CAPTIONS for n in AZIMUTHS}


def take_photographs() -> None:
    """Renders the photographs of the scenes.

    Raises:
        OSError: a file cannot be written.
    """
    import torch

    from modeseek.datasets.scenes.static_scene import DISTANCE, FOV, StaticScene
    from modeseek.generators.camera import Cameras
    from modeseek.io.atomic import write_atomic
    from modeseek.io.images import encode_png

    azimuths = sorted({azimuth for group in AZIMUTHS.values() for azimuth in group})
    ones = torch.ones(len(azimuths))
    cameras = Cameras(torch.tensor(azimuths).float(), ELEVATION * ones, DISTANCE * ones, FOV * ones)
    for name, caption in CAPTIONS.items():
        for azimuth, image in zip(azimuths, StaticScene.from_caption(caption).render(cameras, SIDE).image, strict=True):
            write_atomic(file_of(name, azimuth), encode_png(image.clamp(0, 1)), parents=True)


def fit_alone(objects: RunObjects) -> None:
    """Fits the volume of a run to its photographs without a prior, by Adam at the run's rates, in as many steps."""
    import torch

    from modeseek.config.optimizers import set_rate
    from modeseek.generators.base import advance, render

    assert objects.photographs is not None
    views, config, nerf = objects.photographs.views, objects.config, objects.generator
    view = views.view(torch.arange(len(views.names)))
    steps = config.steps * config.inner_steps
    for index in range(steps):
        advance(nerf, index / (steps - 1))
        set_rate(objects.optimizer, config.optimizer.rate(index / (steps - 1)))
        objects.optimizer.zero_grad()
        residual = render(nerf, view).image - views.images
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
        for n in AZIMUTHS:
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
