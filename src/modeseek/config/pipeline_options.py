"""Options of the prior that is conditioned on prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modeseek.config.priors import PipelinePriorConfig, PriorConfig
from modeseek.config.registry import PRIORS, REGISTRY
from modeseek.priors.pipeline import LoRA, TextualInversion
from modeseek.priors.pipeline.bundled_table import bundled_prior
from modeseek.priors.pipeline.text_encoding import LongPrompts


def prior_config(
    prior: str | PriorConfig,
    size: tuple[int, int] | None = None,
    loras: Sequence[str] = (),
    embeddings: Sequence[str] = (),
    long_prompts: LongPrompts = "cut",
) -> PriorConfig:
    """Returns the configuration of a text prior: one that is given, of another package by its name, or of a pipeline.

    Raises:
        ValueError: options of a pipeline beside a prior that takes none.
    """
    if not isinstance(prior, str):
        found = prior
    elif bundled_prior(prior) is not None or Path(prior).exists() or not PRIORS.is_foreign(prior):
        return pipeline_config(prior, size, loras, embeddings, long_prompts)
    else:
        found = REGISTRY.deserialize(PriorConfig, prior, "prior")
    options = {"size": size, "loras": loras, "embeddings": embeddings, "long_prompts": long_prompts != "cut"}
    given = [name for name, value in options.items() if value]
    if given:
        raise ValueError(
            f"{given[0]} must be set where the prior {found.title} is loaded, which takes its own options; remove it"
        )
    return found


def pipeline_config(
    path: str,
    size: tuple[int, int] | None = None,
    loras: Sequence[str] = (),
    embeddings: Sequence[str] = (),
    long_prompts: LongPrompts = "cut",
) -> PipelinePriorConfig:
    """Returns the configuration of a pipeline from options as typed on the command line or in Python.

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
