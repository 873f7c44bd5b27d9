"""Memory requirements of a pipeline, read from its configurations and weight headers without loading it."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from modeseek.io.errors import reason
from modeseek.priors.pipeline.architectures import PipelineFamily
from modeseek.priors.pipeline.loading import (
    TEXT_ENCODERS,
    UNUSED_COMPONENTS,
    family_of,
    find_pipeline_folder,
    model_index,
    read_object,
)
from modeseek.priors.pipeline.pipeline import z_shape
from modeseek.priors.pipeline.vae import downscale

Phase = Literal["optimising", "encoding a new text", "never"]


@dataclass(frozen=True)
class Component:
    """Pipeline component with weights.

    Attributes:
        name: name of its folder.
        kind: name of its class.
        n_parameters: number of stored parameters.
        bytes: memory of its weights, in bytes, at the dtype it is used in.
        phase: phase in which it is loaded (text encoders only while encoding new texts).
    """

    name: str
    kind: str
    n_parameters: int
    bytes: int
    phase: Phase


@dataclass(frozen=True)
class PipelineRequirements:
    """Memory requirements of a pipeline.

    Attributes:
        kind: class name of the pipeline.
        shape: shape of z.
        pixels: image height and width, in pixels.
        components: components with weights.
    """

    kind: str
    shape: tuple[int, ...]
    pixels: tuple[int, int]
    components: tuple[Component, ...]

    def bytes_in_phase(self, phase: Phase) -> int:
        """Returns the bytes of weights loaded in this phase; activations are not included."""
        return sum(part.bytes for part in self.components if part.phase == phase)


def read_requirements(
    path: str | os.PathLike[str], dtype: torch.dtype = torch.float32, size: int | tuple[int, int] | None = None
) -> PipelineRequirements:
    """Reads the memory requirements of a pipeline; no weights are loaded.

    Args:
        path: path of the pipeline, as for `Pipeline.load`.
        dtype: dtype of the network.
        size: image size in pixels, as for `Pipeline.load`.

    Raises:
        ValueError: no pipeline, a damaged component, or a size that does not fit.
    """
    folder = find_pipeline_folder(path)
    family, kind = family_of(folder)
    vae = _config(folder / "vae") if family.latent else None
    shape = z_shape(family, _config(folder / family.network), vae, size)
    factor = 1 if vae is None else downscale(vae)
    components = tuple(
        _component(folder / name, str(entry[1]), family, dtype)
        for name, entry in model_index(folder).items()
        if isinstance(entry, list) and len(entry) == 2 and any((folder / name).glob("*.safetensors"))
    )
    return PipelineRequirements(kind, shape, (factor * shape[1], factor * shape[2]), components)


def _component(folder: Path, kind: str, family: PipelineFamily, dtype: torch.dtype) -> Component:
    phase: Phase = "optimising"
    if folder.name in TEXT_ENCODERS:
        phase = "encoding a new text"
    elif folder.name in UNUSED_COMPONENTS or folder.name not in (family.network, "vae"):
        phase = "never"
    wide = torch.float32 if folder.name == "vae" and dtype == torch.float16 else dtype
    n_parameters = sum(_count_parameters(file) for file in _files(folder))
    return Component(folder.name, kind, n_parameters, n_parameters * wide.itemsize, phase)


def _files(folder: Path) -> list[Path]:
    """Returns the files of one set of weights: shards by their index, never those of a second precision."""
    for index in sorted(folder.glob("*.safetensors.index.json")):
        if len(index.name.split(".")) == 4:  # no variant such as .fp16.
            try:
                return sorted({folder / name for name in json.loads(index.read_text())["weight_map"].values()})
            except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
                raise ValueError(f"{index} is damaged: {reason(error)}; save it again") from error
    files = [file for file in sorted(folder.glob("*.safetensors")) if file.name.count(".") == 1]
    return files or sorted(folder.glob("*.safetensors"))[:1]


def _count_parameters(file: Path) -> int:
    """Returns the number of parameters in a safetensors file, from its header."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as tensors:
            return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{file} holds no safetensors: {reason(error)}; save it again") from error


def _config(folder: Path) -> dict[str, Any]:
    try:
        return read_object(folder / "config.json")
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder / 'config.json'} cannot be read: {reason(error)}; save it again") from error
