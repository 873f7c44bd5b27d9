"""Words that a text-to-image prior knows: `words.txt`, unknown words of prompts, and the remark on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from terminal import cli_error

import modeseek as ms
from modeseek.cli import main
from modeseek.io.remarks import RemarkWarning, collect_remarks
from modeseek.priors.pipeline.bundled_table import BUNDLED_PRIORS
from modeseek.priors.pipeline.vocabulary import Vocabulary, read_vocabulary, split_words
from tools.bundled_priors.vocabulary import write_vocabulary


@pytest.fixture(scope="module")
def scenes() -> ms.Pipeline:
    return ms.bundled("scenes", device="cpu", cache=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a Red cone, on THE blue cube", ["red", "cone", "on", "blue", "cube"]),
        ("an owl: from 30 degrees left (2)", ["owl", "degrees", "left"]),
        ("Müller's café – naïve", ["müller", "café", "naïve"]),
        ("cone cone CONE", ["cone"]),
        ("", []),
        ("3.5 + 2", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_a_vocabulary_is_written_and_read(tmp_path: Path) -> None:
    write_vocabulary(tmp_path, ["A red cone", "the blue cube"])
    assert (tmp_path / "words.txt").read_text() == "blue\ncone\ncube\nred\n"
    vocabulary = read_vocabulary(tmp_path)
    assert vocabulary == Vocabulary(frozenset(("blue", "cone", "cube", "red")), tmp_path.name)
    assert vocabulary.unknown("an astronaut on a red Horse") == ("astronaut", "on", "horse")
    assert read_vocabulary(tmp_path / "nowhere") is None
    (tmp_path / "words.txt").write_text("Cone\nCUBE\n")
    assert read_vocabulary(tmp_path).unknown("a cone, cubes") == ("cubes",)  # pyright: ignore[reportOptionalMemberAccess]
    (tmp_path / "words.txt").write_bytes("Bär".encode("latin-1"))
    with pytest.raises(ValueError, match="must be UTF-8 text, one word a line"):
        read_vocabulary(tmp_path)


@pytest.mark.parametrize("name", BUNDLED_PRIORS)
def test_a_bundled_prior_knows_its_own_examples(name: str) -> None:
    """Every example and default prompt of the table is of words that the prior was trained on; others are not."""
    prior = BUNDLED_PRIORS[name]
    vocabulary = read_vocabulary(prior.folder())
    assert vocabulary is not None
    assert [vocabulary.unknown(text) for text in (*prior.examples, *prior.prompts, *prior.captions)] == [()] * (
        len(prior.examples) + len(prior.prompts) + len(prior.captions)
    )
    assert vocabulary.unknown("a xylograph of a zeppelin") == ("xylograph", "zeppelin")


def test_the_scenes_prior_knows_what_its_renderer_says() -> None:
    from modeseek.datasets.scenes.object_types import OBJECT_TYPES
    from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS, SIZES

    words = {word for text in (*OBJECT_TYPES, *COLOURS, *RELATIONS, *SIZES) for word in split_words(text)}
    vocabulary = read_vocabulary(BUNDLED_PRIORS["scenes"].folder())
    assert vocabulary is not None and words <= vocabulary.words


def test_unknown_words_are_remarked_once(scenes: ms.Pipeline) -> None:
    assert scenes.unknown_words(["a red cone", "an astronaut riding a horse", "a horse"]) == (
        "astronaut", "riding", "horse",
    )  # fmt: skip
    assert ms.Guided(ms.Counting(scenes), 3.0).unknown_words(["a horse"]) == ("horse",)
    with collect_remarks() as remarks, pytest.warns(RemarkWarning):
        scenes.conditions(["a red cone", "an astronaut riding a horse"], ["blurry, low quality"] * 2)
        scenes.conditions(["an astronaut riding a horse", "a red cone"])
    assert len(remarks) == 1
    assert remarks[0].startswith("the scenes prior does not know: astronaut, riding, horse; ")
    with collect_remarks() as again, pytest.warns(RemarkWarning):
        scenes.conditions(["a horse"])
    assert len(again) == 1, "a second run under the same prior has it, too"
    assert "twenty objects" in remarks[0] and "modeseek list words scenes" in remarks[0] and "--prior" in remarks[0]
    with pytest.raises(TypeError, match="takes a list of texts, got one string"):
        scenes.unknown_words("a horse")


def test_others_cannot_tell(tmp_path: Path) -> None:
    import shutil

    import torch

    mixture = ms.GaussianMixture(torch.ones(1), torch.zeros(1, 2), torch.eye(2)[None])
    assert mixture.unknown_words(["a horse"]) is None and ms.Counting(mixture).unknown_words(["a horse"]) is None
    shutil.copytree(BUNDLED_PRIORS["scenes"].folder(), tmp_path / "mine")
    (tmp_path / "mine" / "words.txt").unlink()
    assert ms.Pipeline.load(tmp_path / "mine", device="cpu").unknown_words(["a horse"]) is None


@pytest.mark.filterwarnings("always::modeseek.io.remarks.RemarkWarning")
def test_the_command_says_so_before_the_run_and_in_its_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["image", "an astronaut riding a horse", "--steps", "1", "--film", "none", "--out", str(tmp_path / "run")])
    lines = [line for line in capsys.readouterr().err.splitlines() if "does not know" in line]
    assert len(lines) == 1
    assert lines[0].startswith("modeseek: warning: the scenes prior does not know: astronaut, riding, horse;")
    assert sum("does not know: astronaut" in line for line in ms.Run(tmp_path / "run").log) == 1
    assert "does not know: astronaut, riding, horse" in (tmp_path / "run" / "report.html").read_text()


def test_words_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "words"])
    assert "scenes knows 49 words" in (output := capsys.readouterr().out) and " snowman " in output
    main(["list", "words", "emoji"])
    assert " umbrella " in capsys.readouterr().out
    (tmp_path / "model_index.json").write_text("{}")
    assert "has no words.txt with the words that it knows" in cli_error(["list", "words", str(tmp_path)], capsys)
