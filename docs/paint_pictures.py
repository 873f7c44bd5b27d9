"""Image of docs/paint.md: `python docs/paint_pictures.py` paints five meshes, then writes docs/paint.webp.

It prints for each caption in how many of the 16 held-out views of its GLB the scene classifier finds all attributes.

The meshes and runs lie in runs/gallery; a finished run is not made again, an interrupted one is resumed. Four meshes
are the surfaces of captions of scenes, without their colours; the fifth, a mug of a lathe and a ring that stands z up,
is of no scene.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from gallery_runs import GalleryRun
from pictures import GALLERY, make_picture

if TYPE_CHECKING:
    from torch import Tensor

    from modeseek.generators.camera import Cameras
    from modeseek.reports.contact_sheet import ContactSheet

MESHES = GALLERY / "meshes"
CAPTIONS = {
    "car": "an orange car",
    "cone": "a red cone on a blue cube",
    "robot": "a green robot head",
    "duck": "a yellow duck",
}
FOREIGN, FOREIGN_PROMPT = "lathe", "a purple mug"
RESOLUTION, FACES = 96, 6000  # of the meshes of captions
AZIMUTHS, ELEVATION = (0.0, 60.0, 120.0, 180.0, 240.0, 300.0), 20.0  # degrees
SIDE = 176  # pixels


def paint_run(name: str, prompt: str, *options: str) -> GalleryRun:
    """Run that paints runs/gallery/meshes/NAME.stl."""
    return GalleryRun(f"paint-{name}", ("paint", (MESHES / f"{name}.stl").as_posix(), prompt, *options))


RUNS = (
    *(paint_run(name, prompt) for name, prompt in CAPTIONS.items()),
    paint_run(FOREIGN, FOREIGN_PROMPT, "--up", "z"),
)


def write_meshes(folder: Path) -> None:
    """Writes those meshes that are not there."""
    import trimesh

    from modeseek.datasets.scenes.scene_density import SURFACE_LEVEL, scene_density
    from modeseek.datasets.scenes.static_scene import StaticScene
    from modeseek.generators.export_mesh import encode_mesh
    from modeseek.generators.mesh.decimate import decimate
    from modeseek.generators.mesh.extract import extract

    folder.mkdir(parents=True, exist_ok=True)
    for name, prompt in CAPTIONS.items():
        if not (folder / f"{name}.stl").exists():
            density = scene_density(StaticScene.from_caption(prompt))
            mesh = decimate(extract(density, RESOLUTION, SURFACE_LEVEL, 0.0).mesh, FACES).mesh
            (folder / f"{name}.stl").write_bytes(encode_mesh(mesh, "stl", name)[f"{name}.stl"])
    if not (folder / f"{FOREIGN}.stl").exists():
        profile = [(0, 0), (0.8, 0), (0.9, 0.1), (0.9, 2), (0.8, 2), (0.8, 0.2), (0, 0.2)]
        ring = trimesh.creation.torus(0.45, 0.13, major_sections=48, minor_sections=16)
        ring.apply_transform(trimesh.transformations.rotation_matrix(math.pi / 2, (1, 0, 0)))
        ring.apply_translation((1.05, 0, 1.05))
        mug = trimesh.util.concatenate([trimesh.creation.revolve(profile, sections=48), ring])
        mug.export(folder / f"{FOREIGN}.stl")


def render_textured(path: Path, cameras: Cameras, side: int) -> Tensor:
    """Returns views of a textured GLB on white, (cameras, 3, side, side).

    Raises:
        ValueError: the run of the file is not finished.
        OSError: the file cannot be read.
    """
    import torch

    from modeseek.generators.mesh.placement import MeshPlacement
    from modeseek.generators.mesh.read import read_textured
    from modeseek.generators.mesh.render import render_mesh
    from modeseek.rundir.status import read_status

    if read_status(path).state != "finished":
        raise ValueError(f"{path} must be a finished run, got none; try python docs/paint_pictures.py")
    model = read_textured(path / "exports" / "textured.glb")
    vertices = MeshPlacement.of(model.mesh.vertices, 0.8).place(model.mesh.vertices)
    with torch.no_grad():
        maps = render_mesh(vertices, model.mesh.faces, model.colours, None, cameras, side, 2, False)
    return (maps.colour + 1 - maps.opacity).clamp(0, 1)


def draw(folder: Path) -> ContactSheet:
    """Returns six views of each textured mesh, one mesh a row, as its GLB has it."""
    import torch

    from modeseek.generators.camera import Cameras
    from modeseek.reports.contact_sheet import ContactSheet, Tile

    count = len(AZIMUTHS)
    cameras = Cameras(
        torch.tensor(AZIMUTHS), torch.full((count,), ELEVATION), torch.full((count,), 2.5), torch.full((count,), 40.0)
    )
    cells = [[[Tile(image)] for image in render_textured(folder / run.name, cameras, SIDE)] for run in RUNS]
    labels = [run.arguments[2] for run in RUNS]
    return ContactSheet(cells, labels=labels, side=SIDE, font=16, label_width=130, gap=4)


def print_scores(folder: Path) -> None:
    """Prints the number of held-out views in which the scene classifier finds all attributes of the caption."""
    from modeseek.metrics.scenes.caption_accuracy import score_captions
    from modeseek.metrics.scenes.classifier import SceneClassifier
    from modeseek.metrics.scenes.shape_metrics import held_out_cameras

    classifier, cameras = SceneClassifier.packaged(), held_out_cameras()
    for run, caption in zip(RUNS, CAPTIONS.values(), strict=False):
        images = render_textured(folder / run.name, cameras, 64)
        right = score_captions(classifier, images, [caption] * len(images)).by_attribute["all"]
        print(f"{caption}: all attributes right in {int(right.sum())} of {len(right)} views")


def main() -> None:
    """Makes the meshes, the runs and the image."""
    write_meshes(MESHES)
    make_picture("paint", RUNS, draw)
    print_scores(GALLERY)


if __name__ == "__main__":
    main()
