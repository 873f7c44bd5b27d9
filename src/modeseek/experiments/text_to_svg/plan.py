"""Plan of the text-to-SVG experiment: its words, and the batches of drawings of each entry."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from modeseek.config.config import Config, GuardConfig
from modeseek.config.optimizers import AdamConfig
from modeseek.config.priors import PriorConfig
from modeseek.config.vector import DrawingConfig
from modeseek.config.vector_starts import RandomStart, SampleStart
from modeseek.datasets.emoji import Icon, with_article
from modeseek.exams.emoji_exam.emoji_exam import draw_names
from modeseek.experiments.common.entries import affordable_steps, check_least
from modeseek.experiments.text_to_svg.entries import DrawingEntry
from modeseek.priors.pipeline.bundled_table import EMOJI

_STYLE = "flat"  # of the set whose drawings are the truth: few paths of flat colours
_COMPARED, _TUNING = "batch", "tune"  # beginnings of the names of batches
_NO_WORDS = ("Flags", "Symbols")  # categories of drawings that are no things


@dataclass(frozen=True)
class Word:
    """Word whose drawing is made, with the true one.

    Attributes:
        icon: the true drawing.
    """

    icon: Icon

    @property
    def name(self) -> str:
        """Name of the drawing in words, such as "red apple"."""
        return self.icon.name

    @property
    def prompt(self) -> str:
        """Prompt, as captions of the prior's training images are written."""
        return f"{with_article(self.name)}, {self.icon.style} emoji"


@dataclass(frozen=True)
class DrawingBatch:
    """Drawings that one job makes together: one of each of some words.

    Attributes:
        name: name of the batch, the end of the names of its run folders.
        words: the words.
        first: number of the first of them among all words.
        number: number of the seed.
        seed: random seed, equal for all entries that are compared.
    """

    name: str
    words: tuple[Word, ...]
    first: int
    number: int
    seed: int

    @property
    def items(self) -> list[tuple[int, int]]:
        """(word number, seed number) of each drawing."""
        return [(self.first + k, self.number) for k in range(len(self.words))]


@dataclass(frozen=True)
class DrawingTuning:
    """Tuning of the learning rate of every method, on words and seeds of its own.

    Attributes:
        words: words, none of which is compared on.
        rates: learning rates tried, each with the entry's own fall; then the best one with the other falls.
        falls: final learning rates relative to the first that are tried.
    """

    words: tuple[Word, ...]
    rates: tuple[float, ...] = (0.002, 0.004, 0.008, 0.016)
    falls: tuple[float, ...] = (0.1, 1.0)

    def __post_init__(self) -> None:
        if not self.words or not self.rates:
            raise ValueError("the tuning needs a word and a rate at least, got none; add one, or use --no-tune")
        for rate in self.rates:
            AdamConfig(rate)


@dataclass(frozen=True)
class TextToSvg:
    """Plan in which every method makes a drawing of every word from every seed, all from the same fitted samples.

    Attributes:
        prior_config: the pipeline.
        words: words that are compared on.
        entries: methods that are compared.
        tuning: tuning of the learning rates; None keeps those of the entries.
        seeds: number of drawings of each word and entry.
        budget: prior calls per drawing of every method, beside those of the sample it starts from.
        scale: classifier-free guidance scale; 1 is none.
        paths: number of paths of each drawing.
        cubics: number of cubic Bezier curves of each path.
        sample_steps: number of DDIM steps of a sample.
        fit_steps: number of steps that fit the paths to it.
        shift: largest random shift of the images at every step, pixels.
        batch: maximum number of drawings made together.
        seed: random seed of the experiment.
        device: device of prior and drawings.
    """

    prior_config: PriorConfig
    words: tuple[Word, ...]
    entries: tuple[DrawingEntry, ...]
    tuning: DrawingTuning | None = None
    seeds: int = 2
    budget: int = 200
    scale: float = 3.0
    paths: int = 24
    cubics: int = 4
    sample_steps: int = 25
    fit_steps: int = 200
    shift: int = 3
    batch: int = 20
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.words or not self.entries:
            raise ValueError("the experiment needs a word and a method at least, got none; add one")
        check_least(1, seeds=self.seeds, sample_steps=self.sample_steps, batch=self.batch, paths=self.paths)
        check_least(0, fit_steps=self.fit_steps)
        if not math.isfinite(self.scale):
            raise ValueError(f"the guidance scale must be finite, got {self.scale}; 1 is none")
        if self.tuning is not None and {w.name for w in self.words} & {w.name for w in self.tuning.words}:
            raise ValueError("words of the tuning must not be compared on, got one that is; choose others")

    @property
    def batches(self) -> list[DrawingBatch]:
        """Batches of every entry that is compared: more words or seeds only add to them."""
        return self._cut(self.words, _COMPARED, self.seeds)

    @property
    def tuning_batches(self) -> list[DrawingBatch]:
        """Batches of every trial of the tuning: other words, and other random numbers."""
        return [] if self.tuning is None else self._cut(self.tuning.words, _TUNING, 1)

    def steps_of(self, entry: DrawingEntry) -> int:
        """Number of steps that the budget allows a method."""
        return affordable_steps(entry, self.budget, self.calls(entry))

    def calls(self, entry: DrawingEntry) -> tuple[int, int]:
        """Prior calls per drawing, before the first step and in each step."""
        return entry.calls(self.scale, pipeline=False)

    def config(self, entry: DrawingEntry, batch: DrawingBatch) -> Config:
        """Run configuration of a method on a batch.

        Raises:
            ValueError: the settings conflict, or the budget is below two steps.
        """
        return replace(
            self.start_config(batch),
            method=entry.method(self.scale),
            generator=self._drawings(batch, entry.start == "random"),
            optimizer=AdamConfig(entry.lr, fall=entry.fall),
            name=f"{entry.name}-{batch.name}",
            steps=self.steps_of(entry),
            scale=1.0 if entry.guides else self.scale,
            shift=self.shift,
            inner_steps=entry.inner_steps,
        )

    def start_config(self, batch: DrawingBatch) -> Config:
        """Configuration of the samples of a batch and of the drawings fitted to them; its method is not run."""
        entry = self.entries[0]
        return Config(
            prior=self.prior_config,
            method=entry.method(1.0),
            generator=self._drawings(batch),
            optimizer=AdamConfig(entry.lr),
            name=f"sample-{batch.name}",
            steps=1,
            seed=batch.seed,
            prompts=tuple(word.prompt for word in batch.words),
            device=self.device,
            guard=GuardConfig(active=False),  # an empty drawing is a result here, and is measured
            previews=0,
            film="none",
        )

    def _drawings(self, batch: DrawingBatch, random: bool = False) -> DrawingConfig:
        start = RandomStart() if random else SampleStart(self.sample_steps, self.scale, self.fit_steps)
        return DrawingConfig(len(batch.words), self.paths, self.cubics, start=start)

    def _cut(self, words: Sequence[Word], use: str, seeds: int) -> list[DrawingBatch]:
        batches = []
        for part, first in enumerate(range(0, len(words), self.batch)):
            own = tuple(words[first : first + self.batch])
            few = f"-first{len(own)}" if use == _COMPARED and len(own) < self.batch else ""  # more words: another name
            for number in range(seeds):
                seed = _seed(self.seed, use, part, number)
                batches.append(DrawingBatch(f"{use}{part:02d}{few}-seed{number}", own, first, number, seed))
        return batches


def choose_words(icons: Sequence[Icon], n: int, m: int, seed: int) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """n words to compare on, and m others for the tuning, all of drawings in flat colours, no flags or symbols.

    The first 40 to compare on are everyday ones, the default prompts of the experiments under the emoji prior; further
    ones are drawn at random, and so are those of the tuning, which do not depend on n.

    Args:
        icons: all drawings.
        n: number of words to compare on, >= 1.
        m: number of words for the tuning, >= 0.
        seed: random seed.

    Raises:
        ValueError: there are fewer.
    """
    if n < 1 or m < 0:
        raise ValueError(f"--words must be at least 1 and --tuning-words at least 0, got {n} and {m}; raise it")
    named = {icon.name: icon for icon in icons if icon.style == _STYLE and icon.category not in _NO_WORDS}
    if n + m > len(named):
        raise ValueError(f"--words and --tuning-words must add to at most {len(named)}, got {n} and {m}; lower one")
    articles = {with_article(name): name for name in named}
    everyday = [articles[prompt] for prompt in EMOJI.prompts if prompt in articles]
    drawn = draw_names(list(named.values()), len(named), seed)
    others = [name for name in drawn if name not in everyday]
    tuning, others = others[:m], others[m:]
    if len(tuning) < m:
        raise ValueError(f"--tuning-words must be at most {len(tuning)}, got {m}; lower it")
    chosen = [*everyday, *others][:n]
    return tuple(Word(named[name]) for name in chosen), tuple(Word(named[name]) for name in tuning)


def _seed(*key: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1
