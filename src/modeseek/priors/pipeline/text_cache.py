"""Cache of text conditions: encoders are loaded only for new texts and freed again; results are kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from modeseek.io.atomic import write_atomic
from modeseek.priors.pipeline.identity import text_configuration
from modeseek.priors.pipeline.weight_files import first_rows
from modeseek.pytree import Cond

_PROBE = 2**20  # bytes hashed at each end of a weight file


def cache_folder() -> Path:
    """Returns the default cache folder: `$MODESEEK_CACHE`, or `modeseek` in the user's cache folder."""
    folder = os.environ.get("MODESEEK_CACHE")
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modeseek"


class TextCache:
    """Cache of text conditions under one set of encoders.

    Args:
        encode: function that loads the encoders, encodes a list of texts, one row each, and the empty text, and frees
            the encoders.
        identity: identifier of the encoders and of how they encode, part of every key: others never share a condition.
        folder: folder of the conditions; None keeps them in memory only.
    """

    def __init__(
        self, encode: Callable[[Sequence[str]], tuple[list[Cond], Cond]], identity: str, folder: Path | None
    ) -> None:
        self._encode, self.identity, self._folder = encode, identity, folder
        self._conditions: dict[str, dict[str, Tensor]] = {}

    def __call__(self, texts: Sequence[str]) -> list[Cond]:
        """Returns the condition of each text, (1, ...); encoders are loaded only for texts not yet cached."""
        missing = list(dict.fromkeys(text for text in texts if not self._find(f"text:{text}")))
        if missing:
            self._encode_and_store(missing)
        return [self._conditions[f"text:{text}"] for text in texts]

    def null(self) -> Cond:
        """Returns the condition of the empty text, (1, ...), as the authors of the pipeline define it."""
        if not self._find("null"):
            self._encode_and_store([""])
        return self._conditions["null"]

    def _encode_and_store(self, texts: list[str]) -> None:
        encoded, null = self._encode(texts)
        self._store("null", null)
        for text, cond in zip(texts, encoded, strict=True):
            self._store(f"text:{text}", cond)

    def _find(self, key: str) -> bool:
        if key not in self._conditions and self._folder is not None and self._file(key).is_file():
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            try:
                self._conditions[key] = load_file(self._file(key))
            except (SafetensorError, OSError):  # damaged: encoded again and overwritten
                return False
        return key in self._conditions

    def _store(self, key: str, cond: dict[str, Tensor]) -> None:
        tensors = {name: part.detach().cpu().contiguous().clone() for name, part in cond.items()}
        self._conditions[key] = tensors
        if self._folder is None:
            return
        from safetensors.torch import save

        write_atomic(self._file(key), save(tensors), shared=True, parents=True)

    def _file(self, key: str) -> Path:
        if self._folder is None:
            raise ValueError("this cache has no folder")
        name = hashlib.sha256(json.dumps([self.identity, key]).encode()).hexdigest()
        return self._folder / "texts" / name[:2] / f"{name}.safetensors"


def hash_text_encoders(folder: Path, checkpoint: Path | None = None) -> str:
    """Returns a hash of a pipeline's text encoders and tokenizers, without reading all of their weights.

    It covers the classes and settings in `model_index.json`, all configurations and vocabularies, and of the weights
    names, sizes, both ends of every file and the first row of every tensor. Versions and paths do not count.

    Args:
        folder: folder of the pipeline.
        checkpoint: single-file checkpoint with the weights; None if they are in the folder.
    """
    total = hashlib.sha256()
    for name, fields in text_configuration(folder).items():
        total.update(f"{name}:{json.dumps(fields, sort_keys=True)}".encode())
    files = sorted(folder.glob("text_encoder*/*.safetensors"))
    for path in (*files, *(() if checkpoint is None else (checkpoint,))):
        size = path.stat().st_size
        total.update(f"{path.name if path == checkpoint else path.relative_to(folder)}:{size}".encode())
        with path.open("rb") as file:
            total.update(file.read(_PROBE))
            file.seek(max(0, size - _PROBE))
            total.update(file.read(_PROBE))
        if size > 2 * _PROBE:
            for part in first_rows(path):
                total.update(part)
    return total.hexdigest()
