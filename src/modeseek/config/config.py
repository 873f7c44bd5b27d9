"""Complete configuration of a run, as stored in `config.yaml` and taken by `modeseek run`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from modeseek.config.camera_prompts import CameraPromptsConfig
from modeseek.config.generators import GeneratorConfig, PointsConfig
from modeseek.config.measurement import MeasurementConfig
from modeseek.config.method_checks import check_measurement, check_method_fits, check_photographs
from modeseek.config.optimizers import AdamConfig, OptimizerConfig
from modeseek.config.photographs import PhotographsConfig
from modeseek.config.priors import PriorConfig
from modeseek.config.registry import REGISTRY
from modeseek.config.yaml import MAX_CHARACTERS, read_yaml, write_yaml
from modeseek.device import AUTO, check_device, resolve_device
from modeseek.io.video import Film
from modeseek.methods.base import Method, check_accumulate
from modeseek.regularizers import Penalty

Tracker = Literal["tensorboard", "wandb", "trackio"]


@dataclass(frozen=True)
class CheckpointConfig:
    """Schedule of checkpoints.

    Attributes:
        seconds: minimum time between checkpoints, s, >= 0; at least 50 times the time of writing one (2 % of the run).
        steps: number of steps between checkpoints, >= 1; None uses `seconds`.
        keep: number of most recent checkpoints to keep, >= 2.
    """

    seconds: float = 30.0
    steps: int | None = None
    keep: int = 2

    def __post_init__(self) -> None:
        if not self.seconds >= 0 or (self.steps is not None and self.steps < 1) or self.keep < 2:
            raise ValueError(f"saving needs seconds >= 0, steps >= 1 or null, keep >= 2, got {self}")


@dataclass(frozen=True)
class GuardConfig:
    """Criteria of a degenerate run, for generators that render pixels in [0, 1].

    Attributes:
        active: whether to check renders; directions are always checked to be finite.
        patience: number of consecutive degenerate steps that fail the run, >= 1.
        grace: initial share of the run in which a render may still be constant, in [0, 1].
        constant: largest range of pixel values of a render that counts as constant, in [0, 1].
        saturated: smallest share of pixels at or beyond 0 and 1 that counts as saturated, in [0, 1].
    """

    active: bool = True
    patience: int = 5
    grace: float = 0.1
    constant: float = 0.008
    saturated: float = 0.995

    def __post_init__(self) -> None:
        shares = (self.grace, self.constant, self.saturated)
        if self.patience < 1 or not all(0 <= share <= 1 for share in shares):
            raise ValueError(f"guard needs patience >= 1 and shares in [0, 1], got {self}")


@dataclass(frozen=True)
class Config:
    """Configuration of a run: one prior, one method, one generator, one optimizer.

    Attributes:
        prior: prior to distill.
        method: method that turns predictions of the prior into gradients.
        generator: generator to optimise, and its initialisation.
        optimizer: optimizer of the generator's parameters.
        name: name of the run, part of the folder name; default: the title of the prior.
        steps: number of optimisation steps, 1 to 1e9.
        seed: random seed, in [0, 2^63).
        label: class to condition on, for class-conditional priors; None is unconditional.
        prompts: text prompts, for text-conditional priors; item i uses prompt i modulo their number.
        negative: negative prompt, used under guidance.
        source: prompt of what is there before the run, for methods that compare it with the prompts (dds, pds, cds,
            dvrf, sds-bridge).
        views: view-dependent prompts, for generators with cameras.
        regularizers: penalties on renders, added to the loss.
        measurement: degraded image that the images restore, for msd; None is none.
        photographs: photographs of the object from known cameras that a 3D shape matches, for msd; None is none.
        scale: classifier-free guidance scale; 1 is none. Methods with their own `scale` take that instead.
        shift: largest random shift of the images before they are encoded, whole pixels of the prior's input, one draw
            per step (`modeseek.Shifted`); 0 is none.
        inner_steps: number of optimizer steps towards the target of each direction, >= 1; more than 1 lets a generator
            follow faster at equal prior calls, for methods whose directions have a target in z (msd, sds, sdi, ism,
            vsd, esd, asd; debiased).
        accumulate: number of batches per update of the optimizer, >= 1: the gradient is the mean over all of their
            items, at the memory of one batch and as many times the prior calls.
        device: auto, cpu, cuda, cuda:1 or mps; auto is the fastest of this machine, and the CPU under toy priors. A
            run's config.yaml has the device that it was.
        saving: schedule of checkpoints.
        guard: criteria of a degenerate run.
        on_failure: stop, or roll back once to the last checkpoint with half the learning rate and new random draws.
        previews: number of preview images saved during the run, 0 to 1000.
        film: format of the films, of the optimisation and of a 3D shape that turns: auto (MP4 where PyAV is installed,
            else GIF), mp4, gif, both or none.
        trackers: experiment trackers that also receive the metrics: tensorboard, wandb, trackio.
    """

    prior: PriorConfig
    method: Method
    generator: GeneratorConfig = PointsConfig()
    optimizer: OptimizerConfig = AdamConfig()
    name: str = ""
    steps: int = 400
    seed: int = 0
    label: int | None = None
    prompts: tuple[str, ...] = ()
    negative: str = ""
    source: str = ""
    views: CameraPromptsConfig = CameraPromptsConfig()
    regularizers: tuple[Penalty, ...] = ()
    measurement: MeasurementConfig | None = None
    photographs: PhotographsConfig | None = None
    scale: float = 1.0
    shift: int = 0
    inner_steps: int = 1
    accumulate: int = 1
    device: str = AUTO
    saving: CheckpointConfig = field(default_factory=CheckpointConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)
    on_failure: Literal["stop", "rollback"] = "stop"
    previews: int = 24
    film: Film = "auto"
    trackers: tuple[Tracker, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 10**9:
            raise ValueError(f"steps must be 1 to 1e9, got {self.steps}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be in [0, 2^63), got {self.seed}")
        if not 0 <= self.previews <= 1000:
            raise ValueError(f"previews must be 0 to 1000, got {self.previews}")
        if not abs(self.scale) < float("inf"):
            raise ValueError(f"scale must be finite, got {self.scale}; 1 is no guidance")
        check_method_fits(self)
        check_measurement(self)
        check_photographs(self)
        check_accumulate(self.accumulate)
        if self.shift < 0:
            raise ValueError(f"shift must be at least 0, got {self.shift}; 0 is none")
        if self.shift and not self.generator.encodes:
            raise ValueError(
                f"shift must be 0 for a generator in the prior's own space, which renders no images, got {self.shift}; "
                "use generator: pixels or field"
            )
        if not self.name.isprintable():
            raise ValueError(f"name must be printable text on one line, got {self.name!r}")
        if self.device != AUTO:
            check_device(self.device)

    def with_device(self) -> Config:
        """Configuration with its device: for auto the fastest of this machine, and the CPU under toy priors.

        Raises:
            ValueError: this machine does not have the device.
        """
        device = self.prior.default_device if self.device == AUTO else str(resolve_device(self.device))
        return self if device == self.device else replace(self, device=device)

    @property
    def method_name(self) -> str:
        """Registered name of the method."""
        method = REGISTRY.serialize(self.method, "config.method", Method)
        return method if isinstance(method, str) else next(iter(method))

    @property
    def method_title(self) -> str:
        """Name of the method in capitals; of an import path the class."""
        return self.method_name.rpartition(":")[2].upper()

    @property
    def generator_name(self) -> str:
        """Registered name of the generator."""
        generator = REGISTRY.serialize(self.generator, "config.generator", GeneratorConfig)
        return generator if isinstance(generator, str) else next(iter(generator))

    @property
    def guidance(self) -> float:
        """Guidance scale of the run, by its method if that guides by itself; 1 is none, as without conditions."""
        if not self.method.guides:
            return self.scale
        return float(vars(self.method).get("scale", 1.0)) if self.prompts or self.label is not None else 1.0

    @property
    def more_prompts(self) -> str:
        """Number of the prompts after the first, such as " and 2 more"; empty for none."""
        return f" and {len(self.prompts) - 1} more" if self.prompts[1:] else ""

    @property
    def subject(self) -> str:
        """Name of what is sought where there is no prompt: that of the run, else of the prior, and the class."""
        return f"{self.name or self.prior.title}{'' if self.label is None else f', class {self.label}'}"

    @property
    def title(self) -> str:
        """Title of the run, for headings."""
        guided = "" if self.scale == 1 else f", guidance {self.scale:g}"
        if self.prompts:
            return f"{self.method_title}: {self.prompts[0]!r}{self.more_prompts}, under {self.prior.title}{guided}"
        return f"{self.method_title} on {self.subject}{guided}"

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain data."""
        return REGISTRY.serialize_fields(self, "config")

    def to_yaml(self) -> str:
        """All settings as the text of `config.yaml`."""
        return write_yaml({"verb": "run", **self.to_dict()})


def check_config(config: object) -> None:
    """Raises TypeError, naming the functions that may have been meant, for what is no configuration."""
    if not isinstance(config, Config):
        raise TypeError(
            f"run takes a modeseek.Config, got {config!r:.60}; prompts: ms.image or ms.shape, a run folder: ms.resume"
        )


def read_config(plain: Any, location: str = "config") -> Config:
    """Configuration from plain data.

    Raises:
        ValueError: a setting is missing, unknown or of the wrong type; the message names its dotted key.
    """
    if isinstance(plain, dict) and "verb" in plain:
        verb = plain["verb"]
        if verb != "run":
            raise ValueError(
                f"{location} must be for the verb run, got {str(verb)[:40]!r}; rerun the command in its command.txt"
            )
        plain = {key: value for key, value in plain.items() if key != "verb"}
    if not isinstance(plain, dict):
        raise ValueError(f"{location} must hold settings, one per line; try method: msd")
    return REGISTRY.deserialize(Config, _with_film(plain), location)


def _with_film(plain: dict[str, Any]) -> dict[str, Any]:
    """Settings with `film` in place of `mp4`, which earlier versions wrote; false, its default, is the default."""
    if not isinstance(plain.get("mp4"), bool):
        return plain
    others = {key: value for key, value in plain.items() if key != "mp4"}
    return {"film": "both", **others} if plain["mp4"] else others


def read_yaml_file(path: Path) -> Any:
    """Plain data of a YAML file, or of the config.yaml of a run folder.

    Raises:
        ValueError: the file is too large, not UTF-8, or not plain YAML.
        OSError: the file cannot be read.
    """
    if path.is_dir():
        path = path / "config.yaml"
    with path.open("rb") as file:
        data = file.read(4 * MAX_CHARACTERS + 1)  # bounded: the file may be anything
    if len(data) > 4 * MAX_CHARACTERS:
        raise ValueError(f"{path.name} must have at most {4 * MAX_CHARACTERS} bytes; try a YAML file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} must be UTF-8 text, got an invalid byte at position {error.start}; try a YAML file"
        ) from error
    return read_yaml(text, path.name)
