"""Encoding of prompts by a pipeline's text encoders, with LoRA and textual inversion, whole or in chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Literal

import torch

from modeseek.priors.pipeline.configurations import component_class
from modeseek.priors.pipeline.loading import PipelineSource, open_pipeline
from modeseek.priors.pipeline.lora_fit import FittedLoRA
from modeseek.priors.pipeline.prompt_length import PromptReaders, TextReader, open_readers, without_truncation_logs
from modeseek.priors.pipeline.text_cache import hash_text_encoders
from modeseek.priors.pipeline.textual_inversion import (
    TextualInversion,
    add_tokens,
    insert_embeddings,
    lower_tokens,
    read_tokens,
    remark_partial_embeddings,
)
from modeseek.priors.pipeline.tokenizers import TEXT_ENCODERS
from modeseek.pytree import Cond

LongPrompts = Literal["cut", "chunk"]


@dataclass(frozen=True)
class TextEncoding:
    """Function from texts to their conditions; the text encoders are loaded for each call and freed.

    Attributes:
        source: place of the pipeline.
        dtype: dtype of the text encoders.
        device: device that they run on.
        loras: LoRA whose updates of text encoders are merged.
        embeddings: textual inversions.
        long_prompts: what is done with prompts that are longer than the text encoders read: cut, or chunk.

    Raises:
        ValueError: chunks under a family whose text encoders are not CLIP's.
    """

    source: PipelineSource
    dtype: torch.dtype
    device: torch.device
    loras: tuple[FittedLoRA, ...] = ()
    embeddings: tuple[TextualInversion, ...] = ()
    long_prompts: LongPrompts = "cut"

    def __post_init__(self) -> None:
        if self.long_prompts not in ("cut", "chunk"):
            raise ValueError(f"long_prompts must be cut or chunk, got {self.long_prompts!r}; try chunk")
        if self.long_prompts == "chunk" and self.source.family.encode_chunks is None:
            raise ValueError(
                "long_prompts=chunk needs CLIP text encoders alone (Stable Diffusion 1, 2 and XL), got "
                f"{self.source.kind}, whose T5 reads long prompts; use cut"
            )

    def __call__(self, texts: Sequence[str]) -> tuple[list[Cond], Cond]:
        """Returns the conditions of texts, one row each, and that of the empty text as the pipeline defines it.

        Raises:
            ValueError: text encoders that cannot be loaded, or embeddings that do not fit them.
        """
        family, tokens = self.source.family, read_tokens(self.embeddings)
        texts = [lower_tokens(text, tokens) for text in texts]
        pipe = open_pipeline(self.source, self.dtype, leave_out=(family.network, "vae"))
        insert_embeddings(pipe, self.embeddings)
        for lora in self.loras:
            for name in self.encoders:
                lora.merge(name, getattr(pipe, name))
        pipe.to(self.device)
        with torch.no_grad(), without_truncation_logs(pipe):
            if self.long_prompts == "chunk" and family.encode_chunks is not None:
                return family.encode_chunks(pipe, texts), family.encode(pipe, [""])[1]
            encoded, null = family.encode(pipe, texts)
        rows = [{name: part[index : index + 1] for name, part in encoded.items()} for index in range(len(texts))]
        return rows, null

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of the text encoders that the pipeline has."""
        return tuple(name for name in TEXT_ENCODERS if component_class(self.source.folder, name) is not None)

    @property
    def identity(self) -> str:
        """Identifier of the conditions: encoders and tokenizers, LoRA, textual inversions, and chunks."""
        parts = [f"{self.source.kind}:{self.dtype}:{hash_text_encoders(self.source.folder, self.source.checkpoint)}"]
        parts += [f"{lora.scale!r}:{lora.sha256}" for lora in self.loras if set(lora.updates) & set(TEXT_ENCODERS)]
        parts += [f"embedding:{embedding.read()[0]}:{embedding.sha256()}" for embedding in self.embeddings]
        return "|".join(parts + (["chunk"] if self.long_prompts == "chunk" else []))

    def readers(self, pipe: Any) -> PromptReaders:
        """Returns the readers of prompts, by the tokenizers of a pipeline; tokens of embeddings are added to them."""
        limits, tokens = self.source.family.token_limits, read_tokens(self.embeddings)
        add_tokens(pipe, self.embeddings)
        remark_partial_embeddings(self.embeddings, self.encoders)

        def prepare(pipe: Any, tokenizer: Any, text: str) -> str:
            return limits.prepare(pipe, tokenizer, lower_tokens(text, tokens))

        def open() -> Sequence[TextReader]:
            return (
                ()
                if self.long_prompts == "chunk"
                else open_readers(pipe, replace(limits, prepare=prepare), self.encoders)
            )

        chunks = self.source.family.encode_chunks is not None
        return PromptReaders(open, "shorten it" + (", or set long_prompts to chunk" if chunks else ""))


def skeletons(source: PipelineSource) -> dict[str, Any]:
    """Returns the text encoders of a pipeline by name, on the meta device: modules and shapes without weights."""
    found = {}
    for name in TEXT_ENCODERS:
        named = component_class(source.folder, name)
        if named is not None:
            library, kind = named
            model_class = getattr(import_module(library), kind)
            config = model_class.config_class.from_pretrained(source.folder / name, local_files_only=True)
            with torch.device("meta"):
                found[name] = model_class(config)
    return found
