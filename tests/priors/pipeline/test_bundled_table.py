"""Table of the bundled priors: rows that agree with the files, and names that are no folders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from modeseek.datasets.scenes import parse
from modeseek.io import packaged
from modeseek.priors.pipeline.bundled_table import BUNDLED_PRIORS, SCENES, BundledPrior, bundled_prior
from modeseek.priors.pipeline.diffusers_sampling import find_stable_diffusion
from modeseek.priors.pipeline.loading import find_pipeline_folder
from modeseek.priors.pipeline.requirements import read_requirements

ROWS = pytest.mark.parametrize("row", BUNDLED_PRIORS.values(), ids=lambda row: row.name)


def test_the_names_are_those_of_the_folders() -> None:
    folders = {path.parent.name for path in packaged.data_folder().glob("*/model_index.json")}
    assert folders == set(BUNDLED_PRIORS) == {"scenes", "emoji"}
    assert all(name == row.name for name, row in BUNDLED_PRIORS.items())
    assert bundled_prior("bundled") is SCENES and bundled_prior("./emoji") is None and bundled_prior("judge") is None


@ROWS
def test_a_row_agrees_with_its_files(row: BundledPrior) -> None:
    assert read_requirements(row.name).pixels == row.size == (64, 64)
    assert row.folder() == row.card.parent == packaged.data_folder() / row.name
    assert row.scale > 1 and row.steps > 0 and row.examples


@ROWS
def test_a_card_tells_what_the_row_tells(row: BundledPrior) -> None:
    card = row.card.read_text(encoding="utf-8")
    assert f"num_inference_steps={row.steps}" in card and f"guidance_scale={row.scale:g}" in card
    assert row.examples[0] in card and "apache-2.0" in card
    _, marker, after = card.partition("<!-- exam -->\n")
    figures, end, _ = after.partition("<!-- /exam -->")
    assert marker and end and figures.count("|") > 6 and "%" in figures  # docs/bundled_priors.md includes this part
    assert figures.count("`modeseek exam") == 1


def test_the_card_of_emoji_names_its_sources() -> None:
    card = BUNDLED_PRIORS["emoji"].card.read_text(encoding="utf-8")
    for word in ("Fluent Emoji", "Microsoft", "MIT", "Noto Emoji", "Google", "Apache-2.0", "emojilib", "NOTICE"):
        assert word in card and (word == "NOTICE" or word in BUNDLED_PRIORS["emoji"].licence + "NOTICE")


def test_default_prompts_fit_their_experiments() -> None:
    emoji = BUNDLED_PRIORS["emoji"]
    assert len(set(emoji.prompts)) == len(emoji.prompts) == 40 and not SCENES.prompts
    assert len(emoji.captions) == 4 and all(len(parse(caption).objects) == 1 for caption in emoji.captions)


@ROWS
def test_no_file_names_a_path_of_a_machine(row: BundledPrior) -> None:
    for path in row.folder().rglob("*"):
        if path.suffix in (".json", ".md"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(?<![\w/:.<-])(~?/|[A-Z]:\\)\w[\w.-]*[/\\]", text), path
        assert path.is_dir() or path.stat().st_mode & 0o200, path


@pytest.mark.parametrize("name", ["scenes", "emoji"])
def test_a_name_is_the_bundled_prior_and_a_path_a_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    (folder / "pipeline").mkdir(parents=True)
    index = {"_class_name": "StableDiffusionPipeline"}
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "pipeline" / "model_index.json").write_text(json.dumps(index))
    monkeypatch.chdir(tmp_path)
    shipped = packaged.data_folder() / name
    assert find_pipeline_folder(name) == find_stable_diffusion(name) == shipped
    for other in (f"./{name}", Path(name), str(folder)):
        assert find_pipeline_folder(other).resolve() == folder.resolve()
        assert find_stable_diffusion(other).resolve() == (folder / "pipeline").resolve()


def test_an_unknown_pipeline_is_told_the_names() -> None:
    with pytest.raises(ValueError, match="there is no pipeline emojis; try scenes or emoji, a folder"):
        find_pipeline_folder("emojis")
