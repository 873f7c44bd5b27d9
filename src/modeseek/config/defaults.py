"""Default settings of a run that depend on its method, generator and prior: the one place that holds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, get_args

from modeseek.config.config import Config, read_config
from modeseek.config.generators import FieldConfig, GeneratorConfig, LatentConfig, PixelsConfig, PointsConfig
from modeseek.config.generators3d import MeshConfig, NeRFConfig, VolumeKind
from modeseek.config.optimizers import AdamConfig, OptimizerConfig, SGDConfig
from modeseek.config.overrides import override
from modeseek.config.priors import MIN_LATENT_BANDWIDTH, PipelinePriorConfig, PriorConfig, ProblemName, ToyPriorConfig
from modeseek.config.registry import REGISTRY
from modeseek.config.serialization import Plain
from modeseek.diffusion.noise_levels import Annealed
from modeseek.meanshift.bandwidth import Adaptive, Geometric
from modeseek.methods import METHODS
from modeseek.methods.base import Method
from modeseek.methods.debiased import Debiased
from modeseek.methods.msd import MSD
from modeseek.methods.sds import SDS
from modeseek.priors.pipeline.bundled_table import BUNDLED_PRIORS, EARLIER_NAME, SCENES, bundled_prior
from modeseek.ramp import Fading

DEFAULT_PRIOR = SCENES.name  # of the commands for text prompts
NAMED_PRIORS: dict[str, PriorConfig] = {
    **{name: ToyPriorConfig(name) for name in get_args(ProblemName)},
    **{name: PipelinePriorConfig(name) for name in (*BUNDLED_PRIORS, EARLIER_NAME)},
}
IMAGE_MSD = MSD(Geometric(8.0, MIN_LATENT_BANDWIDTH, hold=0.15), jitter=Fading())
IMAGE_SDS = SDS(times=Annealed(0.98, 0.02))
MSD_3D = MSD(Geometric(10.0, 0.5, hold=0.15), jitter=Fading())
SDS_3D = SDS(times=Annealed(0.98, 0.1))
_METHODS: dict[str, Method] = {"debiased": Debiased(SDS())}
_IMAGE_METHODS: dict[str, Method] = {"msd": IMAGE_MSD, "sds": IMAGE_SDS, "debiased": Debiased(IMAGE_SDS)}
_METHODS_3D: dict[str, Method] = {"msd": MSD_3D, "sds": SDS_3D, "debiased": Debiased(SDS_3D)}
_ADAM: dict[type, AdamConfig] = {
    PixelsConfig: AdamConfig(0.03),
    LatentConfig: AdamConfig(0.03),
    FieldConfig: AdamConfig(0.01),
    MeshConfig: AdamConfig(0.05, fall=0.2),
}
_SHIFTS: dict[type, int] = {PixelsConfig: 2, FieldConfig: 2}  # half a patch of the bundled priors' encoders
_UNSHIFTED = ("cfd", "fsd", "dsd", "dds", "pds")  # methods that keep noise or a source from step to step
_INNER_STEPS: dict[type, int] = {}
_HOLDING = ("msd", "sds", "sdi", "ism", "vsd")  # methods whose directions have a target in z
_NERF_ADAM: dict[VolumeKind, AdamConfig] = {
    "dense": AdamConfig(0.25, fall=0.2),
    "triplane": AdamConfig(0.02, fall=0.2),
    "fourier": AdamConfig(0.005, fall=0.2),
    "hash": AdamConfig(0.01, fall=0.2),
}


def default_method(name: str, prior: PriorConfig, generator: GeneratorConfig) -> Method | None:
    """Method with its default settings for a generator and a prior; None where those of its class apply."""
    if generator.as_3d is not None:
        return _METHODS_3D.get(name)
    if isinstance(prior, PipelinePriorConfig):
        return _IMAGE_METHODS.get(name)
    bandwidth = prior.bandwidth() if name == "msd" else None
    return _METHODS.get(name) if bandwidth is None else MSD(Adaptive(round(bandwidth, 6)))


def default_adam(generator: GeneratorConfig) -> AdamConfig:
    """Adam with its default learning rate for a generator."""
    if isinstance(generator, NeRFConfig):
        return _NERF_ADAM[generator.kind]
    return _ADAM.get(type(generator), AdamConfig())


def default_optimizer(method: str, generator: GeneratorConfig) -> OptimizerConfig:
    """SGD with learning rate 1 for MSD on points, which is then mean shift; else Adam."""
    return SGDConfig() if method == "msd" and isinstance(generator, PointsConfig) else default_adam(generator)


def default_scale(path: str) -> float:
    """Default guidance scale of a pipeline: that of a bundled prior, else 7.5."""
    named = bundled_prior(path)
    return 7.5 if named is None else named.scale


def default_sampler_steps(path: str) -> int:
    """Default number of sampler steps of a pipeline: that of a bundled prior, else 50."""
    named = bundled_prior(path)
    return 50 if named is None else named.steps


def default_shift(prior: PriorConfig, generator: GeneratorConfig, method: str | None = None) -> int:
    """Largest random shift by default, pixels: 2 for images under a bundled prior, where it was measured to help."""
    measured = isinstance(prior, PipelinePriorConfig) and bundled_prior(prior.path) is not None
    return _SHIFTS.get(type(generator), 0) if measured and method not in _UNSHIFTED else 0


def default_inner_steps(prior: PriorConfig, generator: GeneratorConfig, method: str) -> int:
    """Number of optimizer steps per direction by default: more for images where it was measured to help."""
    measured = isinstance(prior, PipelinePriorConfig) and bundled_prior(prior.path) is not None
    return _INNER_STEPS.get(type(generator), 1) if measured and method in _HOLDING else 1


def default_config(
    method: str,
    prior: PriorConfig,
    generator: GeneratorConfig,
    scale: float,
    shift: int | None = None,
    inner_steps: int | None = None,
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
        settings: other settings of the configuration.
    """
    made = default_method(method, prior, generator) or METHODS[method]()
    if made.guides:
        made = replace(made, scale=scale)  # pyright: ignore[reportArgumentType]
    optimizer = default_optimizer(method, generator)
    shift = default_shift(prior, generator, method) if shift is None else shift
    inner_steps = default_inner_steps(prior, generator, method) if inner_steps is None else inner_steps
    scale = 1.0 if made.guides else scale
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
    plain = _with_named_prior(plain)
    prior = REGISTRY.deserialize(PriorConfig, plain["prior"], f"{location}.prior")
    generator = REGISTRY.deserialize(GeneratorConfig, plain.get("generator", "points"), f"{location}.generator")
    name, given = _split(plain["method"])
    if name in METHODS:
        plain["method"] = {name: _fields(default_method(name, prior, generator)) | given}
        if name == "msd" and "bandwidth" not in plain["method"][name]:
            raise ValueError(
                f"msd needs the final kernel bandwidth for {prior.title}, got none; try --set "
                "method.msd.bandwidth.adaptive.end=H, in units of the data"
            )
    written = "verb" in plain  # a config.yaml: complete, or older than the setting
    plain.setdefault("shift", 0 if written else default_shift(prior, generator, name))
    plain.setdefault("inner_steps", 1 if written else default_inner_steps(prior, generator, name))
    plain.setdefault("optimizer", REGISTRY.serialize(default_optimizer(name, generator)))
    optimizer, given = _split(plain["optimizer"])
    if optimizer == "adam":
        plain["optimizer"] = {optimizer: _fields(default_adam(generator)) | given}
    return read_config(plain, location)


def _with_named_prior(plain: dict[str, Plain]) -> dict[str, Plain]:
    """Plain data with the settings of a prior in place of its name, `prior: emoji`."""
    name = plain["prior"]
    if isinstance(name, str) and name in NAMED_PRIORS:
        return plain | {"prior": REGISTRY.serialize(NAMED_PRIORS[name])}
    return plain


def _split(plain: Plain) -> tuple[str, dict[str, Plain]]:
    """Name and settings of a registered object; an empty name where the data describe none."""
    if isinstance(plain, str):
        return plain, {}
    ((name, settings),) = plain.items() if isinstance(plain, dict) and len(plain) == 1 else (("", None),)
    return (name, settings or {}) if isinstance(settings, dict | None) else ("", {})


def _fields(value: Any) -> dict[str, Plain]:
    return {} if value is None else REGISTRY.serialize_fields(value, "config")
