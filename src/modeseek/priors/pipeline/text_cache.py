"""Cache of text conditions: encoders are loaded only for new texts and freed again; results are kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from modeseek.io.atomic import write_atomic
from modeseek.priors.pipeline.architectures import EncodedTexts
from modeseek.pytree import Cond, concatenate

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
        encode: function that loads the encoders, encodes a list of texts and frees the encoders.
        identity: identifier of the encoders, part of every key: other encoders never share a condition.
        folder: folder of the conditions; None keeps them in memory only.
    """

    def __init__(self, encode: Callable[[Sequence[str]], EncodedTexts], identity: str, folder: Path | None) -> None:
        self._encode, self._identity, self._folder = encode, identity, folder
        self._conditions: dict[str, dict[str, Tensor]] = {}

    def __call__(self, texts: Sequence[str]) -> Cond:
        """Returns the conditions of texts, (len(texts), ...); encoders are loaded only for texts not yet cached."""
        missing = list(dict.fromkeys(text for text in texts if not self._find(f"text:{text}")))
        if missing:
            self._encode_and_store(missing)
        return concatenate([self._conditions[f"text:{text}"] for text in texts])

    def null(self) -> Cond:
        """Returns the condition of the empty text, (1, ...), as the authors of the pipeline define it."""
        if not self._find("null"):
            self._encode_and_store([""])
        return self._conditions["null"]

    def _encode_and_store(self, texts: list[str]) -> None:
        encoded, null = self._encode(texts)
        self._store("null", null)
        for index, text in enumerate(texts):
            self._store(f"text:{text}", {name: part[index : index + 1] for name, part in encoded.items()})

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
        name = hashlib.sha256(json.dumps([self._identity, key]).encode()).hexdigest()
        return self._folder / "texts" / name[:2] / f"{name}.safetensors"


def hash_text_encoders(folder: Path) -> str:
    """Returns a hash of a pipeline's text encoders and tokenizers: names, sizes and both ends of every file."""
    total = hashlib.sha256()
    for path in sorted(folder.glob("text_encoder*/*")) + sorted(folder.glob("tokenizer*/*")):
        size = path.stat().st_size
        total.update(f"{path.relative_to(folder)}:{size}".encode())
        with path.open("rb") as file:
            total.update(file.read(_PROBE))
            file.seek(max(0, size - _PROBE))
            total.update(file.read(_PROBE))
    return total.hexdigest()
