"""Changes of a saved pipeline's weights, for the rows of the page and for tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Tensors = dict[str, Tensor]


def weight_file(folder: Path) -> Path:
    """The one file of weights of a component's folder."""
    (file,) = folder.glob("*.safetensors")
    return file


def rewrite(part: str, change: Callable[[Tensors], Tensors]) -> Callable[[Path], None]:
    """A change of the tensors of one component."""

    def apply(folder: Path) -> None:
        file = weight_file(folder / part)
        save_file(change(load_file(file)), file, metadata={"format": "pt"})

    return apply


def without(part: str, fragment: str) -> Callable[[Path], None]:
    """A component without the tensors whose names hold a fragment."""
    return rewrite(part, lambda tensors: {key: value for key, value in tensors.items() if fragment not in key})


def with_extra(part: str, name: str, shape: tuple[int, ...] = (3,)) -> Callable[[Path], None]:
    """A component with one more tensor of zeros."""
    return rewrite(part, lambda tensors: tensors | {name: torch.zeros(shape)})


def with_bytes(file: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A pipeline with the bytes of one file changed."""

    def apply(folder: Path) -> None:
        path = folder / file
        path.write_bytes(change(path.read_bytes()))

    return apply


def removed(*files: str) -> Callable[[Path], None]:
    """A pipeline without these files."""

    def apply(folder: Path) -> None:
        for name in files:
            (folder / name).unlink()

    return apply


def edited(file: str, **fields: object) -> Callable[[Path], None]:
    """A pipeline with fields of a JSON file set."""

    def apply(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return apply


def both(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    """Several changes, one after the other."""

    def apply(folder: Path) -> None:
        for change in changes:
            change(folder)

    return apply


def sharded(part: str, variant: str = "", legacy: bool = False, n: int = 3) -> Callable[[Path], None]:
    """A component in shards, with the names of today or with those that diffusers wrote before 0.31."""

    def apply(folder: Path) -> None:
        file = weight_file(folder / part)
        stem = file.name.split(".")[0]
        tensors, names = load_file(file), {}
        file.unlink()
        dot = f".{variant}" if variant else ""
        for index in range(n):
            count = f"-{index + 1:05d}-of-{n:05d}"
            name = f"{stem}{count}{dot}.safetensors" if legacy else f"{stem}{dot}{count}.safetensors"
            shard = dict(list(tensors.items())[index::n])
            save_file(shard, file.with_name(name), metadata={"format": "pt"})
            names |= dict.fromkeys(shard, name)
        index_name = f"{stem}.safetensors{dot}.index.json" if legacy else f"{stem}.safetensors.index{dot}.json"
        content = {"metadata": {"total_size": 1}, "weight_map": names}
        file.with_name(index_name).write_text(json.dumps(content))

    return apply


def as_variant(
    part: str, variant: str, dtype: torch.dtype = torch.float32, keep: bool = False
) -> Callable[[Path], None]:
    """A component whose file has a variant in its name and another dtype; `keep` leaves the plain file beside it."""

    def apply(folder: Path) -> None:
        file = weight_file(folder / part)
        tensors = {
            key: value.to(dtype) if value.is_floating_point() else value for key, value in load_file(file).items()
        }
        save_file(tensors, file.with_suffix(f".{variant}.safetensors"), metadata={"format": "pt"})
        if not keep:
            file.unlink()

    return apply
