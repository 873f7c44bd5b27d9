"""Prompts that are longer than the text encoders read: what is said, where the view phrase stands, and chunks."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import modeseek as ms
from modeseek.camera_conditions.debiased_prompts import DebiasedPrompts
from modeseek.camera_conditions.fine_prompts import FinePrompts
from modeseek.io.remarks import RemarkWarning, collect_remarks
from modeseek.priors.pipeline import Pipeline
from modeseek.priors.pipeline.prompt_length import PromptReaders, TextReader, longest_part, open_readers

diffusers = pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
from tiny import load  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
LONG = "red cone " * 50 + "end"  # longer than every tokenizer of tests/tiny.py reads
LIMITS = {  # tokens: of the tokenizers in tests/tiny.py (16), and of diffusers' encode_prompt
    "sd": {"text_encoder": 16},
    "sdxl": {"text_encoder": 16, "text_encoder_2": 16},
    "if": {"text_encoder": 77},
    "sd3": {"text_encoder": 16, "text_encoder_2": 16, "text_encoder_3": 256},
    "flux": {"text_encoder": 16, "text_encoder_2": 512},
    "pixart": {"text_encoder": 300},
}
VIEWS = ("front view", "side view", "back view", "overhead view")


@pytest.fixture
def library_lines() -> Iterator[list[str]]:
    """What diffusers and transformers log."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Handler()
    for name in ("diffusers", "transformers"):
        logging.getLogger(name).addHandler(handler)
    yield lines
    for name in ("diffusers", "transformers"):
        logging.getLogger(name).removeHandler(handler)


def remarks_of(function: Callable[[], Any]) -> list[str]:
    with collect_remarks() as remarks:
        function()
    return remarks


@pytest.mark.parametrize("name", LIMITS)
def test_what_is_cut_is_said_each_time(name: str, loaded: Callable[..., Pipeline], library_lines: list[str]) -> None:
    """Once per prompt and call, cached or not; by us, not by the libraries."""
    prior = loaded(name)
    assert {reader.name: reader.limit for reader in prior.prompts.readers.readers} == LIMITS[name]
    first, second = (remarks_of(lambda: prior.conditions([LONG, LONG, "red"])) for _ in range(2))
    assert first == second and len(first) == 1
    assert repr(LONG[:57])[:-1] in first[0] and "end'" in first[0]
    for encoder, limit in LIMITS[name].items():
        if limit < 512:
            assert encoder in first[0] and f"{limit} tokens" in first[0]
    whole = [encoder for encoder, limit in LIMITS[name].items() if limit == 512]
    assert [f"which {encoder} reads" in first[0] for encoder in whole] == [True] * len(whole)
    assert ("set long_prompts to chunk" in first[0]) == (name in ("sd", "sdxl"))
    assert remarks_of(lambda: prior.conditions(["red"], ["red"])) == []
    assert not any("truncated" in line or "longer than" in line for line in library_lines)


def test_the_words_that_are_cut(loaded: Callable[..., Pipeline]) -> None:
    """The tokenizer of tests/tiny.py: a token for each letter, one for the word red, 14 between start and end."""
    prior = loaded("sd")
    for text, unread in (
        ("red abc def ghi jkl mn", "mn"),
        ("red abc def ghi jklm", ""),
        ("red abc def ghi jklmn", "jklmn"),
        ("abcdefghijklmnopq", "opq"),
        ("abcdefghijklmn \n\t ", ""),
    ):
        found = remarks_of(lambda text=text: prior.encode([text]))
        assert len(found) == bool(unread), text
        assert all(f"does not read {unread!r}" in line for line in found)


def test_a_remark_is_a_warning_of_its_own(loaded: Callable[..., Pipeline]) -> None:
    with pytest.warns(
        RemarkWarning, match=r"'ab.*' is too long and was cut: text_encoder \(16 tokens\) does not read 'z"
    ):
        loaded("sd").encode(["ab" * 7 + " z"])


@pytest.mark.parametrize("name", LIMITS)
def test_every_encoder_reads_the_view_phrase(name: str, loaded: Callable[..., Pipeline]) -> None:
    prior = loaded(name)
    views = ("front", "side", "back", "top") if LIMITS[name]["text_encoder"] == 16 else VIEWS
    texts = prior.place_phrases(LONG, views)
    for text, view in zip(texts, views, strict=True):
        for reader in prior.prompts.readers.readers:
            assert reader.reads(text[: text.index(view) + len(view)]), reader.name
            read = text[: len(text) - len(reader.unread(text))]
            assert view in read
    assert len({text.replace(view, "") for text, view in zip(texts, views, strict=True)}) == 1, "else one prompt"
    widest = max(LIMITS[name].values())
    if widest > min(LIMITS[name].values()):  # the rest of the prompt follows, as far as T5 reads it
        reader = prior.prompts.readers.readers[-1]
        assert reader.reads(texts[0]) and (
            texts[0].count("cone") == 50 if widest == 512 else texts[0].count("cone") > 20
        )


@pytest.mark.parametrize("before", [False, True])
def test_a_prompt_that_fits_is_unchanged(before: bool, loaded: Callable[..., Pipeline]) -> None:
    prompt = "red,  cone "
    texts = prior_texts = loaded("sd").place_phrases(prompt, ("side", "back"), before)
    assert prior_texts == ([f"side, {prompt}", f"back, {prompt}"] if before else [f"{prompt}, side", f"{prompt}, back"])
    assert remarks_of(lambda: loaded("sd").encode(texts)) == []


def encoders(views: tuple[str, str, str, str]) -> list[Callable[[Pipeline, str], Any]]:
    prompts = ms.ViewPrompts(*views)
    return [
        lambda prior, prompt: prompts.encode(prior, [prompt]),
        lambda prior, prompt: ms.ViewPrompts(*views, before=True).encode(prior, [prompt]),
        lambda prior, prompt: FinePrompts((views,)).encode(prior, [prompt]),
        lambda prior, prompt: DebiasedPrompts(lambda text: (1, 1, 1, 1), prompts).encode(prior, [prompt]),
    ]


@pytest.mark.parametrize("kind", range(4), ids=["views", "views before", "fine", "debiased"])
@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "flux"])
def test_no_two_views_have_equal_conditions(name: str, kind: int, loaded: Callable[..., Pipeline]) -> None:
    views = ("front", "side", "back", "top")
    with collect_remarks() as remarks:
        conditions = encoders(views)[kind](loaded(name), LONG).conditions.positive
    for part in conditions.values():
        for i in range(4):
            for j in range(i):
                assert (part[i] - part[j]).abs().max() > 1e-5, (i, j)
    assert len(remarks) == 1, "once for a prompt, not for each view"


def test_two_prompts_keep_their_own_places(loaded: Callable[..., Pipeline]) -> None:
    prior, views = loaded("sd"), ms.ViewPrompts("front", "side", "back", "top")
    conditions = views.encode(prior, ["red", LONG, "abc"]).conditions
    want = prior.encode([*(f"red, {v}" for v in views.phrases), *prior.place_phrases(LONG, views.phrases),
                         *(f"abc, {v}" for v in views.phrases)])  # fmt: skip
    assert torch.equal(conditions.positive["text"], want["text"])


def test_a_phrase_that_no_encoder_reads(loaded: Callable[..., Pipeline]) -> None:
    with pytest.raises(
        ValueError, match=r"fit into a text encoder, got 'overhead view': 13 tokens, and text_encoder_2 reads 9"
    ):
        readers = [TextReader("text_encoder", 6, len), TextReader("text_encoder_2", 9, len)]
        PromptReaders(lambda: readers, "").place("red", ("side view", "overhead view"))
    with pytest.raises(ValueError, match="a view phrase must fit into a text encoder, got 'from 165 degrees"):
        FinePrompts((("from 165 degrees left, slightly above", "back"),)).encode(loaded("sd"), ["red"])
    texts = loaded("flux").place_phrases("red", ("from 165 degrees left",))  # T5 reads it
    assert texts == ["red, from 165 degrees left"]


def test_leading_parts_are_whole_words() -> None:
    def short(n: int) -> Callable[[str], bool]:
        return lambda text: len(text) <= n

    for text, n, want in (
        ("red cone end", 12, "red cone end"),
        ("red cone end", 11, "red cone"),
        ("red cone end", 8, "red cone"),
        ("red cone end", 7, "red"),
        ("red cone end", 2, "re"),
        ("red cone end", 0, ""),
        ("红色的圆锥", 3, "红色的"),
        ("  red cone", 5, "  red"),
    ):
        assert text[: longest_part(text, short(n))] == want, (text, n)


def test_an_encoder_that_is_null_reads_nothing(
    loaded: Callable[..., Pipeline], folder: Callable[[str], Path], tmp_path: Path
) -> None:
    import json

    shutil.copytree(folder("sd3"), path := tmp_path / "sd3")
    index = json.loads((path / "model_index.json").read_text())
    index |= {"text_encoder_3": [None, None], "tokenizer_3": [None, None]}
    (path / "model_index.json").write_text(json.dumps(index))
    assert [reader.limit for reader in load(path).prompts.readers.readers] == [16, 16]
    prior = loaded("sd3")  # its tokenizer may be there all the same
    readers = open_readers(prior.pipe, prior.family.token_limits, ("text_encoder", "text_encoder_2"))
    assert [reader.limit for reader in readers] == [16, 16]
