"""Options of the pipeline that reads prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modeseek.config.priors import PipelinePriorConfig
from modeseek.priors.pipeline import LoRA, TextualInversion
from modeseek.priors.pipeline.text_encoding import LongPrompts


def pipeline_config(
    path: str,
    size: tuple[int, int] | None = None,
    loras: Sequence[str] = (),
    embeddings: Sequence[str] = (),
    long_prompts: LongPrompts = "cut",
) -> PipelinePriorConfig:
    """Returns the configuration of a pipeline from the options of a command.

    Raises:
        ValueError: a LoRA or an embedding that is not written as FILE or FILE=VALUE.
    """
    return PipelinePriorConfig(
        path,
        size,
        loras=tuple(map(LoRA.parse, loras)),
        embeddings=tuple(map(parse_embedding, embeddings)),
        long_prompts=long_prompts,
    )


def parse_embedding(text: str) -> TextualInversion:
    """Returns the textual inversion that FILE or FILE=TOKEN names; a file whose own name has = is found as it is."""
    path, equals, token = text.partition(".safetensors=")
    if not equals or Path(text).exists():
        return TextualInversion(text)
    return TextualInversion(f"{path}.safetensors", token)
