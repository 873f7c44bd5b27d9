"""What a pipeline needs before it is loaded: read from its configurations and the headers of its weights."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from modeseek.priors.pipeline.architectures import PipelineFamily
from modeseek.priors.pipeline.loading import UNUSED_COMPONENTS, TEXT_ENCODERS, family_of, find_pipeline_folder, model_index
from modeseek.priors.pipeline.pipeline import z_shape

Phase = Literal["optimising", "encoding a new text", "never"]
_LARGEST_HEADER = 100 * 2**20  # bytes; the format's own limit


@dataclass(frozen=True)
class Component:
    """One component with weights.

    Attributes:
        name: of its folder.
        kind: of its class.
        numbers: how many it holds.
        bytes: it takes in memory, at the dtype it is used in.
        when: it is in memory; text encoders come and go with new texts.
    """

    name: str
    kind: str
    n_parameters: int
    bytes: int
    phase: Phase


@dataclass(frozen=True)
class PipelineRequirements:
    """What a pipeline needs.

    Attributes:
        kind: of the pipeline.
        shape: of z.
        pixels: height and width.
        parts: components with weights.
    """

    kind: str
    shape: tuple[int, ...]
    pixels: tuple[int, int]
    components: tuple[Component, ...]

    def bytes_in_phase(self, when: Phase) -> int:
        """Weights in memory then; activations come on top, and are measured rather than guessed."""
        return sum(part.bytes for part in self.components if part.phase == when)


def read_requirements(
    path: str | os.PathLike[str], dtype: torch.dtype = torch.float32, size: int | tuple[int, int] | None = None
) -> PipelineRequirements:
    """Reads what a pipeline needs; no weights are loaded.

    Args:
        path: as for `Pipeline.load`.
        dtype: that the network shall have.
        size: pixels, as for `Pipeline.load`.

    Raises:
        ValueError: no pipeline, a damaged part, or a size that does not fit; one line.
    """
    folder = find_pipeline_folder(path)
    family, kind = family_of(folder)
    vae = _config(folder / "vae") if family.latent else None
    shape = z_shape(family, _config(folder / family.network), vae, size)
    factor = 1 if vae is None else 2 ** (len(vae["block_out_channels"]) - 1)
    parts = tuple(
        _part(folder / name, str(told[1]), family, dtype)
        for name, told in model_index(folder).items()
        if isinstance(told, list) and len(told) == 2 and any((folder / name).glob("*.safetensors"))
    )
    return PipelineRequirements(kind, shape, (factor * shape[1], factor * shape[2]), parts)


def _part(folder: Path, kind: str, family: PipelineFamily, dtype: torch.dtype) -> Component:
    when: Phase = "optimising"
    if folder.name in TEXT_ENCODERS:
        when = "encoding a new text"
    elif folder.name in UNUSED_COMPONENTS or folder.name not in (family.network, "vae"):
        when = "never"
    wide = torch.float32 if folder.name == "vae" and dtype == torch.float16 else dtype
    numbers = sum(_numbers(file) for file in _files(folder))
    return Component(folder.name, kind, numbers, numbers * wide.itemsize, when)


def _files(folder: Path) -> list[Path]:
    """The files that make one set of weights: shards by their index, never a second precision's."""
    for index in sorted(folder.glob("*.safetensors.index.json")):
        if len(index.name.split(".")) == 4:  # no variant such as .fp16.
            try:
                return sorted({folder / name for name in json.loads(index.read_text())["weight_map"].values()})
            except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
                raise ValueError(f"{index} is damaged: {' '.join(str(error).split())[:120]}; save it again") from error
    plain = [file for file in sorted(folder.glob("*.safetensors")) if file.name.count(".") == 1]
    return plain or sorted(folder.glob("*.safetensors"))[:1]


def _numbers(file: Path) -> int:
    """How many numbers a safetensors file holds, by its header: 8 bytes of length, then JSON."""
    try:
        with file.open("rb") as held:
            length = int.from_bytes(held.read(8), "little")
            if length > _LARGEST_HEADER:
                raise ValueError(f"its header has {length} bytes")
            header = json.loads(held.read(length))
        return sum(math.prod(told["shape"]) for name, told in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120]
        raise ValueError(f"{file} holds no safetensors: {reason}; save it again") from error


def _config(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise ValueError("it holds no table")
        return told
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120]
        raise ValueError(f"{folder / 'config.json'} cannot be read: {reason}; save the pipeline again") from error
