"""All that fixes a run: what `config.yaml` holds and `modeseek run` takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from modeseek.config.camera_prompts import CameraPromptsConfig
from modeseek.config.generators import GeneratorConfig, PointsConfig
from modeseek.config.optimizers import AdamConfig, OptimizerConfig
from modeseek.config.priors import PriorConfig
from modeseek.config.registry import REGISTRY
from modeseek.config.yaml import MAX_CHARACTERS, read_yaml, write_yaml
from modeseek.methods.base import Method
from modeseek.regularizers import Penalty

Tracker = Literal["tensorboard", "wandb", "trackio"]


@dataclass(frozen=True)
class CheckpointConfig:
    """When checkpoints are written.

    Attributes:
        seconds: at least so many lie between two, and at least fifty times what one took (2 % of the run).
        steps: write one every so many steps instead; None leaves it to the clock.
        keep: the newest so many stay; at least 2.
    """

    seconds: float = 30.0
    steps: int | None = None
    keep: int = 2

    def __post_init__(self) -> None:
        if not self.seconds >= 0 or (self.steps is not None and self.steps < 1) or self.keep < 2:
            raise ValueError(f"saving needs seconds >= 0, steps >= 1 or null, keep >= 2: got {self}; fix them")


@dataclass(frozen=True)
class GuardConfig:
    """What counts as a run that went wrong, for generators that render pixels in [0, 1].

    Attributes:
        active: look at renders at all; directions must always be finite.
        patience: steps in a row that must look wrong.
        grace: share of the run in which a render that never lived yet may still be constant.
        constant: a render whose pixels all lie within this range shows nothing.
        saturated: share of pixels at or beyond 0 and 1 that is too much.
    """

    active: bool = True
    patience: int = 5
    grace: float = 0.1
    constant: float = 0.008
    saturated: float = 0.995

    def __post_init__(self) -> None:
        shares = (self.grace, self.constant, self.saturated)
        if self.patience < 1 or not all(0 <= share <= 1 for share in shares):
            raise ValueError(f"a guard needs patience >= 1 and shares in [0, 1]: got {self}; fix them")


@dataclass(frozen=True)
class Config:
    """A run: one prior, one method, one generator, one optimizer.

    Attributes:
        prior: what is asked.
        method: how a direction is made of the answers.
        generator: what is optimised.
        optimizer: what follows the direction.
        name: a word for the folder's name; the prior's by default.
        steps: of the run.
        seed: of every random draw.
        label: class to seek, where the prior has classes.
        prompts: what to seek, where the prior knows words; item i seeks prompt i, over and over.
        negative: words to move away from when guided.
        views: how the prompt follows the camera, for generators with cameras.
        regularizers: penalties on what is rendered.
        scale: classifier-free guidance; 1 is none. Methods with a scale of their own take theirs.
        device: cpu, cuda, cuda:1, mps.
        saving: when checkpoints are written.
        guard: what counts as a run that went wrong.
        on_failure: stop, or roll back once to the last checkpoint with half the learning rate and other random draws.
        previews: pictures kept along the way.
        mp4: leave a film of them beside the GIF; needs the extra video.
        trackers: where else the metrics go: tensorboard, wandb, trackio.
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
    views: CameraPromptsConfig = CameraPromptsConfig()
    regularizers: tuple[Penalty, ...] = ()
    scale: float = 1.0
    device: str = "cpu"
    saving: CheckpointConfig = field(default_factory=CheckpointConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)
    on_failure: Literal["stop", "rollback"] = "stop"
    previews: int = 24
    mp4: bool = False
    trackers: tuple[Tracker, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 10**9:
            raise ValueError(f"a run needs 1 to 1e9 steps: got {self.steps}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"a seed lies in [0, 2^63): got {self.seed}")
        if not 0 <= self.previews <= 1000:
            raise ValueError(f"previews are 0 to 1000 pictures: got {self.previews}")
        if not abs(self.scale) < float("inf"):
            raise ValueError(f"a guidance scale is finite: got {self.scale}; 1 is none")
        if not self.name.isprintable():
            raise ValueError(f"a name is printable text on one line: got {self.name!r}; shorten it to a word")
        try:
            known = torch.device(self.device).type in ("cpu", "cuda", "mps", "xpu")
        except RuntimeError as error:
            raise ValueError(f"unknown device {self.device!r}: write cpu, cuda, cuda:1 or mps") from error
        if not known:
            raise ValueError(f"no run works on the device {self.device!r}: write cpu, cuda, cuda:1 or mps")

    @property
    def method_name(self) -> str:
        """As people type it."""
        plain = REGISTRY.serialize(self.method)
        return plain if isinstance(plain, str) else next(iter(plain))

    @property
    def title(self) -> str:
        """For headings."""
        guided = "" if self.scale == 1 else f", guidance {self.scale:g}"
        if self.prompts:
            more = f" and {len(self.prompts) - 1} more" if self.prompts[1:] else ""
            return f"{self.method_name.upper()}: {self.prompts[0]!r}{more}, under {self.prior.title}{guided}"
        label = "" if self.label is None else f", class {self.label}"
        return f"{self.method_name.upper()} on {self.name or self.prior.title}{label}{guided}"

    def to_dict(self) -> dict[str, Any]:
        """Every value, as plain data."""
        return REGISTRY.serialize_fields(self, "config")

    def to_yaml(self) -> str:
        """Every value, as the text of `config.yaml`."""
        return write_yaml({"verb": "run", **self.to_dict()})


def read_config(plain: Any, place: str = "config") -> Config:
    """A configuration from plain data.

    Raises:
        ValueError: something is missing, unknown or of the wrong kind, named by its place.
    """
    if isinstance(plain, dict) and "verb" in plain:
        verb = plain["verb"]
        if verb != "run":
            raise ValueError(
                f"{place} is for the verb {str(verb)[:40]!r}, not run; repeat the command that its command.txt holds"
            )
        plain = {key: value for key, value in plain.items() if key != "verb"}
    if not isinstance(plain, dict):
        raise ValueError(f"{place} is no configuration: settings are wanted, one a line, such as method: msd")
    return REGISTRY.deserialize(Config, plain, place)


def read_yaml_file(path: Path) -> Any:
    """The plain data of a YAML file.

    Raises:
        ValueError: it is no such file, or not UTF-8.
        OSError: it cannot be read.
    """
    if path.is_dir():
        path = path / "config.yaml"
    with path.open("rb") as file:
        data = file.read(4 * MAX_CHARACTERS + 1)  # no more of a file that is something else
    if len(data) > 4 * MAX_CHARACTERS:
        raise ValueError(f"{path.name} is no configuration: it has more than {4 * MAX_CHARACTERS} bytes; name a YAML file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is no text: byte {error.start} is not UTF-8; name a YAML file") from error
    return read_yaml(text, path.name)
