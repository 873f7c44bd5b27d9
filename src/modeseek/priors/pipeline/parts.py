"""Components with weights, one at a time: loading by their library, and a check of every key of their weights."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch

from modeseek.io.errors import reason
from modeseek.io.quiet import silence
from modeseek.priors.pipeline.configurations import component_class, read_config
from modeseek.priors.pipeline.weight_files import TensorInfo, WeightFiles, choose_weights, preview, read_headers

_STEMS: dict[str, Literal["model", "diffusion_pytorch_model"]] = {
    "diffusers": "diffusion_pytorch_model",
    "transformers": "model",
}
CHECKED = (  # warnings of diffusers and transformers whose facts `check_keys` reports, or that change nothing
    r"LOAD REPORT",
    r"Some weights of",
    r"checkpoint seem corrupted",
    r"Expected types for vae: .* got .*AutoencoderTiny",  # which stands for an AutoencoderKL
)
_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}


def find_weights(pipeline: Path, name: str, dtype: torch.dtype | None = None) -> WeightFiles:
    """Chooses the weight files of a component, as `choose_weights` does.

    Raises:
        ValueError: a missing folder or weights, pickled weights only, or a component of another library.
    """
    library, kind = _class(pipeline, name)
    if library not in _STEMS:
        raise ValueError(
            f"{pipeline / name} must be a model of diffusers or transformers, got {kind} of {library}; custom code is "
            "never run"
        )
    folder = pipeline / name
    read_config(folder)
    try:
        return choose_weights([path.name for path in folder.iterdir()], _STEMS[library], dtype)
    except ValueError as error:
        raise ValueError(f"{folder} {error}") from error


def check_part(pipeline: Path, name: str, dtype: torch.dtype | None = None) -> dict[str, TensorInfo]:
    """Checks that the weights of a component are those of its configuration, from headers; no weights are read.

    Its library loads the component on the meta device, so that tied weights, older names of keys and extra keys which
    it ignores are honoured as in a real load.

    Returns:
        Dtype and shape of every stored tensor.

    Raises:
        ValueError: damaged or missing files, or missing, unexpected or mis-shaped keys; the line names them.
    """
    chosen = find_weights(pipeline, name, dtype)
    tensors = read_headers(pipeline / name, chosen)
    kinds = [kind for kind, _ in tensors.values()]
    stored = _DTYPES.get(max(set(kinds), key=kinds.count)) if kinds else None  # its own: nothing is converted
    _load(pipeline, name, chosen, stored, {"": "meta"})
    return tensors


def load_part(pipeline: Path, name: str, dtype: torch.dtype) -> Any:
    """Loads a component on the CPU by its library: safetensors only, no remote code, no network access.

    Raises:
        ValueError: as `check_part`, or weights that are NaN or infinite.
    """
    chosen = find_weights(pipeline, name, dtype)
    read_headers(pipeline / name, chosen)
    model = _load(pipeline, name, chosen, dtype, None)
    check_finite(f"{pipeline / name}", model, dtype)
    return model


def check_keys(
    where: str, missing: Collection[str], unexpected: Collection[str], mismatched: Mapping[str, str]
) -> None:
    """Checks that no key of a component is missing, unexpected or of another shape.

    Args:
        where: the component, as the line names it.
        missing: keys without weights.
        unexpected: keys of the files that the component does not have.
        mismatched: description of both shapes, by key.

    Raises:
        ValueError: there are such keys; one line names the first of each.
    """
    problems = []
    if missing:
        problems.append(f"lacks the weights of {preview(sorted(missing))}")
    if mismatched:
        problems.append(f"has another shape in {preview([f'{key} ({mismatched[key]})' for key in sorted(mismatched)])}")
    if unexpected:
        problems.append(f"holds weights of no layer of its configuration: {preview(sorted(unexpected))}")
    if problems:
        raise ValueError(f"{where} {'; it '.join(problems)}; copy it again, with the config.json it was saved with")


def check_finite(where: str, model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Checks that all weights of a component are finite, by one sum over each tensor.

    Args:
        where: the component, as the line names it.
        model: the component.
        dtype: dtype that its weights were converted to.

    Raises:
        ValueError: a weight is NaN or infinite, in its file or by the conversion to a smaller range.
    """
    tensors = {key: value for key, value in model.state_dict().items() if value.is_floating_point()}
    wrong = [key for key, value in tensors.items() if not value.sum(dtype=torch.float32).isfinite()]
    if wrong:
        raise ValueError(
            f"{where} has weights that are NaN or infinite in {str(dtype).removeprefix('torch.')}: {preview(wrong)}; "
            "try float32 or bfloat16, or another copy"
        )


def _load(
    pipeline: Path, name: str, chosen: WeightFiles, dtype: torch.dtype | None, device_map: dict[str, str] | None
) -> Any:
    library, kind = _class(pipeline, name)
    model_class = getattr(import_module(library), kind, None)
    if model_class is None:
        raise ValueError(f"{pipeline / name} must be a model of {library}, got {kind}, which it does not have")
    options: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
    try:
        with (
            silence("diffusers", "transformers", reported=CHECKED),
            _standard_folder(pipeline / name, chosen) as (folder, variant),
        ):
            model, info = model_class.from_pretrained(
                folder, variant=variant, device_map=device_map, use_safetensors=True, local_files_only=True,
                output_loading_info=True, ignore_mismatched_sizes=True, **options,
            )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, ImportError) as error:
        raise ValueError(
            f"{pipeline / name} cannot be loaded as a {kind}: {reason(error)}; save it again with a present diffusers"
        ) from error
    mismatched = {
        key: f"{describe_shape(stored)}, not {describe_shape(own)}" for key, stored, own in info["mismatched_keys"]
    }
    unknown = set(info["missing_keys"]) - set(mismatched)
    check_keys(f"{pipeline / name}", unknown, info["unexpected_keys"], mismatched)
    return model


def describe_shape(shape: Collection[int]) -> str:
    """Returns a tensor's shape for a line: 8 x 4 x 3 x 3."""
    return " x ".join(map(str, shape)) or "a number"


def _class(pipeline: Path, name: str) -> tuple[str, str]:
    found = component_class(pipeline, name)
    if found is None:
        raise ValueError(f"{pipeline / 'model_index.json'} must name {name}, got null; save the pipeline again")
    return found


@contextmanager
def _standard_folder(folder: Path, chosen: WeightFiles) -> Generator[tuple[Path, str | None]]:
    """Yields a folder and a variant under which the library finds the chosen files: links where names are old ones."""
    if chosen.standard:
        yield folder, chosen.variant
        return
    with tempfile.TemporaryDirectory(prefix="modeseek-links-") as name:
        links = Path(name)
        stem = chosen.label.split(".")[0]
        for target, link in (
            ("config.json", "config.json"),
            (chosen.label, f"{stem}.safetensors.index.json"),
            *((file, file) for file in chosen.files),
        ):
            os.symlink((folder / target).resolve(), links / link)
        yield links, None
