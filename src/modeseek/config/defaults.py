"""Default settings of a run that depend on its method, generator and prior: the one place that holds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, get_args

from modeseek.config.config import Config, read_config
from modeseek.config.generators import FieldConfig, GeneratorConfig, LatentConfig, PixelsConfig, PointsConfig
from modeseek.config.generators3d import MeshConfig, NeRFConfig, VolumeKind
from modeseek.config.guidance import SAMPLER_SCALE, default_guidance
from modeseek.config.lookup import look_up
from modeseek.config.method_choice import follow_auxiliary
from modeseek.config.methods3d import method_3d
from modeseek.config.optimizers import AdamConfig, OptimizerConfig, SGDConfig
from modeseek.config.overrides import override
from modeseek.config.painted import PaintedMeshConfig, TextureKind
from modeseek.config.paths import absolute_paths
from modeseek.config.plain_data import fields_of, required_fields, split_named
from modeseek.config.priors import PipelinePriorConfig, PriorConfig, ProblemName, ToyPriorConfig
from modeseek.config.prompts import clean_prompt
from modeseek.config.registry import ALL_METHODS, OPTIMIZERS, REGISTRY
from modeseek.config.serialization import Plain
from modeseek.config.splats import SplatsConfig
from modeseek.config.vector import DrawingConfig
from modeseek.diffusion.noise_levels import Annealed
from modeseek.diffusion.weighting import alpha_sigma
from modeseek.meanshift.bandwidth import Adaptive, Along
from modeseek.methods import ASD, ESD, VPSD, VSD, LoRAAuxiliary
from modeseek.methods.base import Method, has_target, own_scale
from modeseek.methods.debiased import Debiased
from modeseek.methods.msd import MSD
from modeseek.methods.sds import SDS
from modeseek.priors.pipeline.bundled_table import BUNDLED_PRIORS, EARLIER_NAME, SCENES, bundled_prior
from modeseek.ramp import Until

DEFAULT_PRIOR = SCENES.name  # of the commands for text prompts
NAMED_PRIORS: dict[str, PriorConfig] = {
    **{name: ToyPriorConfig(name) for name in get_args(ProblemName)},
    **{name: PipelinePriorConfig(name) for name in (*BUNDLED_PRIORS, EARLIER_NAME)},
}
_IMAGE_PATH = Along(Annealed(0.98, 0.02))
IMAGE_MSD = MSD(_IMAGE_PATH, weight=alpha_sigma, jitter=Until(0.7))  # noise while the image is decided
LATENT_MSD = MSD(_IMAGE_PATH)  # under SGD with rate 1 mean shift itself
IMAGE_SDS = SDS(times=Annealed(0.98, 0.02))
DRAWING_MSD = MSD(Along(Annealed(0.8, 0.1)), weight=alpha_sigma, jitter=1.0)  # refines; noise to the end keeps details
DRAWING_SDS = SDS(times=Annealed(0.8, 0.1))
_METHODS: dict[str, Method] = {"debiased": Debiased(SDS())}
_IMAGE_METHODS: dict[str, Method] = {"sds": IMAGE_SDS, "debiased": Debiased(IMAGE_SDS)}
_PIPELINE_METHODS: dict[str, Method] = {  # a pipeline's second score is a LoRA of its own network
    "vsd": VSD(auxiliary=LoRAAuxiliary()),
    "esd": ESD(auxiliary=LoRAAuxiliary()),
    "asd": ASD(auxiliary=LoRAAuxiliary()),
    "vpsd": VPSD(auxiliary=LoRAAuxiliary()),
}
_DRAWING_METHODS: dict[str, Method] = {"msd": DRAWING_MSD, "sds": DRAWING_SDS, "debiased": Debiased(DRAWING_SDS)}
_ADAM: dict[type, AdamConfig] = {
    PixelsConfig: AdamConfig(0.03),
    LatentConfig: AdamConfig(0.03),
    FieldConfig: AdamConfig(0.02, fall=0.1),
    MeshConfig: AdamConfig(0.05, fall=0.2),
    SplatsConfig: AdamConfig(0.002, fall=0.2),  # of centres; see `Splats.parameter_groups`
    DrawingConfig: AdamConfig(0.016, fall=0.1),  # half a pixel of 64
}
_REFINING_ADAM = AdamConfig(0.002, fall=0.1)  # of drawings that show an image already; tuned in docs/text_to_svg.md
_SHIFTS: dict[type, int] = {  # half a patch of the bundled priors' encoders; outlines snap to it more than pixels do
    PixelsConfig: 2,
    FieldConfig: 2,
    DrawingConfig: 3,
}
_UNSHIFTED = ("cfd", "fsd", "dsd", "segment-dreamer", "dds", "pds", "cds", "dvrf")  # they keep noise or a source
_INNER_STEPS: dict[type, int] = {PixelsConfig: 4, FieldConfig: 4, NeRFConfig: 2, SplatsConfig: 2, PaintedMeshConfig: 2}
_NERF_ADAM: dict[VolumeKind, AdamConfig] = {
    "dense": AdamConfig(0.25, fall=0.2),
    "triplane": AdamConfig(0.02, fall=0.2),
    "fourier": AdamConfig(0.005, fall=0.2),
    "hash": AdamConfig(0.01, fall=0.2),
}
_TEXTURE_ADAM: dict[TextureKind, AdamConfig] = {
    "field": AdamConfig(0.01, fall=0.2),
    "hash": AdamConfig(0.01, fall=0.2),
    "atlas": AdamConfig(0.15, fall=0.2),
}


def default_method(name: str, prior: PriorConfig, generator: GeneratorConfig) -> Method | None:
    """Method with its default settings for a generator and a prior; None where those of its class apply.

    MSD on images has noise until 70 % of the run, while it is decided what an image shows: without, a clean render of
    what is not yet there is taken as evidence against it. Latents under SGD follow each target and need none.
    """
    own = _PIPELINE_METHODS.get(name) if isinstance(prior, PipelinePriorConfig) else None
    if generator.as_3d is not None:
        return method_3d(name, isinstance(prior, PipelinePriorConfig)) or own
    if own is not None:
        return own
    if isinstance(prior, PipelinePriorConfig) and _refines(generator) and name in _DRAWING_METHODS:
        return _DRAWING_METHODS[name]
    if isinstance(prior, PipelinePriorConfig) and name == "msd":
        return LATENT_MSD if isinstance(generator, LatentConfig) else IMAGE_MSD
    if isinstance(prior, PipelinePriorConfig):
        return _IMAGE_METHODS.get(name)
    bandwidth = prior.bandwidth() if name == "msd" else None
    return _METHODS.get(name) if bandwidth is None else MSD(Adaptive(round(bandwidth, 6)))


def default_adam(generator: GeneratorConfig) -> AdamConfig:
    """Adam with its default learning rate for a generator."""
    if isinstance(generator, NeRFConfig):
        return _NERF_ADAM[generator.kind]
    if isinstance(generator, PaintedMeshConfig):
        return _TEXTURE_ADAM[generator.texture]
    return _REFINING_ADAM if _refines(generator) else _ADAM.get(type(generator), AdamConfig())


def default_optimizer(method: str, generator: GeneratorConfig) -> OptimizerConfig:
    """SGD with learning rate 1 per item for MSD on points and latents, which is then mean shift; else Adam.

    The direction of a step is its mean over items: a point cloud is one, latents are n.
    """
    if method == "msd" and isinstance(generator, PointsConfig | LatentConfig):
        return SGDConfig(float(generator.n) if isinstance(generator, LatentConfig) else 1.0)
    return default_adam(generator)


def optimizer_settings(config: Config, name: str | None, lr: float | None) -> list[str]:
    """Settings of an optimizer and a learning rate that were chosen, KEY=VALUE each.

    Args:
        config: configuration with its default optimizer.
        name: registered name of the optimizer; None keeps it.
        lr: learning rate; None keeps it.

    Raises:
        ValueError: an unknown optimizer.
    """
    kept, _ = split_named(REGISTRY.serialize(config.optimizer))
    chosen = kept if name is None else name
    look_up("optimizer", chosen, OPTIMIZERS)
    settings = [] if chosen == kept else [f"optimizer={chosen}"]
    return settings if lr is None else [*settings, f"optimizer.{chosen}.lr={lr!r}"]


def default_scale(path: str) -> float:
    """Default guidance scale of samples of a pipeline: that of a bundled prior, else 7.5."""
    named = bundled_prior(path)
    return SAMPLER_SCALE if named is None else named.scale


def default_sampler_steps(path: str) -> int:
    """Default number of sampler steps of a pipeline: that of a bundled prior, else 50."""
    named = bundled_prior(path)
    return 50 if named is None else named.steps


def default_shift(prior: PriorConfig, generator: GeneratorConfig, method: str | None = None) -> int:
    """Largest random shift by default, pixels: 2 for images under a bundled prior, where it was measured to help."""
    return _SHIFTS.get(type(generator), 0) if _is_bundled(prior) and method not in _UNSHIFTED else 0


def default_inner_steps(prior: PriorConfig, generator: GeneratorConfig, method: str) -> int:
    """Number of optimizer steps per direction by default: more for images and volumes where it was measured to help."""
    possible = has_target(default_method(method, prior, generator) or ALL_METHODS.get(method))
    return _INNER_STEPS.get(type(generator), 1) if _is_bundled(prior) and possible else 1


def default_image_steps(method: str, generator: GeneratorConfig, inner_steps: int) -> int:
    """Number of steps of an image by default: 100 where it follows each target or is refined, else 400."""
    return (
        100
        if inner_steps > 1 or _refines(generator) or (method == "msd" and isinstance(generator, LatentConfig))
        else 400
    )


def default_shape_steps(inner_steps: int) -> int:
    """Number of steps of a volume by default: 100 where it takes inner steps, else 300."""
    return 100 if inner_steps > 1 else 300


def default_config(
    method: str,
    prior: PriorConfig,
    generator: GeneratorConfig,
    scale: float,
    shift: int | None = None,
    inner_steps: int | None = None,
    given: Method | None = None,
    **settings: Any,
) -> Config:
    """Configuration with the default settings of a method and its optimizer.

    Args:
        method: registered name of the method.
        prior: prior to distill.
        generator: generator to optimise.
        scale: guidance scale, of the method if it guides by itself, else of the prior; 1 is none.
        shift: largest random shift, pixels; None is that of the generator and the prior.
        inner_steps: number of optimizer steps per direction; None is that of the generator and the prior.
        given: the method with its own settings; None makes one with the defaults.
        settings: other settings of the configuration.
    """
    inner_steps = default_inner_steps(prior, generator, method) if inner_steps is None else inner_steps
    default = default_method(method, prior, generator)
    made = default or ALL_METHODS[method]() if given is None else follow_auxiliary(given, default)
    if own_scale(made) is not None:
        made, scale = replace(made, scale=scale), 1.0  # pyright: ignore[reportArgumentType]
    optimizer = default_optimizer(method, generator)
    shift = default_shift(prior, generator, method) if shift is None else shift
    return Config(prior, made, generator, optimizer, scale=scale, shift=shift, inner_steps=inner_steps, **settings)


def configure(plain: Plain, settings: Iterable[str] = (), location: str = "config") -> Config:
    """Configuration from some of its settings, which may be overridden; the others get their defaults.

    Args:
        plain: plain data of a configuration, complete or not; without a prior it is the ring, without a method MSD. The
            prior may be a name alone: ring, emoji.
        settings: overrides, KEY=VALUE each.
        location: name of the data, for messages.

    Raises:
        ValueError: a setting is missing, unknown or of the wrong type; the message names its dotted key.
    """
    if not isinstance(plain, dict) or plain.get("verb", "run") != "run":
        return read_config(plain, location)  # raises, with the reason
    plain = _with_named_prior({"prior": "ring", "method": "msd", **plain})
    for setting in settings:
        plain = override(plain, setting)
    plain = _with_clean_prompts(absolute_paths(_with_named_prior(plain)))
    prior = REGISTRY.deserialize(PriorConfig, plain["prior"], f"{location}.prior")
    prompts, written = plain.get("prompts") or (), "verb" in plain  # a config.yaml: complete, or older than a setting
    if isinstance(prior, PipelinePriorConfig) and not written:
        plain.setdefault(
            "generator", {"field": {"n": max(1, len(prompts))}} if isinstance(prompts, list | tuple) else "field"
        )
    generator = REGISTRY.deserialize(GeneratorConfig, plain.get("generator", "points"), f"{location}.generator")
    name, given = split_named(plain["method"])
    guidance = default_guidance(name, prior).scale if prompts and not written and name in ALL_METHODS else None
    guides = name in ALL_METHODS and own_scale(ALL_METHODS[name]) is not None
    if guidance is not None and not guides:
        plain.setdefault("scale", guidance)
    plain.setdefault("shift", 0 if written else default_shift(prior, generator, name))
    chosen = "inner_steps" in plain
    inner_steps = plain.setdefault("inner_steps", 1 if written else default_inner_steps(prior, generator, name))
    if name in ALL_METHODS:
        settings_of = fields_of(default_method(name, prior, generator))
        if written and given:  # what is missing is newer than the file: it had the default of its class
            settings_of = {key: settings_of[key] for key in required_fields(ALL_METHODS[name]) & settings_of.keys()}
        if guidance is not None and guides:
            settings_of = settings_of | {"scale": guidance}
        plain["method"] = {name: settings_of | given}
        if name == "msd" and "bandwidth" not in plain["method"][name]:
            raise ValueError(
                f"msd needs the final kernel bandwidth for {prior.title}, got none; try --set "
                "method.msd.bandwidth.adaptive.end=H, in units of the data"
            )
        if not chosen and inner_steps > 1:  # debiased: of a method with a target or without
            method = REGISTRY.deserialize(Method, plain["method"], f"{location}.method")
            plain["inner_steps"] = inner_steps if has_target(method) else 1
    plain.setdefault("optimizer", REGISTRY.serialize(default_optimizer(name, generator)))
    optimizer, given = split_named(plain["optimizer"])
    if optimizer == "adam":
        plain["optimizer"] = {optimizer: fields_of(default_adam(generator)) | given}
    return read_config(plain, location)


def _refines(generator: GeneratorConfig) -> bool:
    """Whether the optimisation of drawings starts from an image, which it refines."""
    return isinstance(generator, DrawingConfig) and generator.start.finds_image


def _is_bundled(prior: PriorConfig) -> bool:
    """Whether a prior ships with modeseek: settings of images and volumes were measured under these."""
    return isinstance(prior, PipelinePriorConfig) and bundled_prior(prior.path) is not None


def _with_named_prior(plain: dict[str, Plain]) -> dict[str, Plain]:
    """Plain data with the settings of a prior in place of its name, `prior: emoji`."""
    name = plain["prior"]
    if isinstance(name, str) and name in NAMED_PRIORS:
        return plain | {"prior": REGISTRY.serialize(NAMED_PRIORS[name])}
    return plain


def _with_clean_prompts(plain: dict[str, Plain]) -> dict[str, Plain]:
    """Plain data whose prompts have spaces for line breaks and tabs."""
    prompts = plain.get("prompts")
    if isinstance(prompts, list) and all(isinstance(prompt, str) for prompt in prompts):
        plain = plain | {"prompts": list(map(clean_prompt, prompts))}
    return plain | {
        key: clean_prompt(text) for key in ("negative", "source") if isinstance(text := plain.get(key), str)
    }
