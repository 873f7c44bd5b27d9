"""Single-file checkpoints (one .safetensors of a whole model, in its authors' format), read by diffusers' loader."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from modeseek.io.errors import reason
from modeseek.io.quiet import silence
from modeseek.priors.pipeline.checkpoint_layout import component_tensors, read_checkpoint
from modeseek.priors.pipeline.configurations import component_class
from modeseek.priors.pipeline.parts import CHECKED, check_finite, check_keys, describe_shape, load_part
from modeseek.priors.pipeline.tokenizers import TEXT_ENCODERS
from modeseek.priors.pipeline.weight_files import TensorInfo, preview

Shapes = dict[str, tuple[int, ...]]


def check_checkpoint_part(file: Path, folder: Path, name: str) -> dict[str, TensorInfo]:
    """Checks one component of a single-file checkpoint against its configuration, from the header; reads no weights.

    diffusers' own conversion runs on tensors without storage; what it names otherwise, drops or misses is found.

    Returns:
        Dtype and shape of the component's tensors; none where the file lacks it.

    Raises:
        ValueError: missing, left over or mis-shaped tensors; the line names them.
    """
    tensors = component_tensors(file, folder, name)
    if not tensors:
        return {}
    library, kind = component_class(folder, name) or ("", "")
    model_class = getattr(import_module(library), kind)
    try:
        with silence("diffusers", "transformers", reported=CHECKED):
            convert = _convert_text_encoder if name in TEXT_ENCODERS else _convert_network
            expected, found = convert(model_class, read_checkpoint(file), folder, name)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, IndexError) as error:
        raise ValueError(
            f"{file} cannot be read as the {name} of {folder}: {reason(error)}; try the configurations it was made with"
        ) from error
    mismatched = {
        key: f"{describe_shape(found[key])}, not {describe_shape(expected[key])}"
        for key in set(expected) & set(found)
        if expected[key] != found[key]
    }
    check_keys(f"{file}, {name},", set(expected) - set(found), set(found) - set(expected), mismatched)
    if name not in TEXT_ENCODERS:
        _check_nothing_dropped(file, name, tensors, expected)
    return tensors


def load_checkpoint_part(file: Path, folder: Path, name: str, dtype: torch.dtype) -> Any:
    """Loads network or autoencoder from a single-file checkpoint, from the folder of configurations if it lacks it.

    Raises:
        ValueError: neither has the component, or as `check_checkpoint_part`.
    """
    if not check_checkpoint_part(file, folder, name):
        return _from_folder(file, folder, name, dtype)
    library, kind = component_class(folder, name) or ("", "")
    try:
        with silence("diffusers", "transformers", reported=CHECKED):
            model = getattr(import_module(library), kind).from_single_file(
                str(file), config=str(folder), subfolder=name, dtype=dtype, local_files_only=True
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise ValueError(f"{file} cannot be read as the {name} of {folder}: {reason(error)}; convert it") from error
    check_finite(f"{file}, {name},", model, dtype)
    return model


def assemble_checkpoint(
    file: Path, folder: Path, kind: str, dtype: torch.dtype, components: dict[str, Any], leave_out: Collection[str]
) -> Any:
    """Assembles diffusers' pipeline around loaded components, with the text encoders of a single-file checkpoint.

    Raises:
        ValueError: a text encoder is in neither file nor folder, or lacks weights.
    """
    import diffusers

    for name in TEXT_ENCODERS:
        if name not in leave_out and component_class(folder, name) is not None:
            if not check_checkpoint_part(file, folder, name):
                components[name] = _from_folder(file, folder, name, dtype)
    given = components | dict.fromkeys(leave_out)
    try:
        with silence("diffusers", "transformers", reported=CHECKED):
            pipe = getattr(diffusers, kind).from_single_file(
                str(file), config=str(folder), dtype=dtype, local_files_only=True, **given
            )
    except Exception as error:  # diffusers raises an exception of its own where a component is missing
        raise ValueError(f"{file} cannot be loaded as a {kind} with {folder}: {reason(error)}; convert it") from error
    for name in TEXT_ENCODERS:
        if getattr(pipe, name, None) is not None:
            check_finite(f"{file}, {name},", getattr(pipe, name), dtype)
    return pipe


def require_weights(file: Path, folder: Path, name: str) -> None:
    """Checks that the folder of configurations has the weights of a component that the file lacks.

    Raises:
        ValueError: neither has them.
    """
    if not any((folder / name).glob("*.safetensors")):
        raise ValueError(
            f"{file} holds no {name}, nor does {folder / name}: copy that component's weights there, or try a "
            "checkpoint of the whole model"
        )


def _convert_network(model_class: Any, keys: dict[str, TensorInfo], folder: Path, name: str) -> tuple[Shapes, Shapes]:
    """Returns the shapes that a network or autoencoder has, and those that diffusers' conversion gives it."""
    from accelerate import init_empty_weights
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

    config = model_class.load_config(folder / name, local_files_only=True)
    with init_empty_weights():
        expected = _shapes(model_class.from_config(config).state_dict())
    checkpoint = {key: torch.empty(shape, device="meta") for key, (_, shape) in keys.items()}
    if expected.keys() <= checkpoint.keys():  # written under diffusers' own names
        return expected, {key: tuple(checkpoint[key].shape) for key in expected}
    convert: Any = SINGLE_FILE_LOADABLE_CLASSES[model_class.__name__]["checkpoint_mapping_fn"]
    return expected, _shapes(convert(config=config, checkpoint=checkpoint))


def _convert_text_encoder(
    model_class: Any, keys: dict[str, TensorInfo], folder: Path, name: str
) -> tuple[Shapes, Shapes]:
    """Returns the shapes that a text encoder has, and those that diffusers loads: the rest stays without storage."""
    from diffusers.loaders import single_file_utils

    checkpoint = {key: torch.zeros(()).expand(shape) for key, (_, shape) in keys.items()}  # one number each in memory
    if single_file_utils.is_clip_model_in_single_file(model_class, checkpoint):
        load: Any = single_file_utils.create_diffusers_clip_model_from_ldm
    else:
        load = single_file_utils.create_diffusers_t5_model_from_checkpoint
    model = load(model_class, checkpoint=checkpoint, config=str(folder), subfolder=name, local_files_only=True)
    state = model.state_dict()
    return _shapes(state), {key: tuple(tensor.shape) for key, tensor in state.items() if not tensor.is_meta}


def _shapes(tensors: Mapping[str, torch.Tensor]) -> Shapes:
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def _check_nothing_dropped(file: Path, name: str, tensors: Mapping[str, TensorInfo], expected: Shapes) -> None:
    """Checks that all numbers of a component are used: the conversion leaves out names that it does not know."""
    stored, used = (sum(map(math.prod, shapes)) for shapes in ((s for _, s in tensors.values()), expected.values()))
    if stored != used:
        known = {math.prod(shape) for shape in expected.values()}
        odd = [key for key, (_, shape) in tensors.items() if math.prod(shape) not in known] or list(tensors)
        raise ValueError(
            f"{file} holds {stored} numbers of the {name}, which by its config.json has {used}: see {preview(odd, 1)}; "
            "try the configurations it was made with"
        )


def _from_folder(file: Path, folder: Path, name: str, dtype: torch.dtype) -> Any:
    require_weights(file, folder, name)
    return load_part(folder, name, dtype)
