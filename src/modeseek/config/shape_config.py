"""Configuration of a text-to-3D run from a few options: that of `modeseek shape` and of `modeseek.shape`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from modeseek.config.camera_prompts import CameraPromptsConfig
from modeseek.config.config import Config, Tracker
from modeseek.config.defaults import (
    DEFAULT_PRIOR,
    configure,
    default_adam,
    default_config,
    default_inner_steps,
    default_shape_steps,
    optimizer_settings,
)
from modeseek.config.generators import Generator3DConfig
from modeseek.config.generators3d import MeshConfig, NeRFConfig, VolumeKind
from modeseek.config.guidance import chosen_scale
from modeseek.config.lookup import look_up
from modeseek.config.method_choice import choose_method
from modeseek.config.photographs import parse_photographs
from modeseek.config.pipeline_options import prior_config
from modeseek.config.priors import PipelinePriorConfig, PriorConfig, RenderedPriorConfig
from modeseek.config.prompts import clean_prompt, name_of
from modeseek.config.splats import SplatsConfig
from modeseek.device import AUTO
from modeseek.io.video import Film
from modeseek.methods.base import Method
from modeseek.priors.pipeline.bundled_table import bundled_prior
from modeseek.priors.pipeline.text_encoding import LongPrompts

_OF_FIRST_STAGE = ("generator.nerf.", "optimizer", "regularizers")
ShapeKind = Literal["nerf", "splats", "dense", "triplane", "fourier", "hash"]
_VOLUMES: tuple[VolumeKind, ...] = get_args(VolumeKind)
RENDERS = "renders"  # name of the exact prior of ground-truth renders


def shape_config(
    prompt: str,
    prior: str | PriorConfig = DEFAULT_PRIOR,
    method: str | Method | None = None,
    volume: VolumeKind | None = None,
    *,
    steps: int | None = None,
    cameras: int | None = None,
    particles: int = 1,
    generator: ShapeKind = "nerf",
    photographs: Sequence[str] = (),
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
    """Returns the configuration that optimises a NeRF for a text prompt.

    Args:
        prompt: text prompt of the 3D shape.
        prior: name of a bundled prior, renders, folder or single file of a diffusers pipeline, or owner/name on the
            hub; name or import path of another package's prior; or the configuration of a prior that takes text.
        method: registered name or import path of the method, or the method with its own settings; None: msd.
        volume: representation of density and colour; None: dense.
        steps: number of optimisation steps; None: 100 with inner steps, else 300.
        cameras: number of views per step, of each particle, >= 1; None: 4.
        particles: number of shapes that are optimised together, >= 1, for methods that compare them.
        generator: 3D representation: volume (nerf; or its kind by name: dense, triplane, fourier, hash), or Gaussian
            splats.
        photographs: photographs of the object that the shape matches, FILE=AZIMUTH or FILE=AZIMUTH,ELEVATION each,
            in degrees, or one transforms.json of nerfstudio (`PhotographsConfig`).
        scale: guidance scale, 1 is none; None: default of the method under the prior (`default_guidance`).
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
        optimizer: name of the optimizer; None: sgd for msd on latents, else adam.
        lr: learning rate; None: default of optimizer and generator.
        settings: other settings, KEY=VALUE each, with dotted keys.

    Raises:
        ValueError: an empty prompt, an unknown name or an invalid value; one line.
    """
    return config_of_generator(
        prompt,
        _generator(generator, volume, 4 if cameras is None else cameras, size, particles),
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


def config_of_generator(
    prompt: str,
    generator: Generator3DConfig,
    prior: str | PriorConfig,
    method: str | Method | None,
    *,
    steps: int | None,
    scale: float | None,
    views: Literal["none", "coarse", "fine"] | None,
    perp_neg: bool,
    negative: str,
    source: str,
    seed: int,
    shift: int | None,
    inner_steps: int | None,
    device: str,
    loras: Sequence[str],
    embeddings: Sequence[str],
    long_prompts: LongPrompts,
    film: Film,
    trackers: Sequence[Tracker],
    optimizer: str | None,
    lr: float | None,
    photographs: Sequence[str],
    settings: Iterable[str],
) -> Config:
    """Returns the configuration that optimises a 3D generator for a text prompt; arguments as of `shape_config`.

    Raises:
        ValueError: an empty prompt, an unknown name or an invalid value; one line.
    """
    if not prompt.strip():
        raise ValueError(f'the prompt must not be empty, got {prompt!r}; try "a red cone on a blue cube"')
    method_name, given = choose_method(method)
    exact = prior == RENDERS
    source_prior = (
        RenderedPriorConfig(clean_prompt(prompt))
        if exact
        else prior_config(prior, None, loras, embeddings, long_prompts)
    )
    named = bundled_prior(source_prior.path) if isinstance(source_prior, PipelinePriorConfig) else None
    views = views or ("coarse" if named is None else named.views)
    inner_steps = default_inner_steps(source_prior, generator, method_name) if inner_steps is None else inner_steps
    config = default_config(
        method_name,
        source_prior,
        generator,
        chosen_scale(method_name, given, source_prior, scale),
        given=given,
        name=name_of(prompt),
        prompts=() if exact else (clean_prompt(prompt),),
        views=CameraPromptsConfig(views, perp_neg),
        negative=clean_prompt(negative),
        source=clean_prompt(source),
        steps=default_shape_steps(inner_steps) if steps is None else steps,
        seed=seed,
        shift=shift,
        inner_steps=inner_steps,
        device=device,
        film=film,
        trackers=tuple(trackers),
        photographs=parse_photographs(photographs),
    )
    config = configure(config.to_dict(), settings)
    return configure(config.to_dict(), optimizer_settings(config, optimizer, lr))


def _generator(
    kind: str, volume: VolumeKind | None, views: int, size: int | None, particles: int
) -> NeRFConfig | SplatsConfig:
    """Configuration of a 3D representation; a volume's kind belongs to a NeRF.

    Raises:
        ValueError: an unknown name, or two different volumes.
    """
    look_up("generator", kind, dict.fromkeys(("nerf", "splats", *_VOLUMES)))
    if kind == "splats" and volume is not None:
        raise ValueError(f"volume must be left out for splats, got {volume}; try --generator nerf")
    if kind in _VOLUMES and volume not in (None, kind):
        raise ValueError(f"generator must be nerf or {volume}, got {kind} and volume {volume}; leave one out")
    if kind == "splats":
        return SplatsConfig(views=views, size=size, particles=particles)
    chosen: VolumeKind = kind if kind in _VOLUMES else volume or "dense"
    return NeRFConfig(chosen, views, size, particles=particles)


def refined_config(
    config: Config, mesh: Path, steps: int, inner_steps: int | None = None, settings: Iterable[str] = ()
) -> Config:
    """Returns the configuration of the second stage, which optimises the vertex colours of the first stage's mesh.

    Args:
        config: configuration of the first stage, of `shape_config`.
        mesh: mesh of the first stage, a PLY file.
        steps: number of optimisation steps, >= 1.
        inner_steps: number of optimizer steps per direction; None: default of generator and prior.
        settings: other settings of the first stage, KEY=VALUE each; those of its volume, its optimizer and its
            regularizers are left out.

    Raises:
        ValueError: the first stage has no NeRF, or several.
    """
    nerf = config.generator
    if not isinstance(nerf, NeRFConfig):
        raise ValueError(f"the second stage refines the mesh of a nerf, got a first stage with {config.generator}")
    if nerf.particles > 1:
        raise ValueError(f"the second stage refines one mesh, got {nerf.particles} particles; try particles=1")
    surface = MeshConfig(mesh, nerf.views, nerf.size)
    if inner_steps is None:
        inner_steps = default_inner_steps(config.prior, surface, config.method_name)
    refined = replace(
        config,
        generator=surface,
        optimizer=default_adam(surface),
        regularizers=(),
        steps=steps,
        inner_steps=inner_steps,
    )
    return configure(refined.to_dict(), [text for text in settings if not text.startswith(_OF_FIRST_STAGE)])
