"""Chunked encoding of long prompts under CLIP text encoders, as AUTOMATIC1111's and ComfyUI's interfaces encode them.

The tokens of a prompt are split into chunks of `limit - 2` (75 for CLIP), each with its own start and end and padded;
every chunk is encoded alone, and the embeddings are joined along the sequence. The last chunk is padded as usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from modeseek.pytree import Cond


def encode_sd_chunks(pipe: Any, texts: Sequence[str]) -> list[Cond]:
    """Returns the conditions of texts under Stable Diffusion 1 and 2, one row each, (1, n limit, d) for n chunks."""
    conditions = []
    for text in texts:
        inputs = chunk_tokens(pipe, pipe.tokenizer, text)
        mask = inputs["attention_mask"] if getattr(pipe.text_encoder.config, "use_attention_mask", False) else None
        chunks = pipe.text_encoder(inputs["input_ids"], attention_mask=mask)[0]
        conditions.append({"text": chunks.flatten(0, 1)[None]})
    return conditions


def encode_sdxl_chunks(pipe: Any, texts: Sequence[str]) -> list[Cond]:
    """Returns the conditions of texts under SDXL, one row each, (1, n limit, d); pooled is that of the first chunk."""
    encoders = [
        (tokenizer, encoder)
        for tokenizer, encoder in ((pipe.tokenizer, pipe.text_encoder), (pipe.tokenizer_2, pipe.text_encoder_2))
        if tokenizer is not None and encoder is not None
    ]
    conditions = []
    for text in texts:
        inputs = [chunk_tokens(pipe, tokenizer, text) for tokenizer, _ in encoders]
        n = max(len(tokens["input_ids"]) for tokens in inputs)
        embeddings, pooled = [], None
        for (tokenizer, encoder), tokens in zip(encoders, inputs, strict=True):
            missing = n - len(tokens["input_ids"])  # the other tokenizer needs more: filled with empty chunks
            empty = chunk_tokens(pipe, tokenizer, "")["input_ids"].expand(missing, -1)
            output = encoder(torch.cat([tokens["input_ids"], empty]), output_hidden_states=True)
            embeddings.append(output.hidden_states[-2].flatten(0, 1))
            if pooled is None and output[0].ndim == 2:  # of the encoder with a projection, as in diffusers
                pooled = output[0][:1]
        conditions.append({"text": torch.cat(embeddings, -1)[None], "pooled": pooled})
    return conditions


def chunk_tokens(pipe: Any, tokenizer: Any, text: str) -> dict[str, Tensor]:
    """Returns input_ids and attention_mask of the chunks of a text, (n, limit) each; at least one chunk."""
    limit = tokenizer.model_max_length
    prepared = pipe.maybe_convert_prompt(text, tokenizer)
    tokens = tokenizer(prepared, add_special_tokens=False, verbose=False).input_ids
    chunks = [tokens[start : start + limit - 2] for start in range(0, max(1, len(tokens)), limit - 2)]
    ids = [[tokenizer.bos_token_id, *chunk, tokenizer.eos_token_id] for chunk in chunks]
    device = pipe._execution_device
    padded = [row + [tokenizer.pad_token_id] * (limit - len(row)) for row in ids]
    mask = [[1] * len(row) + [0] * (limit - len(row)) for row in ids]
    return {
        "input_ids": torch.tensor(padded, device=device),
        "attention_mask": torch.tensor(mask, device=device),
    }


def pad_chunks(conditions: Sequence[Cond], filler: Tensor | None = None) -> list[Cond]:
    """Returns conditions of one length: shorter ones are filled up with chunks.

    Args:
        conditions: conditions whose "text" is (1, n limit, d), with any n.
        filler: embedding of the empty text, one chunk, (1, limit, d); None repeats conditions of one chunk.
    """
    longest = max(cond["text"].shape[1] for cond in conditions)
    return [{**cond, "text": _fill(cond["text"], longest, filler)} for cond in conditions]


def _fill(text: Tensor, length: int, filler: Tensor | None) -> Tensor:
    chunk = text if filler is None else filler
    missing = (length - text.shape[1]) // chunk.shape[1]
    return torch.cat([text, *[chunk.to(text)] * missing], 1)
