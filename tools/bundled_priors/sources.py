"""Captioned images that the priors are trained on: rendered scenes, and drawings of emoji."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from modeseek.datasets.emoji import (
    BACKGROUNDS,
    Icon,
    augment,
    canonical,
    caption,
    read_icons,
    render_icons,
    sampling_weights,
)
from modeseek.datasets.scenes import Scenes
from modeseek.io.progress import Progress
from modeseek.io.thread_pool import available_cores
from modeseek.rng import Streams
from tools.bundled_priors.example_pool import Examples
from tools.bundled_priors.feeds import Encode, Feed, InProcess, InWorkers, PooledFeed
from tools.bundled_priors.recipe import StageRecipe, TrainingRecipe

Tokenize = Callable[[Sequence[str]], Tensor]  # token ids of texts, (n, tokens)
CPU = torch.device("cpu")
_CAPACITY = 2**20  # examples in memory where worker processes fill the pool of a GPU
_WHITE_CAPTIONS = 16  # captions of each drawing on white; one on each other background
_BLOCK = 64  # drawings rendered at a time by a thread
_PIXELS = 96  # side of the drawings before augmentation, for images of 64 pixels


@runtime_checkable
class DataSource(Protocol):
    """Captioned images of a prior."""

    def corpus(self) -> list[str]:
        """Captions that the tokenizer is trained on."""
        ...

    def texts(self) -> list[str]:
        """Texts that hold every word of the training captions."""
        ...

    def images(self, n: int) -> Float[Tensor, "n 3 s s"]:
        """Training images for the principal components of the image encoder."""
        ...

    def held_out(self, n: int) -> tuple[Float[Tensor, "m 3 s s"], list[str]]:
        """Images and captions for evaluation, the same every time, at most n."""
        ...

    def feed(self, use: str, stage: StageRecipe, encode: Encode, tokenize: Tokenize, device: torch.device) -> Feed:
        """Training examples of a stage: `encode` of images and token ids.

        Args:
            use: name of the stage; stages draw independently.
            stage: hyperparameters of the stage.
            encode: examples from images in [0, 1] and token ids on the training device.
            tokenize: token ids of captions.
            device: training device.
        """
        ...


@dataclass(frozen=True)
class SceneChunks:
    """Rendered scenes by chunk: uint8 images (n, 3, s, s) and captions of the training set."""

    scenes: Scenes
    n: int
    seed: int
    use: str

    def __getitem__(self, number: int) -> tuple[Tensor, list[str]]:
        renders = self.scenes.batch(self.n, _rng(self.seed, self.use, number))
        return (255 * renders.image).round().byte(), renders.captions


@dataclass(frozen=True)
class SceneSource:
    """Scenes rendered during training on the CPU, by this process or by `workers` others.

    Attributes:
        recipe: hyperparameters of the training.
        workers: number of processes that render, or 0.
    """

    recipe: TrainingRecipe
    workers: int = 0

    @property
    def scenes(self) -> Scenes:
        """Renderer of the training set."""
        return Scenes(size=self.recipe.model.size, variety=self.recipe.variety)

    def corpus(self) -> list[str]:
        rng = _rng(self.recipe.seed, "tokenizer")
        return Scenes(size=self.recipe.model.size).draw(self.recipe.corpus, rng, held_out=None).captions

    def texts(self) -> list[str]:
        return self.corpus()

    def images(self, n: int) -> Tensor:
        return self.scenes.batch(n, _rng(self.recipe.seed, "components")).image

    def held_out(self, n: int) -> tuple[Tensor, list[str]]:
        renders = self.scenes.batch(n, _rng(self.recipe.seed, "held out"), held_out=True)
        return renders.image, renders.captions

    def feed(self, use: str, stage: StageRecipe, encode: Encode, tokenize: Tokenize, device: torch.device) -> Feed:
        maker = SceneChunks(self.scenes, stage.pool.chunk, self.recipe.seed, use)

        def examples(chunk: tuple[Tensor, list[str]]) -> Examples:
            return encode(chunk[0].to(device).float() / 255, tokenize(chunk[1]).to(device))

        chunks = InWorkers(maker, self.workers) if self.workers else InProcess(maker)
        large = self.workers and device.type == "cuda"
        return PooledFeed(chunks, examples, stage.pool, max(stage.pool.size, _CAPACITY if large else 0), device)


@dataclass(frozen=True)
class EmojiSource:
    """Drawings of emoji, varied anew for every step on the training device.

    Attributes:
        recipe: hyperparameters of the training.
        icons: drawings and their names and keywords.
    """

    recipe: TrainingRecipe
    icons: tuple[Icon, ...]

    @cached_property
    def pixels(self) -> UInt8[Tensor, "n 4 p p"]:
        """Drawings with their opacity."""
        parts = [self.icons[i : i + _BLOCK] for i in range(0, len(self.icons), _BLOCK)]
        size = _PIXELS * self.recipe.model.size // 64
        with ThreadPoolExecutor(available_cores()) as pool:  # resvg releases the GIL
            return torch.cat(list(pool.map(lambda part: render_icons(part, size), parts)))

    def corpus(self) -> list[str]:
        rng, n = _rng(self.recipe.seed, "tokenizer"), self.recipe.corpus
        names = tuple(BACKGROUNDS)
        rows = torch.randint(len(self.icons), (n,), generator=rng).tolist()
        grounds = torch.randint(len(names), (n,), generator=rng).tolist()
        return [caption(self.icons[row], names[ground], rng) for row, ground in zip(rows, grounds, strict=True)]

    def texts(self) -> list[str]:
        return [*self.corpus(), *(text for icon in self.icons for text in (icon.name, *icon.keywords))]

    def images(self, n: int) -> Tensor:
        rng = _rng(self.recipe.seed, "components")
        rows = torch.multinomial(sampling_weights(self.icons), n, True, generator=rng)
        return augment(self.pixels[rows], rng, self.recipe.model.size).image

    def held_out(self, n: int) -> tuple[Tensor, list[str]]:
        """Drawings without augmentation, spread evenly over the set, with a caption each."""
        rows = torch.arange(0, len(self.icons), max(1, len(self.icons) // n))[:n]
        rng = _rng(self.recipe.seed, "held out")
        captions = [caption(self.icons[row], next(iter(BACKGROUNDS)), rng) for row in rows.tolist()]
        return canonical(self.pixels[rows], self.recipe.model.size), captions

    def feed(self, use: str, stage: StageRecipe, encode: Encode, tokenize: Tokenize, device: torch.device) -> Feed:
        tokens = caption_table(self.icons, tokenize, _rng(self.recipe.seed, "captions"))
        return FreshFeed(self, tokens.to(device), encode, device)


def caption_table(icons: Sequence[Icon], tokenize: Tokenize, rng: torch.Generator) -> Int[Tensor, "n captions tokens"]:
    """Token ids of the captions of each drawing: 16 on white, then one on each other background."""
    white, *others = BACKGROUNDS
    grounds = [white] * _WHITE_CAPTIONS + others
    texts = [caption(icon, ground, rng) for icon in icons for ground in grounds]
    return tokenize(texts).view(len(icons), len(grounds), -1)


class FreshFeed:
    """Drawings with new augmentation, background and caption for every step; it keeps no state.

    Args:
        source: drawings.
        tokens: token ids of captions, from `caption_table`.
        encode: examples from images and token ids.
        device: training device.
    """

    def __init__(
        self, source: EmojiSource, tokens: Int[Tensor, "n captions l"], encode: Encode, device: torch.device
    ) -> None:
        self._pixels, self._tokens, self._encode = source.pixels.to(device), tokens, encode
        self._weights = sampling_weights(source.icons).to(device)
        self._size = source.recipe.model.size

    def fill(self) -> Generator[Progress, None, None]:
        yield Progress("drawings", len(self._pixels), len(self._pixels))

    def draw(self, n: int, step: int, rng: torch.Generator) -> Examples:
        rows = torch.multinomial(self._weights, n, True, generator=rng)
        varied = augment(self._pixels[rows], rng, self._size)
        white = torch.randint(_WHITE_CAPTIONS, (n,), generator=rng, device=rng.device)
        slot = torch.where(varied.background == 0, white, _WHITE_CAPTIONS - 1 + varied.background)
        return self._encode(varied.image, self._tokens[rows, slot])

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


def open_source(recipe: TrainingRecipe, icons: Path | None, workers: int) -> DataSource:
    """Data of a prior.

    Args:
        recipe: hyperparameters of the training.
        icons: folder with the npm packages of drawings, for emoji.
        workers: number of processes that render scenes.

    Raises:
        ValueError: no drawings for emoji, or settings of the other prior.
    """
    if recipe.prior == "scenes":
        if icons is not None:
            raise ValueError("--icons must be used with emoji only; scenes are rendered during training")
        return SceneSource(recipe, workers)
    if icons is None:
        raise ValueError("emoji must be given --icons FOLDER, the folder of the npm packages with the drawings")
    if workers:
        raise ValueError("--workers must be used with scenes only; emoji are drawn on the training device")
    return EmojiSource(recipe, read_icons(icons))


def _rng(seed: int, use: str, number: int = 0) -> torch.Generator:
    return Streams(seed, step=number, use=use).generator(0, CPU)
