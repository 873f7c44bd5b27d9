"""Memory requirements of a pipeline, read from its configurations and weight headers without loading it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from modeseek.priors.pipeline.configuration_checks import check_configuration
from modeseek.priors.pipeline.configurations import component_class, model_index, read_config
from modeseek.priors.pipeline.loading import (
    UNUSED_COMPONENTS,
    PipelineSource,
    check_weights,
    find_pipeline,
    weights_of,
)
from modeseek.priors.pipeline.pipeline import z_shape
from modeseek.priors.pipeline.tokenizers import TEXT_ENCODERS, load_tokenizers
from modeseek.priors.pipeline.vae import downscale
from modeseek.priors.pipeline.weight_files import TensorInfo, stored_dtypes
from modeseek.priors.pipeline.wrong_parts import nullable_components

Phase = Literal["optimising", "encoding a new text"]


@dataclass(frozen=True)
class Component:
    """Pipeline component with weights.

    Attributes:
        name: name of its folder.
        kind: name of its class.
        n_parameters: number of stored parameters.
        bytes: memory of its weights, in bytes, at the dtype it is used in.
        phase: phase in which it is loaded (text encoders only while encoding new texts).
        weights: name of the file with its weights, or of the index of their shards.
        stored: dtypes in that file, as safetensors names them, most frequent first.
    """

    name: str
    kind: str
    n_parameters: int
    bytes: int
    phase: Phase
    weights: str
    stored: str


@dataclass(frozen=True)
class PipelineRequirements:
    """Memory requirements of a pipeline.

    Attributes:
        kind: class name of the pipeline.
        shape: shape of z.
        pixels: image height and width, in pixels.
        components: components whose weights are used.
        absent: components that are null, for which stock diffusers takes zeros.
        unused: components of the folder that are never loaded (safety checker and the like).
    """

    kind: str
    shape: tuple[int, ...]
    pixels: tuple[int, int]
    components: tuple[Component, ...]
    absent: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def bytes_in_phase(self, phase: Phase) -> int:
        """Returns the bytes of weights loaded in this phase; activations are not included."""
        return sum(part.bytes for part in self.components if part.phase == phase)


def read_requirements(
    path: str | os.PathLike[str],
    dtype: torch.dtype = torch.float32,
    size: int | tuple[int, int] | None = None,
    config: str | os.PathLike[str] | None = None,
) -> PipelineRequirements:
    """Reads the memory requirements of a pipeline, with all checks of `Pipeline.load`; no weights are loaded.

    Args:
        path: path of the pipeline, as for `Pipeline.load`.
        dtype: dtype of the network.
        size: image size in pixels, as for `Pipeline.load`.
        config: folder of configurations of a single-file checkpoint, as for `Pipeline.load`.

    Raises:
        ValueError: no pipeline, a damaged component, one that lacks weights, or a size that does not fit.
    """
    source = find_pipeline(path, config, dtype)
    folder, family, kind = source.folder, source.family, source.kind
    check_configuration(folder, family, kind)
    tensors = check_weights(source, source.weighted, dtype)
    load_tokenizers(folder)
    vae = read_config(folder / "vae") if family.latent else None
    shape = z_shape(family, read_config(folder / family.network), vae, size)
    factor = 1 if vae is None else downscale(vae)
    index = model_index(folder)
    return PipelineRequirements(
        kind,
        shape,
        (factor * shape[1], factor * shape[2]),
        tuple(_component(source, name, found, dtype) for name, found in tensors.items()),
        tuple(name for name in nullable_components(kind) if component_class(folder, name) is None),
        tuple(name for name in UNUSED_COMPONENTS if name in index and component_class(folder, name) is not None),
    )


def _component(source: PipelineSource, name: str, tensors: Mapping[str, TensorInfo], dtype: torch.dtype) -> Component:
    phase: Phase = "encoding a new text" if name in TEXT_ENCODERS else "optimising"
    wide = torch.float32 if name == "vae" and dtype == torch.float16 else dtype
    n_parameters = sum(math.prod(shape) for _, shape in tensors.values())
    _, kind = component_class(source.folder, name) or ("", "")
    weights = weights_of(source, name, dtype)
    return Component(name, kind, n_parameters, n_parameters * wide.itemsize, phase, weights, stored_dtypes(tensors))
