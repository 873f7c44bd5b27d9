"""Loading of pipelines: where one lies, checks before anything is read, and its components one at a time."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from modeseek.io.errors import reason
from modeseek.io.quiet import silence
from modeseek.io.remarks import add_remark
from modeseek.priors.pipeline.architectures import FAMILY_BY_CLASS, PipelineFamily
from modeseek.priors.pipeline.bundled_table import BUNDLED_PRIORS, bundled_prior
from modeseek.priors.pipeline.checkpoint_layout import component_tensors, find_configurations
from modeseek.priors.pipeline.configurations import component_class, model_index, read_config
from modeseek.priors.pipeline.hub import download_pipeline
from modeseek.priors.pipeline.parts import CHECKED, check_part, find_weights, load_part
from modeseek.priors.pipeline.single_file import (
    assemble_checkpoint,
    check_checkpoint_part,
    load_checkpoint_part,
    require_weights,
)
from modeseek.priors.pipeline.tokenizers import TEXT_ENCODERS, load_tokenizers
from modeseek.priors.pipeline.weight_files import TensorInfo
from modeseek.priors.pipeline.wrong_folders import describe_folder, unsupported_class
from modeseek.priors.pipeline.wrong_parts import check_components, nullable_components

UNUSED_COMPONENTS = ("safety_checker", "feature_extractor", "image_encoder", "watermarker")
_PRECISIONS = (None, "fp32", "bf16", "fp16")


@dataclass(frozen=True)
class PipelineSource:
    """Place of a pipeline, checked by its configurations.

    Attributes:
        folder: folder with `model_index.json`, the scheduler, tokenizers and configurations, and the weights unless
            they are in a single-file checkpoint.
        checkpoint: single-file checkpoint with the weights; None if they are in the folder.
        kind: class name of the pipeline in diffusers.
        family: family of that class.
    """

    folder: Path
    checkpoint: Path | None
    kind: str
    family: PipelineFamily

    @property
    def weighted(self) -> tuple[str, ...]:
        """Names of the components whose weights are used: network, autoencoder and text encoders."""
        names = (self.family.network, *(("vae",) if self.family.latent else ()), *TEXT_ENCODERS)
        return tuple(name for name in names if component_class(self.folder, name) is not None)


def find_pipeline(
    path: str | os.PathLike[str], config: str | os.PathLike[str] | None = None, dtype: torch.dtype | None = None
) -> PipelineSource:
    """Finds a pipeline and checks it by its configurations; no weights are read.

    Args:
        path: bundled prior by its name ("./emoji" is a folder of that name), folder, single-file checkpoint, or
            repository on the hub. A file or folder that exists is never looked for on the hub.
        config: folder of configurations of a single-file checkpoint; None for the one beside it.
        dtype: dtype of the weights: precision to download where a repository has no plain weights.

    Raises:
        ValueError: there is no such pipeline, or a model of another kind; the line says what it is.
    """
    place = _find_place(path, dtype)
    checkpoint = place if place.is_file() else None
    folder = place if checkpoint is None else find_configurations(checkpoint, config)
    if checkpoint is None and config is not None:
        raise ValueError(f"config is for single-file checkpoints, got {config} with the folder {path}; remove it")
    family, kind = family_of(folder)
    check_components(folder, kind, family.network)
    return PipelineSource(folder, checkpoint, kind, family)


def find_pipeline_folder(path: str | os.PathLike[str]) -> Path:
    """Returns the folder itself, the local copy of a hub repository, or the folder of a bundled prior by its name.

    A text "emoji" names the bundled prior; a folder of that name is "./emoji", or any `Path`.

    Raises:
        ValueError: there is no such folder.
    """
    place = _find_place(path, None)
    if place.is_file():
        raise ValueError(f"{path} is a file, and this needs a pipeline's folder: convert it with save_pretrained")
    return place


def family_of(folder: Path) -> tuple[PipelineFamily, str]:
    """Returns the family of a pipeline folder, and the class name of the pipeline in diffusers.

    Raises:
        ValueError: the folder is no pipeline, or of a class that is not supported; the message lists those that are.
    """
    if not (folder / "model_index.json").is_file() and (described := describe_folder(folder)) is not None:
        raise ValueError(f"{folder} {described}")
    name = model_index(folder).get("_class_name")
    if not isinstance(name, str) or name not in FAMILY_BY_CLASS:
        raise ValueError(f"{folder} {unsupported_class(name, list(FAMILY_BY_CLASS))}")
    return FAMILY_BY_CLASS[name], name


def check_weights(
    source: PipelineSource, names: Collection[str], dtype: torch.dtype
) -> dict[str, dict[str, TensorInfo]]:
    """Checks the weights of components against their configurations, from headers; no weights are read.

    Returns:
        Dtype and shape of every stored tensor, by component.

    Raises:
        ValueError: damaged or missing files, or missing, unexpected or mis-shaped keys; the line names them.
    """
    tensors: dict[str, dict[str, TensorInfo]] = {}
    for name in names:
        held = {} if source.checkpoint is None else check_checkpoint_part(source.checkpoint, source.folder, name)
        if source.checkpoint is not None and not held:
            require_weights(source.checkpoint, source.folder, name)
        tensors[name] = held or check_part(source.folder, name, dtype)
    return tensors


def weights_of(source: PipelineSource, name: str, dtype: torch.dtype) -> str:
    """Returns the name of the file, or of the index of the shards, that holds a component's weights.

    Raises:
        ValueError: there are none that can be chosen.
    """
    if source.checkpoint is not None and component_tensors(source.checkpoint, source.folder, name):
        return source.checkpoint.name
    return find_weights(source.folder, name, dtype).label


def open_pipeline(source: PipelineSource, dtype: torch.dtype, leave_out: Collection[str]) -> Any:
    """Loads diffusers' pipeline on the CPU: safetensors only, no remote code, no network access.

    Args:
        source: place of the pipeline.
        dtype: dtype of the weights.
        leave_out: components of the folder to leave out; safety checkers and the like are never loaded.

    Raises:
        ValueError: a component cannot be loaded or lacks weights; the line names it.
    """
    import diffusers
    from diffusers.configuration_utils import FrozenDict

    components: dict[str, Any] = load_tokenizers(source.folder)
    index = model_index(source.folder)
    absent = [name for name in (*leave_out, *UNUSED_COMPONENTS) if name in index]
    nulls = [name for name in nullable_components(source.kind) if component_class(source.folder, name) is None]
    absent += [name for name in nulls if name not in absent]
    networks = [name for name in source.weighted if name not in leave_out]
    if source.checkpoint is not None:
        for name in networks:
            if name not in TEXT_ENCODERS:
                components[name] = load_checkpoint_part(source.checkpoint, source.folder, name, dtype)
        pipe = assemble_checkpoint(source.checkpoint, source.folder, source.kind, dtype, components, absent)
    else:
        for name in networks:
            components[name] = load_part(source.folder, name, dtype)
            _remark_variant(source, name, dtype)
        try:
            with silence("diffusers", "transformers", reported=CHECKED):
                pipe = getattr(diffusers, source.kind).from_pretrained(
                    source.folder, local_files_only=True, trust_remote_code=False, **components | dict.fromkeys(absent)
                )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
            raise ValueError(
                f"{source.folder} cannot be loaded as a {source.kind}: {reason(error)}; save it again"
            ) from error
    pipe.set_progress_bar_config(disable=True)
    if nulls and source.family.network in leave_out:  # the width of the zeros that stand for a text encoder's output
        config = FrozenDict(read_config(source.folder / source.family.network))
        setattr(pipe, source.family.network, SimpleNamespace(config=config))
    return pipe


def _remark_variant(source: PipelineSource, name: str, dtype: torch.dtype) -> None:
    chosen = find_weights(source.folder, name, dtype)
    if chosen.variant not in _PRECISIONS:
        add_remark(f"{source.folder / name}: the weights are those of {chosen.label}, as there are no plain ones")


def _find_place(path: str | os.PathLike[str], dtype: torch.dtype | None) -> Path:
    named = bundled_prior(path) if isinstance(path, str) else None
    if named is not None:
        return named.folder()
    place = Path(path).expanduser()
    if place.is_dir() or place.is_file():
        return place
    name = os.fspath(path)
    if name.count("/") != 1 or name.startswith((".", "~")) or place.is_absolute() or place.suffix == ".safetensors":
        raise ValueError(
            f"there is no pipeline {path}; try {' or '.join(BUNDLED_PRIORS)}, a folder written by save_pretrained, a "
            "single-file checkpoint, or owner/name on the hub"
        )
    return download_pipeline(name, dtype)
