"""Words to conditions, once: encoders are loaded when a text is new, and freed again; answers are kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from modeseek.priors.pipeline.architectures import EncodedTexts
from modeseek.pytree import Cond, concatenate

_PROBE = 2**20  # bytes at each end of a weight file that its key is made of


def cache_folder() -> Path:
    """Where encoded texts are kept: `$MODESEEK_CACHE`, or `modeseek` in the user's cache folder."""
    given = os.environ.get("MODESEEK_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modeseek"


class TextCache:
    """Conditions of texts under one set of encoders.

    Args:
        encode: loads the encoders, answers for a list of texts and frees them.
        identity: of the encoders; conditions of others are never taken for theirs.
        folder: to keep answers in; None keeps them in memory only.
    """

    def __init__(self, encode: Callable[[Sequence[str]], EncodedTexts], identity: str, folder: Path | None) -> None:
        self._encode, self._identity, self._folder = encode, identity, folder
        self._known: dict[str, dict[str, Tensor]] = {}

    def __call__(self, texts: Sequence[str]) -> Cond:
        """(len(texts), ...) conditions; encoders are loaded only for texts never met before."""
        missing = list(dict.fromkeys(text for text in texts if not self._find(f"text:{text}")))
        if missing:
            self._learn(missing)
        return concatenate([self._known[f"text:{text}"] for text in texts])

    def null(self) -> Cond:
        """(1, ...) the condition of no text at all, as the pipeline's authors define it."""
        if not self._find("null"):
            self._learn([""])
        return self._known["null"]

    def _learn(self, texts: list[str]) -> None:
        told, null = self._encode(texts)
        self._keep("null", null)
        for index, text in enumerate(texts):
            self._keep(f"text:{text}", {name: part[index : index + 1] for name, part in told.items()})

    def _find(self, key: str) -> bool:
        if key not in self._known and self._folder is not None and self._file(key).is_file():
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            try:
                self._known[key] = load_file(self._file(key))
            except (SafetensorError, OSError):  # damaged: encoded again, and written over
                return False
        return key in self._known

    def _keep(self, key: str, cond: dict[str, Tensor]) -> None:
        plain = {name: part.detach().cpu().contiguous().clone() for name, part in cond.items()}
        self._known[key] = plain
        if self._folder is None:
            return
        from safetensors.torch import save_file

        file = self._file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_suffix(f".{os.getpid()}.part")
        save_file(plain, scratch)
        scratch.replace(file)

    def _file(self, key: str) -> Path:
        if self._folder is None:
            raise ValueError("this cache has no folder")
        name = hashlib.sha256(json.dumps([self._identity, key]).encode()).hexdigest()
        return self._folder / "texts" / name[:2] / f"{name}.safetensors"


def hash_text_encoders(folder: Path) -> str:
    """Tells one set of text encoders and tokenizers from another: names, sizes and both ends of every file."""
    total = hashlib.sha256()
    for path in sorted(folder.glob("text_encoder*/*")) + sorted(folder.glob("tokenizer*/*")):
        size = path.stat().st_size
        total.update(f"{path.relative_to(folder)}:{size}".encode())
        with path.open("rb") as file:
            total.update(file.read(_PROBE))
            file.seek(max(0, size - _PROBE))
            total.update(file.read(_PROBE))
    return total.hexdigest()
