"""Chunked encoding of long prompts against chunks that are encoded by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import modeseek as ms
from modeseek.io.remarks import collect_remarks
from modeseek.priors.pipeline import Pipeline

diffusers = pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
from tiny import load  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
LONG = "red cone " * 50 + "end"


def words(n: int) -> str:
    """A text of n tokens."""
    return " ".join("red" if i % 3 else chr(97 + i % 26) for i in range(n))


def chunk_by_hand(pipe: Any, text: str, limit: int = 16) -> dict[str, Tensor]:
    """Chunks of limit - 2 tokens, each encoded with a start and an end, and joined."""
    parts = {}
    encoders = [(pipe.tokenizer, pipe.text_encoder)]
    if hasattr(pipe, "text_encoder_2"):
        encoders.append((pipe.tokenizer_2, pipe.text_encoder_2))
    joined = []
    for tokenizer, encoder in encoders:
        tokens = tokenizer(text).input_ids[1:-1]
        rows = []
        for start in range(0, max(len(tokens), 1), limit - 2):
            row = [tokenizer.bos_token_id, *tokens[start : start + limit - 2], tokenizer.eos_token_id]
            rows.append(row + [tokenizer.pad_token_id] * (limit - len(row)))
        with torch.no_grad():
            outputs = [encoder(torch.tensor([row]), output_hidden_states=True) for row in rows]
        hidden = [out.hidden_states[-2] if len(encoders) > 1 else out.last_hidden_state for out in outputs]
        joined.append(torch.cat(hidden, 1))
        if encoder is not encoders[0][1]:
            parts["pooled"] = outputs[0].text_embeds
    return parts | {"text": torch.cat(joined, 2)}


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_chunks_are_the_formula(name: str, loaded: Callable[..., Pipeline], folder: Callable[[str], Path]) -> None:
    kind = diffusers.StableDiffusionXLPipeline if name == "sdxl" else diffusers.StableDiffusionPipeline
    pipe = kind.from_pretrained(folder(name), **({} if name == "sdxl" else {"safety_checker": None}))
    for n in (0, 1, 14, 15, 28, 29, 60):
        found, want = loaded(name, "chunk").encode([words(n)]), chunk_by_hand(pipe, words(n))
        assert found["text"].shape[1] == 16 * max(1, -(-n // 14))
        for key, tensor in want.items():
            assert torch.allclose(found[key], tensor, atol=1e-5), (n, key)


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_a_prompt_of_one_chunk_is_encoded_as_ever(name: str, loaded: Callable[..., Pipeline]) -> None:
    short = ["red abc", words(14)]
    cut, chunked = (loaded(name, option).conditions(short, ["abc", ""]) for option in ("cut", "chunk"))
    for part in ("positive", "null", "negative"):
        for key, tensor in getattr(cut, part).items():
            assert torch.allclose(getattr(chunked, part)[key], tensor, atol=1e-5), (part, key)


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_conditions_of_one_batch_have_one_length(name: str, loaded: Callable[..., Pipeline]) -> None:
    prior = loaded(name, "chunk")
    texts, negative = [words(3), words(30)], [words(20), ""]
    with collect_remarks() as remarks:
        conditions = prior.conditions(texts, negative)
    assert remarks == []
    single = {text: prior.encode([text])["text"] for text in [*texts, *negative]}
    empty, null = single[""], prior.conditions([""]).null["text"]
    assert (conditions.positive["text"].shape[1], conditions.negative["text"].shape[1]) == (48, 48)
    want = [torch.cat([single[text], *[empty] * (3 - single[text].shape[1] // 16)], 1) for text in [*texts, *negative]]
    assert torch.equal(conditions.positive["text"], torch.cat(want[:2]))
    assert torch.equal(conditions.negative["text"], torch.cat(want[2:]))
    assert torch.equal(conditions.null["text"], torch.cat([null] * 3, 1))
    if name == "sdxl":
        assert (null == 0).all(), "SDXL's empty text, also where it is longer"
    z = torch.randn(2, *prior.shape, generator=torch.Generator().manual_seed(0))
    eps = [ms.Guided(prior, 2.0)(z, torch.full((2,), 0.5), c).eps
           for c in (conditions, prior.conditions([words(3), words(14)], negative))]  # fmt: skip
    assert torch.isfinite(eps[0]).all() and (eps[0] - eps[1])[1].abs().max() > 1e-4
    assert torch.equal(prior.encode([words(3)])["text"], single[words(3)]), "not the length of an earlier batch"


def test_the_view_phrase_of_a_long_prompt_is_in_the_last_chunk(loaded: Callable[..., Pipeline]) -> None:
    prior = loaded("sd", "chunk")
    assert prior.place_phrases(LONG, ("side view",)) == [f"{LONG}, side view"]


def test_the_cache_keeps_chunks_apart(folder: Callable[[str], Path], tmp_path: Path) -> None:
    text = words(30)
    cut, chunked, again = (
        load(folder("sd"), cache=tmp_path, long_prompts=option) for option in ("cut", "chunk", "cut")
    )
    assert [prior.encode([text])["text"].shape[1] for prior in (cut, chunked, again)] == [16, 48, 16]
    assert cut.text_cache.identity == again.text_cache.identity != chunked.text_cache.identity
    chunked.encode([words(50), words(2)])
    assert load(folder("sd"), cache=tmp_path, long_prompts="chunk").encode([words(2)])["text"].shape[1] == 16


@pytest.mark.parametrize("name", ["if", "sd3", "flux", "pixart"])
def test_families_that_are_not_chunked(name: str, folder: Callable[[str], Path]) -> None:
    with pytest.raises(
        ValueError, match="long_prompts=chunk needs CLIP text encoders alone .* got .*Pipeline, whose T5"
    ):
        load(folder(name), long_prompts="chunk")
