"""Textual inversion: learned embeddings of new tokens, read by diffusers' own loader.

Gal, Alaluf, Atzmon, Patashnik, Bermano, Chechik, Cohen-Or 2022, arXiv 2208.01618: only the embeddings are trained.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from torch import Tensor

from modeseek.io.checksums import sha256_of
from modeseek.io.errors import reason
from modeseek.io.paths import PathText
from modeseek.io.quiet import silence
from modeseek.io.remarks import add_remark

_ENCODER_KEYS = {"clip_l": 0, "clip_g": 1, "t5": 1}  # names in files for several encoders, and the encoder's index
_NAMELESS_KEYS = ("emb_params", "*")  # AUTOMATIC1111 and kohya: the token is the name of the file


@dataclass(frozen=True)
class TextualInversion:
    """Textual inversion file: embeddings of a token for prompts.

    Attributes:
        path: path of a .safetensors file.
        token: token that prompts write; empty for the one in the file, or, where it names none, the file's name.
    """

    path: PathText
    token: str = ""

    def __post_init__(self) -> None:
        self._require_one_word(self.token)

    def read(self) -> tuple[str, dict[str, Tensor]]:
        """Returns the token and its embeddings by their names in the file, (number of vectors, width) each.

        Raises:
            ValueError: there is no such file, or it holds no embeddings; pickled files are never read.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = Path(self.path).expanduser()
        if path.suffix != ".safetensors" or not path.is_file():
            problem = "no such file" if not path.is_file() else "pickled files are never read"
            raise ValueError(
                f"a textual inversion must be a .safetensors file, got {self.path} ({problem}); try the path of one"
            )
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{self.path} is no safetensors file: {reason(error)}; save it again") from error
        named = set(tensors) <= set(_ENCODER_KEYS)
        if not tensors or not (named or len(tensors) == 1) or any(t.ndim not in (1, 2) for t in tensors.values()):
            kind = "a LoRA: pass it as one" if any("lora" in key for key in tensors) else "no embeddings of one token"
            raise ValueError(
                f"{self.path} is no textual inversion, got {kind} ({len(tensors)} tensors, the first "
                f"{min(tensors, default='none')}); try another file"
            )
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise ValueError(f"the embeddings of {self.path} must be finite, got NaN or infinity; train it again")
        stored = next(iter(tensors))
        token = self.token or (path.stem if named or stored in _NAMELESS_KEYS else stored)
        self._require_one_word(token)
        return token, {key: tensor.reshape(-1, tensor.shape[-1]) for key, tensor in tensors.items()}

    def _require_one_word(self, token: str) -> None:
        if token != "".join(token.split()):
            raise ValueError(f"the token of {self.path} must be one word, got {token!r}; give it one, such as <thing>")

    def sha256(self) -> str:
        """Returns the SHA-256 of the file."""
        return sha256_of(Path(self.path).expanduser())


def read_tokens(embeddings: Sequence[TextualInversion]) -> list[str]:
    """Returns the tokens of textual inversions.

    Raises:
        ValueError: a file that cannot be read, or a token that is part of another.
    """
    tokens = [embedding.read()[0] for embedding in embeddings]
    for first, second in permutations(range(len(tokens)), 2):
        if tokens[first].lower() in tokens[second].lower():
            raise ValueError(
                f"tokens must differ, got {tokens[first]!r} of {embeddings[first].path} and {tokens[second]!r} of "
                f"{embeddings[second].path}; give one of them another token"
            )
    return tokens


def lower_tokens(text: str, tokens: Sequence[str]) -> str:
    """Returns a text with its tokens of embeddings in lower case, as the tokenizers have them.

    CLIP's tokenizer lowers all letters, and a token of capitals would be that of its first vector alone.
    """
    for token in tokens:
        text = re.sub(re.escape(token), token.lower().replace("\\", r"\\"), text, flags=re.IGNORECASE)
    return text


def insert_embeddings(pipe: Any, embeddings: Sequence[TextualInversion]) -> None:
    """Inserts embeddings, under their tokens in lower case, into the tokenizers and text encoders of a pipeline.

    Raises:
        ValueError: a pipeline without textual inversion, a token that a tokenizer has, or embeddings of another width.
    """
    for embedding in embeddings:
        name, tensors = embedding.read()
        token = name.lower()
        targets = _targets(pipe, embedding, tensors)
        with silence("diffusers", "transformers", reported=(r"new embeddings will be initialized",)):  # these follow
            for key, (tokenizer, encoder) in targets.items():
                try:
                    pipe.load_textual_inversion(
                        {token: tensors[key]}, token=token, tokenizer=tokenizer, text_encoder=encoder
                    )
                except ValueError as error:
                    raise ValueError(
                        f"the token {name!r} of {embedding.path} must be new: {reason(error, 80)}; try another token, "
                        f"such as <{name}>"
                    ) from error
                _pool_at_end(encoder, tokenizer)


def add_tokens(pipe: Any, embeddings: Sequence[TextualInversion]) -> None:
    """Adds the tokens of embeddings to the tokenizers alone, for counting: one token per vector.

    Raises:
        ValueError: a pipeline without textual inversion, or embeddings for a text encoder that it does not have.
    """
    for embedding in embeddings:
        token, tensors = embedding.read()
        if not hasattr(pipe, "load_textual_inversion"):
            raise ValueError(
                f"diffusers has no textual inversion for {type(pipe).__name__}: got {embedding.path}; remove it"
            )
        for key, tensor in tensors.items():
            suffix = _suffix(_ENCODER_KEYS.get(key, 0))
            tokenizer = getattr(pipe, f"tokenizer{suffix}", None)
            if tokenizer is None:
                raise ValueError(
                    f"{embedding.path} does not fit a {type(pipe).__name__}: {key} is for text_encoder{suffix}, and it "
                    "has none; use one trained for it"
                )
            tokenizer.add_tokens([part.lower() for part in (token, *(f"{token}_{i}" for i in range(1, len(tensor))))])


def remark_unused_tokens(embeddings: Sequence[TextualInversion], tokens: Sequence[str], texts: Collection[str]) -> None:
    """Adds a remark for each token that no text holds."""
    for embedding, token in zip(embeddings, tokens, strict=True):
        if not any(token.lower() in text.lower() for text in texts):
            add_remark(f"the token {token!r} of {embedding.path} is in no prompt, so its embeddings have no effect; "
                       f"write {token} in the prompt")  # fmt: skip


def _targets(pipe: Any, embedding: TextualInversion, tensors: dict[str, Tensor]) -> dict[str, tuple[Any, Any]]:
    """Returns the tokenizer and the text encoder of each tensor."""
    targets = {}
    for key, tensor in tensors.items():
        suffix = _suffix(_ENCODER_KEYS.get(key, 0))
        tokenizer, encoder = getattr(pipe, f"tokenizer{suffix}"), getattr(pipe, f"text_encoder{suffix}")
        width = encoder.get_input_embeddings().weight.shape[1]
        if width != tensor.shape[1]:
            raise ValueError(
                f"{embedding.path} does not fit a {type(pipe).__name__}: {key} is {tensor.shape[1]} wide, "
                f"text_encoder{suffix} is {width} wide; use one trained for it"
            )
        targets[key] = (tokenizer, encoder)
    return targets


def remark_partial_embeddings(embeddings: Sequence[TextualInversion], encoders: Collection[str]) -> None:
    """Adds a remark for each file that holds embeddings for some of the CLIP text encoders only."""
    for embedding in embeddings:
        _, tensors = embedding.read()
        without = sorted(set(encoders) - {f"text_encoder{_suffix(_ENCODER_KEYS.get(key, 0))}" for key in tensors})
        if without:
            add_remark(f"{embedding.path} holds no embeddings for {' and '.join(without)}, which reads its token as "
                       "plain text")  # fmt: skip


def _pool_at_end(encoder: Any, tokenizer: Any) -> None:
    """Makes an encoder of an old configuration pool at the end token, not at the largest, which is now a new one."""
    for module in encoder.modules():
        if getattr(module, "eos_token_id", None) == 2:  # transformers: an argmax over the tokens
            module.eos_token_id = tokenizer.eos_token_id


def _suffix(index: int) -> str:
    return f"_{index + 1}" if index else ""
