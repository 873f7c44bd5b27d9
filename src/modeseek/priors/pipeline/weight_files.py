"""Weight files of a pipeline's component: choice among precisions and shards, and checks of safetensors headers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from modeseek.io.errors import reason
from modeseek.priors.pipeline.configurations import read_object

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_PACKED = ("I8", "U8", "I4", "F4", "F4_X2")  # of safetensors: weights that need scales to be read
_POINTER = b"version https://git-lfs"  # first bytes of a Git LFS pointer
_SHARD = r"-\d{5}-of-\d{5}"
TensorInfo = tuple[str, tuple[int, ...]]
"""Dtype as safetensors names it (F16, BF16, F32 ...) and shape of a stored tensor."""


@dataclass(frozen=True)
class WeightFiles:
    """Chosen weight files of a component, names within its folder.

    Attributes:
        files: one file, or all shards known so far.
        index: index of the shards; None for one file.
        variant: variant in the names, such as fp16; None for the plain ones.
        standard: whether diffusers and transformers find them under this variant by themselves.
    """

    files: tuple[str, ...]
    index: str | None = None
    variant: str | None = None
    standard: bool = True

    @property
    def label(self) -> str:
        """Name of the file, or of the index of the shards."""
        return self.index or self.files[0]


def choose_weights(
    names: Collection[str], stem: Literal["model", "diffusion_pytorch_model"], dtype: torch.dtype | None = None
) -> WeightFiles:
    """Chooses one set of weights among the file names of a component's folder.

    Plain names come first, then the variant of the dtype (fp16, bf16, fp32), then fp32, bf16, fp16 and ema, then the
    only one that is left. Where one file and shards stand side by side, the loading library's own order holds:
    diffusers reads the shards, transformers the one file.

    Args:
        names: file names in the folder.
        stem: beginning of the names: model (transformers) or diffusion_pytorch_model (diffusers).
        dtype: dtype that the weights will have.

    Raises:
        ValueError: no weights, pickled weights only, shards without an index, or several variants to choose from.
    """
    found: dict[str | None, list[WeightFiles]] = {}
    for chosen in (*_indexed(names, stem), *_whole(names, stem)):
        found.setdefault(chosen.variant, []).append(chosen)
    fitting = [name for name, precision in _PRECISIONS.items() if precision == dtype]
    for variant in (None, *fitting, *_PRECISIONS, "ema"):
        if variant in found:
            return found[variant][0 if stem == "diffusion_pytorch_model" else -1]
    if len(found) == 1:
        (only,) = found.values()
        return only[0 if stem == "diffusion_pytorch_model" else -1]
    if found:
        variants = ", ".join(sorted(str(variant) for variant in found))
        raise ValueError(
            f"holds only variants of its weights ({variants}); rename the one to use to {stem}.safetensors"
        )
    raise ValueError(_no_weights(names, stem))


def read_headers(folder: Path, chosen: WeightFiles) -> dict[str, TensorInfo]:
    """Reads dtype and shape of every tensor of the chosen files; no weights are read.

    Raises:
        ValueError: a file is missing, damaged or a Git LFS pointer, or the index does not fit its shards.
    """
    if chosen.index is None:
        return read_header(folder / chosen.files[0])
    path = folder / chosen.index
    shards = shard_of_tensors(path)
    tensors: dict[str, TensorInfo] = {}
    for name in sorted(set(shards.values())):
        if not (folder / name).is_file():
            raise ValueError(f"{folder / name} is missing: {chosen.index} names it; copy or download it again")
        header = read_header(folder / name)
        expected = {tensor for tensor, shard in shards.items() if shard == name}
        if set(header) != expected:
            odd = sorted(set(header) ^ expected)
            raise ValueError(
                f"{path} does not fit its shard {name}: they differ in {preview(odd)}; copy or download both again"
            )
        tensors |= header
    return tensors


def shard_of_tensors(index: Path) -> dict[str, str]:
    """Returns the file name of the shard of every tensor, from an index.

    Raises:
        ValueError: the index is damaged.
    """
    try:
        shards = read_object(index)["weight_map"]
        if not all(isinstance(name, str) and Path(name).name == name for name in shards.values()):
            raise ValueError("a shard must be a file beside it")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{index} is damaged: {reason(error)}; save it again") from error
    return shards


def read_header(file: Path) -> dict[str, TensorInfo]:
    """Reads dtype and shape of every tensor of a safetensors file, from its header.

    Raises:
        ValueError: the file is damaged, truncated or a Git LFS pointer.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with file.open("rb") as stream:
            pointer = stream.read(len(_POINTER)) == _POINTER
        if pointer:
            raise ValueError(f"{file} is a Git LFS pointer, not the weights: run git lfs pull in that repository")
        with safe_open(file, "np") as tensors:
            slices = {name: tensors.get_slice(name) for name in tensors.keys()}
            header = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
        packed = [name for name, (kind, shape) in header.items() if kind in _PACKED and len(shape) > 1]
        if packed:
            raise ValueError(
                f"{file} holds quantised weights ({header[packed[0]][0]} in {packed[0]}), which are not supported: try "
                "the unquantised model"
            )
        return header
    except (OSError, SafetensorError) as error:
        raise _damaged(file, error) from error


def first_rows(file: Path) -> Iterator[bytes]:
    """Yields the first row of every tensor of a safetensors file, as bytes: a probe of weights changed anywhere.

    Raises:
        ValueError: the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as tensors:
            for name in sorted(tensors.keys()):
                part = tensors.get_slice(name)
                row = part[:1] if part.get_shape() else tensors.get_tensor(name)
                yield row.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    except (OSError, SafetensorError) as error:
        raise _damaged(file, error) from error


def stored_dtypes(tensors: Mapping[str, TensorInfo]) -> str:
    """Returns the dtypes of stored tensors that are not integers of one dimension, most frequent first."""
    kinds = [kind for kind, _ in tensors.values() if kind != "I64"]
    return ", ".join(sorted(set(kinds), key=kinds.count, reverse=True))


def preview(names: Collection[str], n: int = 3) -> str:
    """Returns the first names, and how many there are."""
    shown = ", ".join(list(names)[:n])
    return f"{shown} ... ({len(names)} in all)" if len(names) > n else shown


def _damaged(file: Path, error: Exception) -> ValueError:
    return ValueError(f"{file} holds no safetensors: it is damaged or cut ({reason(error)}); copy or download it again")


def _whole(names: Collection[str], stem: str) -> list[WeightFiles]:
    pattern = re.compile(rf"{stem}(?:\.([^.]+?))?\.safetensors")
    matches = [(name, pattern.fullmatch(name)) for name in sorted(names)]
    return [
        WeightFiles((name,), variant=match[1])
        for name, match in matches
        if match is not None and not re.search(_SHARD, name)
    ]


def _indexed(names: Collection[str], stem: str) -> list[WeightFiles]:
    """Shards by their index: `.safetensors.index.fp16.json` today, `.safetensors.fp16.index.json` in older folders."""
    patterns = (
        (rf"{stem}\.safetensors\.index(?:\.([^.]+))?\.json", True),
        (rf"{stem}\.safetensors\.([^.]+)\.index\.json", False),
        (rf"{stem}\.([^.]+)\.safetensors\.index\.json", False),
    )
    found: dict[str | None, WeightFiles] = {}
    for pattern, standard in patterns:
        for name in sorted(names):
            match = re.fullmatch(pattern, name)
            if match is not None and match[1] not in found:
                dot = re.escape(f".{match[1]}") if match[1] else ""
                shard = re.compile(rf"{stem}(?:{dot}{_SHARD}|{_SHARD}{dot})\.safetensors")
                shards = tuple(file for file in sorted(names) if shard.fullmatch(file))
                found[match[1]] = WeightFiles(shards, name, match[1], standard)
    return list(found.values())


def _no_weights(names: Collection[str], stem: str) -> str:
    if any(re.search(_SHARD, name) and name.endswith(".safetensors") for name in names):
        return f"holds shards without their index, {stem}.safetensors.index.json; copy or download it again"
    pickled = sorted(name for name in names if name.endswith(PICKLED))
    if pickled:
        return (
            f"holds pickled weights only ({preview(pickled)}), which are never read: load them with diffusers where "
            "you trust them and save_pretrained(..., safe_serialization=True)"
        )
    other = sorted(name for name in names if name.endswith((".safetensors", ".gguf", ".msgpack", ".h5", ".onnx")))
    found = f"holds {preview(other)}" if other else "holds no weights"
    return f"{found}: expected {stem}.safetensors or its shards; copy or save it again"
