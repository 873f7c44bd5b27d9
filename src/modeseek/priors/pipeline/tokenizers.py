"""Tokenizers of a pipeline: loading, and checks that their files are whole and fit the text encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from modeseek.io.errors import reason
from modeseek.io.quiet import silence
from modeseek.priors.pipeline.configurations import component_class, read_config
from modeseek.priors.pipeline.weight_files import preview

TOKENIZERS = {"tokenizer": "text_encoder", "tokenizer_2": "text_encoder_2", "tokenizer_3": "text_encoder_3"}
"""Tokenizers of a pipeline, and the text encoder that each serves."""
TEXT_ENCODERS = tuple(TOKENIZERS.values())


def load_tokenizers(pipeline: Path) -> dict[str, Any]:
    """Loads and checks every tokenizer that `model_index.json` names.

    Raises:
        ValueError: a tokenizer's files are missing, damaged or cut, or do not fit its text encoder.
    """
    found: dict[str, Any] = {}
    for name, encoder in TOKENIZERS.items():
        if component_class(pipeline, name) is not None:
            found[name] = load_tokenizer(pipeline, name)
            if component_class(pipeline, encoder) is not None:
                check_tokenizer(found[name], pipeline / name, read_config(pipeline / encoder))
    return found


def load_tokenizer(pipeline: Path, name: str) -> Any:
    """Loads one tokenizer; no remote code, no network access.

    Raises:
        ValueError: it cannot be loaded; the line names it.
    """
    library, kind = component_class(pipeline, name) or ("null", "null")
    folder = pipeline / name
    tokenizer_class = getattr(import_module("transformers"), kind, None) if library == "transformers" else None
    if tokenizer_class is None:
        raise ValueError(f"{folder} must be a tokenizer of transformers, got {kind} of {library}; save it again")
    if not (folder / "tokenizer_config.json").is_file():
        raise ValueError(f"{folder / 'tokenizer_config.json'} is missing; copy or download the tokenizer again")
    try:
        with silence("transformers"):
            return tokenizer_class.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the Rust library raises bare exceptions
        raise ValueError(
            f"{folder} cannot be loaded as a {kind}, its files are damaged or missing ({reason(error)}); copy or "
            "download it again"
        ) from error


def check_tokenizer(tokenizer: Any, folder: Path, encoder: Mapping[str, Any]) -> None:
    """Checks a tokenizer's vocabulary, merges and lengths: transformers builds an empty one where files are missing.

    Args:
        tokenizer: tokenizer of transformers.
        folder: its folder, for the line.
        encoder: configuration of its text encoder.

    Raises:
        ValueError: different texts have the same tokens, merges are missing, or it does not fit the text encoder.
    """
    if set(tokenizer("red sun").input_ids) == set(tokenizer("big top").input_ids):
        raise ValueError(f"{folder} has no vocabulary: its files are missing; save the pipeline again")
    unreachable = _unreachable_tokens(tokenizer)
    if unreachable:
        raise ValueError(
            f"{folder} lacks the merges of {preview(unreachable)}: its merges.txt or tokenizer.json is cut; copy or "
            "download it again"
        )
    n_rows = encoder.get("vocab_size")
    if n_rows is not None and len(tokenizer) > n_rows:
        raise ValueError(
            f"{folder} has {len(tokenizer)} tokens, more than the {n_rows} of its text encoder: it is another model's; "
            "copy both from one model"
        )
    places = encoder.get("max_position_embeddings")
    if places is not None and tokenizer.model_max_length > places:
        raise ValueError(
            f"{folder / 'tokenizer_config.json'} must have a model_max_length of at most {places}, the positions of "
            f"its text encoder, got {tokenizer.model_max_length}; copy or download it again"
        )


def _unreachable_tokens(tokenizer: Any) -> list[str]:
    """Returns the tokens of a byte-pair vocabulary that no merge forms, in the order of the vocabulary."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return []
    model = json.loads(backend.to_str())["model"]
    if model["type"] != "BPE":
        return []
    suffix, added = model["end_of_word_suffix"] or "", set(tokenizer.get_added_vocab())
    formed = {"".join(pair) for pair in model["merges"]}
    return [
        token
        for token in model["vocab"]
        if len(token.removesuffix(suffix)) > 1 and token not in formed and token not in added
    ]
