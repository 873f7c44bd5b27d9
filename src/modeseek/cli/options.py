"""Options that several commands share: their types, and the help of each in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import tyro

from modeseek.config.config import Tracker
from modeseek.config.presets import PresetVerb, with_preset
from modeseek.io.paths import PATH_OR_NAME
from modeseek.io.video import Film
from modeseek.priors.pipeline.text_encoding import LongPrompts


def option(metavar: str, help: str) -> Any:
    """Returns the annotation of an option whose help says its default."""
    return tyro.conf.arg(metavar=metavar, help=help, help_behavior_hint="")


RunFolder = tyro.conf.Positional[
    Annotated[
        str | None,
        option("[RUN]", "Run folder, its name in runs/, or the last part of it. Default: the newest run in runs/."),
    ]
]
Prompts = tyro.conf.Positional[
    Annotated[tuple[str, ...], option("PROMPT [PROMPT ...]", 'Text prompts; --prompt "a cat" does, too.')]
]
Prompt = tyro.conf.Positional[Annotated[str, option("PROMPT", 'Text prompt; --prompt "a cat" does, too.')]]
TextPrior = Annotated[
    str,
    option(
        "scenes|emoji|FOLDER|FILE|OWNER/NAME",
        "Text-to-image prior: scenes (one or two coloured objects; the default) or emoji (one everyday object), which "
        "ship with modeseek; or a diffusers pipeline: a folder written by save_pretrained (./emoji if so named), or "
        "owner/name on the hub.",
    ),
    PATH_OR_NAME,
]
Preset = Annotated[
    str | None,
    option(
        "NAME|FILE",
        "Published settings of a method: dreamfusion, sdi, prolificdreamer, ...; `modeseek list presets`. Options that "
        "are given replace them.",
    ),
]
MethodName = Annotated[
    str | None, option("NAME", "Method: msd (default), sds, sdi, vsd, ...; all: `modeseek list methods`.")
]
Scale = Annotated[
    float | None,
    option(
        "SCALE",
        "Classifier-free guidance scale (--guidance-scale); 1 is none, DreamFusion's 100 is 101 here. Default: 3 under "
        "scenes and emoji, else what was published with the method; the start of a run prints it.",
    ),
]
Negative = Annotated[str, option("TEXT", "Negative prompt (--negative-prompt).")]
Source = Annotated[
    str,
    option("TEXT", "Prompt of what is there before the run, for edits: dds, pds, cds, dvrf, sds-bridge."),
]
Copies = Annotated[int, option("N", "Number of images of each prompt. Default: 1.")]
Seed = Annotated[int, option("N", "Random seed. Default: 0.")]
ImageSize = Annotated[
    tuple[int, int] | None,
    option("SIDE | HEIGHT WIDTH", "Image size, pixels: 512, or 512 768. Default: training size of the model."),
]
Optimizer = Annotated[str | None, option("NAME", "Optimizer: adam or sgd. Default: sgd for msd on latents, else adam.")]
LearningRate = Annotated[float | None, option("RATE", "Learning rate. Default: that of the generator.")]
Device = Annotated[
    str, option("DEVICE", "Device: auto (the default: cuda, else mps, else cpu), cpu, cuda, cuda:1 or mps.")
]
OnFailure = Annotated[
    Literal["stop", "rollback"],
    option(
        "stop|rollback",
        "Response to divergence: stop (default), or roll back once to the last checkpoint with half the learning rate.",
    ),
]
Loras = Annotated[
    tuple[str, ...],
    option(
        "FILE[=SCALE]",
        "LoRA weights to merge into the pipeline (LoRA, DreamBooth LoRA), safetensors; scale 1 is full strength.",
    ),
]
Embeddings = Annotated[
    tuple[str, ...],
    option(
        "FILE[=TOKEN]",
        "Textual inversions, safetensors; prompts write the token, by default the one in the file, or the file's name.",
    ),
]
Photographs = Annotated[
    tuple[str, ...],
    option(
        "FILE=AZIMUTH[,ELEVATION]|transforms.json",
        "Photographs of the object that renders must match, by msd, and their cameras in degrees: 0 is the front, 90 "
        "the camera's right, 180 the back; or one transforms.json of nerfstudio. More by --set photographs.noise, "
        ".weight, .fov, .distance, .per_step, and photographs.capture.front, .up, .centre, .scale and .held_out.",
    ),
]
LongPromptsOption = Annotated[
    LongPrompts,
    option(
        "cut|chunk",
        "Prompts that are longer than the text encoders read: cut (default; a warning says what), or encoded in chunks "
        "of 75 tokens (Stable Diffusion 1, 2 and XL).",
    ),
]
FilmOption = Annotated[
    Film, option("auto|mp4|gif|both|none", "Format of films: auto (default: MP4), mp4, gif, both or none.")
]
Trackers = Annotated[
    tuple[Tracker, ...],
    option("wandb|tensorboard|trackio", "Trackers that also receive the metrics; --wandb is --tracker wandb."),
]
Settings = Annotated[tuple[str, ...], option("KEY=VALUE", "Any other settings by dotted key, as printed by --dry-run.")]
Out = Annotated[Path | None, option("FOLDER", "Run folder to create. Default: runs/METHOD-NAME-TIME-ID.")]

_FIELDS = {
    "loras": "lora",
    "photographs": "photograph",
    "embeddings": "embedding",
    "trackers": "tracker",
    "settings": "set",
}


def arguments_of(command: Any, function: Callable[..., Any], verb: PresetVerb | None = None) -> dict[str, Any]:
    """Returns the arguments of a function from the options of a command and its preset.

    Options bear the names of the arguments, those that take several values in the singular. A command without presets
    has no verb.
    """
    names = {name: _FIELDS.get(name, name) for name in signature(function).parameters}
    if verb is None:
        return {name: getattr(command, field) for name, field in names.items()}
    types = get_type_hints(type(command))
    defaults = {f.name: f.default for f in fields(command)}
    return with_preset(
        verb,
        command.preset,
        {name: getattr(command, field) for name, field in names.items()},
        {name: types[field] for name, field in names.items()},
        {name: defaults[field] for name, field in names.items()},
    )
