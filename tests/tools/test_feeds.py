"""Feeds of training examples: the pool, and what chunks hold."""

from __future__ import annotations

import pytest
import torch
from tiny_training import STAGE, TINY_EMOJI, TINY_SCENES

from modeseek.datasets.emoji import BACKGROUNDS, caption, read_icons
from modeseek.datasets.scenes import Scenes
from tools.bundled_priors.example_pool import ExamplePool
from tools.bundled_priors.feeds import InProcess, InWorkers, PooledFeed
from tools.bundled_priors.recipe import PoolRecipe
from tools.bundled_priors.sources import CPU, EmojiSource, SceneChunks, SceneSource, caption_table, open_source


def numbered(first: int, n: int) -> dict[str, torch.Tensor]:
    return {"x": torch.arange(first, first + n)}


def test_pool_keeps_the_newest(rng):
    pool = ExamplePool(size=5)
    pool.add(numbered(0, 3))
    assert set(pool.draw(200, rng)["x"].tolist()) == {0, 1, 2}
    pool.add(numbered(3, 4))
    assert set(pool.draw(200, rng)["x"].tolist()) == {2, 3, 4, 5, 6}


def test_restored_pool_draws_the_same(rng):
    pool, again = ExamplePool(size=5), ExamplePool(size=5)
    pool.add(numbered(0, 7))
    again.restore(pool.state(5))
    for held in (pool, again):
        held.add(numbered(7, 1))
    first, second = (held.draw(50, torch.Generator().manual_seed(1))["x"] for held in (pool, again))
    assert torch.equal(first, second) and set(first.tolist()) == {3, 4, 5, 6, 7}


def test_a_part_of_a_large_pool_is_restored(rng):
    pool, again = ExamplePool(size=100), ExamplePool(size=100)
    pool.add(numbered(0, 90))
    again.restore(pool.state(4))
    assert len(again) == 4 and set(again.draw(100, rng)["x"].tolist()) == {86, 87, 88, 89}


class Numbers:
    """Chunks of two numbers each."""

    def __getitem__(self, number: int) -> torch.Tensor:
        return torch.tensor([2 * number, 2 * number + 1])


def test_a_pooled_feed_grows_every_few_steps(rng):
    recipe = PoolRecipe(first=3, size=6, chunk=2, every=4)
    feed = PooledFeed(InProcess(Numbers()), lambda chunk: {"x": chunk}, recipe, recipe.size, CPU)
    for _ in feed.fill():
        pass
    for step, largest in ((0, 3), (3, 3), (4, 5), (5, 5), (8, 7)):
        assert feed.draw(200, step, rng)["x"].max() == largest
    again = PooledFeed(InProcess(Numbers()), lambda chunk: {"x": chunk}, recipe, recipe.size, CPU)
    again.restore(feed.state())
    assert list(again.fill()) == [] and again.draw(200, 12, rng)["x"].max() == 9


@pytest.mark.slow
def test_the_number_of_workers_does_not_change_what_chunks_hold():
    """Three chunks by no worker and by two; closed with chunks under way."""
    maker, held = SceneChunks(Scenes(size=16, variety=0.3), 4, seed=7, use="network"), []
    for chunks in (InProcess(maker), InWorkers(maker, 2)):
        state = torch.get_rng_state()
        held.append([chunks.wait(number) for number in range(3)])
        chunks.close()
        assert torch.equal(torch.get_rng_state(), state)
    for image, captions in ((other[k][0], other[k][1]) for other in held for k in range(3)):
        assert image.shape == (4, 3, 16, 16) and len(captions) == 4
    for other in held[1:]:
        for (image, captions), (image_, captions_) in zip(held[0], other, strict=True):
            assert torch.equal(image, image_) and captions == captions_
    assert len({tuple(captions) for _, captions in held[0]}) == 3


class Broken:
    """Chunks of which the second cannot be made."""

    def __getitem__(self, number: int) -> tuple[torch.Tensor, list[str]]:
        if number == 1:
            raise OSError("no space left")
        return torch.zeros(1), []


@pytest.mark.slow
def test_a_workers_error_reaches_the_trainer():
    chunks = InWorkers(Broken(), 1)
    try:
        chunks.wait(0)
        with pytest.raises(OSError, match="no space left"):
            chunks.wait(1)
    finally:
        chunks.close()


@pytest.mark.slow
def test_drawings_are_fresh_every_step_and_captions_name_their_background(icons):
    source = EmojiSource(TINY_EMOJI, read_icons(icons))
    texts: list[str] = []

    def tokenize(captions):
        texts[:] = captions
        return torch.arange(len(captions))[:, None]

    feed = source.feed("network", STAGE, lambda image, tokens: {"image": image, "tokens": tokens}, tokenize, CPU)
    drawn = [feed.draw(64, step, torch.Generator().manual_seed(step)) for step in (0, 1, 0)]
    assert torch.equal(drawn[0]["image"], drawn[2]["image"]) and torch.equal(drawn[0]["tokens"], drawn[2]["tokens"])
    assert not torch.equal(drawn[0]["image"], drawn[1]["image"])
    corner = (255 * drawn[0]["image"][:, :, 0, 0]).round().int()
    colours = {name: torch.tensor(BACKGROUNDS[name]) for name in sorted(BACKGROUNDS, key=len, reverse=True)}
    seen = 0
    for text, pixel in zip((texts[i] for i in drawn[0]["tokens"][:, 0].tolist()), corner, strict=True):
        named = next(
            (name for name in sorted(colours, key=len, reverse=True) if f" {name} background" in text), "white"
        )
        assert torch.equal(pixel, colours[named].int()), text
        seen += named != "white"
    assert 5 <= seen <= 32  # a quarter of 64, with its deviation of 3.5


def test_captions_of_the_table_are_of_their_drawing(icons, rng):
    found = read_icons(icons)
    texts: list[str] = []
    table = caption_table(found, lambda captions: texts.extend(captions) or torch.arange(len(captions))[:, None], rng)
    assert table.shape == (8, 16 + len(BACKGROUNDS) - 1, 1)
    for icon, rows in zip(found, table[:, :, 0].tolist(), strict=True):
        words = {icon.name, *icon.keywords}
        assert all(any(word in texts[row] for word in words) for row in rows)
        others = [texts[row] for row in rows[16:]]
        assert all(f" {name} background" in text for name, text in zip(list(BACKGROUNDS)[1:], others, strict=True))
    assert caption(found[0], "white", rng)


def test_held_out_drawings_are_plain_and_the_same_every_time(icons):
    source = EmojiSource(TINY_EMOJI, read_icons(icons))
    (first, captions), (second, captions_) = source.held_out(3), source.held_out(3)
    assert torch.equal(first, second) and captions == captions_ and len(captions) == len(first) == 3
    assert (first[:, :, 0, 0] == 1).all() and not any("background" in c and "white" not in c for c in captions)


def test_options_of_the_other_prior_are_refused(icons):
    with pytest.raises(ValueError, match="--icons must be used with emoji only"):
        open_source(TINY_SCENES, icons, 0)
    with pytest.raises(ValueError, match="emoji must be given --icons FOLDER"):
        open_source(TINY_EMOJI, None, 0)
    with pytest.raises(ValueError, match="--workers must be used with scenes only"):
        open_source(TINY_EMOJI, icons, 2)
    assert open_source(TINY_SCENES, None, 2) == SceneSource(TINY_SCENES, 2)
