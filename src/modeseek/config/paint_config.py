"""Configuration of a run that paints a given mesh: that of `modeseek paint` and of `modeseek.paint`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from modeseek.config.config import Config, Tracker
from modeseek.config.defaults import DEFAULT_PRIOR
from modeseek.config.painted import PaintedMeshConfig, TextureKind
from modeseek.config.priors import PriorConfig
from modeseek.config.shape_config import config_of_generator
from modeseek.device import AUTO
from modeseek.generators.background import BackgroundKind
from modeseek.generators.mesh.given import check_suffix
from modeseek.generators.mesh.placement import UpAxis
from modeseek.io.paths import absolute_path
from modeseek.io.video import Film
from modeseek.methods.base import Method
from modeseek.priors.pipeline.text_encoding import LongPrompts


def paint_config(
    mesh: str | os.PathLike[str],
    prompt: str,
    prior: str | PriorConfig = DEFAULT_PRIOR,
    method: str | Method | None = None,
    texture: TextureKind = "field",
    *,
    up: UpAxis = "y",
    faces: int | None = None,
    steps: int | None = None,
    cameras: int | None = None,
    particles: int = 1,
    photographs: Sequence[str] = (),
    background: BackgroundKind = "constant",
    scale: float | None = None,
    views: Literal["none", "coarse", "fine"] | None = None,
    perp_neg: bool = False,
    negative: str = "",
    source: str = "",
    seed: int = 0,
    shift: int | None = None,
    inner_steps: int | None = None,
    size: int | None = None,
    device: str = AUTO,
    loras: Sequence[str] = (),
    embeddings: Sequence[str] = (),
    long_prompts: LongPrompts = "cut",
    film: Film = "auto",
    trackers: Sequence[Tracker] = (),
    optimizer: str | None = None,
    lr: float | None = None,
    settings: Iterable[str] = (),
) -> Config:
    """Returns the configuration that optimises the texture of a mesh for a text prompt.

    Args:
        mesh: .obj, .ply, .glb or .stl file.
        prompt: text prompt of the painted object.
        prior: name of a bundled prior, renders, folder or single file of a diffusers pipeline, or owner/name on the
            hub; name or import path of another package's prior; or the configuration of a prior that takes text.
        method: registered name or import path of the method, or the method with its own settings; None: msd.
        texture: representation of the texture: field, hash or atlas.
        up: axis of the file that points up: y, or z with the front face along -y.
        faces: number of faces to decimate the mesh to; None keeps all.
        steps: number of optimisation steps; None: 100 with inner steps, else 300.
        cameras: number of views per step, of each particle, >= 1; None: 4.
        particles: number of textures that are optimised together, >= 1, for methods that compare them.
        photographs: photographs of the object that the texture matches, FILE=AZIMUTH or FILE=AZIMUTH,ELEVATION each,
            in degrees, or one transforms.json of nerfstudio (`PhotographsConfig`).
        background: constant (white), random (one colour per item) or learned.
        scale: guidance scale, 1 is none; None: default of the method under the prior.
        views: view-dependent prompts; None: the most detailed that the prior knows, coarse for other pipelines.
        perp_neg: whether to apply Perp-Neg to the view-dependent prompts.
        negative: negative prompt.
        source: prompt of what is there before the run, for dds, pds, cds, dvrf and sds-bridge.
        seed: random seed.
        shift: largest random shift of the renders at every step, pixels; None: default of generator and prior.
        inner_steps: number of optimizer steps per direction; None: default of generator and prior.
        size: side of the rendered images, pixels; None: input size of the prior.
        device: device of prior and generator; auto is the fastest of this machine.
        loras: LoRA weights, FILE or FILE=SCALE each.
        embeddings: textual inversions, FILE or FILE=TOKEN each.
        long_prompts: encoding of prompts that are longer than the text encoders read.
        film: format of the films: auto (MP4 where PyAV is installed, else GIF), mp4, gif, both or none.
        trackers: experiment trackers that also receive the metrics.
        optimizer: name of the optimizer; None: adam.
        lr: learning rate; None: default of optimizer and texture.
        settings: other settings, KEY=VALUE each, with dotted keys.

    Raises:
        ValueError: a file of another kind, an empty prompt, an unknown name or an invalid value; one line.
        OSError: there is no such file.
    """
    path = absolute_path(Path(mesh))
    check_suffix(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} must be a mesh file, got none; try a .glb, .obj, .ply or .stl file")
    generator = PaintedMeshConfig(
        path,
        texture,
        up=up,
        faces=faces,
        views=4 if cameras is None else cameras,
        size=size,
        background=background,
        particles=particles,
    )
    return config_of_generator(
        prompt,
        generator,
        prior,
        method,
        steps=steps,
        scale=scale,
        views=views,
        perp_neg=perp_neg,
        negative=negative,
        source=source,
        seed=seed,
        shift=shift,
        inner_steps=inner_steps,
        device=device,
        loras=loras,
        embeddings=embeddings,
        long_prompts=long_prompts,
        film=film,
        trackers=trackers,
        optimizer=optimizer,
        lr=lr,
        photographs=photographs,
        settings=settings,
    )
