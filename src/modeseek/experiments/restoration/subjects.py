"""Priors of the experiment on restoration with held-out images: digits, rendered scenes and emoji."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.codec import RangeCodec
from modeseek.config.loaded_prior import problem_digest
from modeseek.config.priors import PipelinePriorConfig
from modeseek.datasets.digits import Digits
from modeseek.datasets.emoji import Icon, canonical, render_icons, with_article
from modeseek.datasets.scenes import Scenes
from modeseek.exams.caption_exam.caption_exam import held_out_captions
from modeseek.exams.emoji_exam.emoji_exam import draw_names
from modeseek.experiments.restoration.problem import ImagePrior, Truth
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.priors.base import select_conditions
from modeseek.priors.kernel_density import KernelDensity
from modeseek.priors.wrapper import require_text
from modeseek.rng import Streams
from modeseek.runs.jobs import PriorCache

_LEAST = 4  # other images, from which the scales of a pipeline are measured


@runtime_checkable
class ImageSubject(Protocol):
    """Prior with images that it was not trained on."""

    def identity(self, priors: PriorCache) -> Mapping[str, Any]:
        """Identity of the prior, as run folders record it."""
        ...

    def load(self, priors: PriorCache, n: int, m: int, seed: int) -> tuple[ImagePrior, Truth, Truth]:
        """The prior, n images to restore and m or more other ones for the tuning.

        Raises:
            ValueError: there are fewer images.
        """
        ...


@dataclass(frozen=True)
class DigitImages:
    """Digits under the kernel density estimate of the training images, an exact prior without classes."""

    @cached_property
    def digits(self) -> Digits:
        """The data set."""
        return Digits.load()

    def identity(self, priors: PriorCache) -> Mapping[str, Any]:
        return {"title": "digits", "sha256": problem_digest(self.digits)}

    def load(self, priors: PriorCache, n: int, m: int, seed: int) -> tuple[ImagePrior, Truth, Truth]:
        digits = self.digits
        if n + m > len(digits.held_out):
            raise ValueError(f"there are {len(digits.held_out)} held-out digits, got {n} + {m} images; try fewer")
        rng = Streams(seed, use="digits").generator(0, torch.device("cpu"))
        chosen = torch.randperm(len(digits.held_out), generator=rng)[: n + m]
        codec, prior = RangeCodec(), KernelDensity(digits.train, digits.bandwidth)
        images = codec.decode(digits.held_out[chosen])
        names = tuple(f"digit {label}" for label in digits.held_out_labels[chosen].tolist())
        spread = (digits.train.flatten(1).var(0).mean() + digits.bandwidth**2).sqrt().item()

        def log_prob(z: Tensor) -> Float[Tensor, "n"]:
            ones = torch.ones(len(z), dtype=torch.float64)
            return prior.evaluate(z.double(), ones, 0 * ones)[1]

        space = ImagePrior(prior, codec, True, spread, 0.5, log_prob=log_prob, density=prior)
        return space, *_split(images, None, names, n)


@dataclass(frozen=True)
class SceneImages:
    """Rendered scenes: renders of held-out captions.

    Attributes:
        prior_config: the pipeline.
    """

    prior_config: PipelinePriorConfig

    def identity(self, priors: PriorCache) -> Mapping[str, Any]:
        return priors.load(self.prior_config).record(self.prior_config.title)

    def load(self, priors: PriorCache, n: int, m: int, seed: int) -> tuple[ImagePrior, Truth, Truth]:
        captions, m = held_out_captions(n, seed), max(m, _LEAST)
        others = [text for text in held_out_captions(2 * m, seed, part=2) if text not in captions]
        captions = (*captions, *others[:m])
        rng = Streams(seed, use="restoration renders").generator(0, torch.device("cpu"))
        images = Scenes().render(Scenes().layouts_for(captions, rng)).image
        return _latent(priors, self.prior_config, images, captions, n)


@dataclass(frozen=True)
class EmojiImages:
    """Emoji: drawings of names, upright on white.

    Attributes:
        prior_config: the pipeline.
        icons: all drawings.
    """

    prior_config: PipelinePriorConfig
    icons: tuple[Icon, ...]

    def identity(self, priors: PriorCache) -> Mapping[str, Any]:
        return priors.load(self.prior_config).record(self.prior_config.title)

    def load(self, priors: PriorCache, n: int, m: int, seed: int) -> tuple[ImagePrior, Truth, Truth]:
        names = draw_names(self.icons, n + max(m, _LEAST), seed)
        by_name = {icon.name: icon for icon in self.icons}
        images = canonical(render_icons([by_name[name] for name in names]))
        return _latent(priors, self.prior_config, images, [with_article(name) for name in names], n)


def _latent(
    priors: PriorCache, config: PipelinePriorConfig, images: Tensor, captions: Sequence[str], n: int
) -> tuple[ImagePrior, Truth, Truth]:
    """The pipeline conditioned on the captions; its scales are those of the images of the tuning."""
    loaded = priors.load(config)
    prior, codec = loaded.prior, loaded.codec
    classifier = SceneClassifier.packaged().to(prior.device)
    images = images.to(prior.device)
    with torch.no_grad():
        z = codec.encode(images[n:])
    spread, width = ((x - x.mean(0)).square().mean().sqrt().item() for x in (z.float(), images[n:]))
    cond = require_text(prior, config.title).conditions(captions).positive
    space = ImagePrior(prior, codec, False, spread, width / spread, torch.no_grad()(classifier.features))
    return space, *_split(images, cond, tuple(captions), n)


def _split(images: Tensor, cond: Any, names: tuple[str, ...], n: int) -> tuple[Truth, Truth]:
    parts = [range(n), range(n, len(images))]
    return tuple(  # pyright: ignore[reportReturnType]  # two parts
        Truth(
            images[list(part)],
            None if cond is None else select_conditions(cond, torch.tensor(list(part), device=images.device)),
            tuple(part),
            tuple(names[i] for i in part),
        )
        for part in parts
    )
