"""Table of the text-to-image priors that ship with modeseek: what each knows, and the defaults that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modeseek.io.packaged import data_folder, packaged_weights


@dataclass(frozen=True)
class BundledPrior:
    """Text-to-image prior that ships with modeseek.

    Attributes:
        name: name in Python, in YAML and on the command line; its folder of data bears it.
        title: description, one phrase.
        knows: what prompts may say, one sentence.
        lacks: what it does not know, one sentence.
        views: most detailed view phrases that it was trained on; none: no view phrases.
        examples: example prompts, the first one for help texts.
        prompts: default prompts of `modeseek paper text-to-image`; empty: held-out captions of the rendered scenes.
        captions: default captions of `modeseek paper text-to-3d`, in the grammar of the rendered scenes; empty: those
            of that experiment.
        sources: training data and their licences, one sentence.
        size: image height and width, pixels.
        scale: default classifier-free guidance scale; 1 is none.
        steps: number of DDIM steps of a sample.
    """

    name: str
    title: str
    knows: str
    lacks: str
    views: Literal["none", "coarse", "fine"]
    examples: tuple[str, ...]
    prompts: tuple[str, ...]
    captions: tuple[str, ...]
    sources: str
    size: tuple[int, int] = (64, 64)
    scale: float = 3.0
    steps: int = 25

    @property
    def card(self) -> Path:
        """Path of its model card, a README.md with the figures of its exam."""
        return data_folder() / self.name / "README.md"

    @property
    def licence(self) -> str:
        """Licence of the weights and of the training data, one sentence each."""
        return f"Weights: Apache-2.0. {self.sources}"

    def folder(self) -> Path:
        """Folder of the pipeline, verified once per process.

        Raises:
            ValueError: a file is missing or damaged.
        """
        return packaged_weights(self.name)


SCENES = BundledPrior(
    "scenes",
    "rendered scenes: one or two simple objects in eight colours, seen from the view in the prompt",
    knows=(
        "twenty objects (cone, cube, mug, robot head, house ...) in eight colours, small or large, alone or in twos "
        "(on, beside, behind), and views by name or in degrees"
    ),
    lacks="any other object, colour or style",
    views="fine",
    examples=("a red cone on a blue cube", "a small green duck behind a yellow house, from 30 degrees left"),
    prompts=(),
    captions=(),
    sources="Training data: our own renders.",
)
EMOJI = BundledPrior(
    "emoji",
    "emoji drawings: one everyday object each, on white or on a plain colour",
    knows=(
        "the names and keywords of some 1,700 objects (animals, food, faces, tools, vehicles, flags ...), two styles "
        "(flat emoji, shaded emoji), and ten backgrounds (on a pale blue background)"
    ),
    lacks="several objects in one image, colours that the drawings do not have, and views",
    views="none",
    examples=("an owl", "a red apple, flat emoji", "a cactus, shaded emoji, on a pale blue background"),
    prompts=(
        *("an owl", "a red apple", "a grinning face", "an umbrella", "a cactus", "a guitar", "a pizza", "a sunflower"),
        *("a cat face", "a rocket", "a mushroom", "a rainbow", "a lemon", "a penguin", "a balloon", "a key"),
        *("a strawberry", "a snowman", "a butterfly", "a tulip", "a crown", "a turtle", "an ice cream", "a red heart"),
        *("a watermelon", "a whale", "a bell", "a bicycle", "a carrot", "a camera", "a ghost", "a fox"),
        *("a light bulb", "a teapot", "a palm tree", "a soccer ball", "a frog", "a candle", "a violin", "an anchor"),
    ),
    captions=("a red car", "a purple rocket", "a red mushroom", "an orange duck"),
    sources=(
        "Training data: drawings of Fluent Emoji (MIT, Microsoft) and Noto Emoji (Apache-2.0, Google), keywords of "
        "emojilib (MIT); none of their files ship."
    ),
    steps=50,
)
BUNDLED_PRIORS = {prior.name: prior for prior in (SCENES, EMOJI)}
EARLIER_NAME = "bundled"  # of scenes, when it was the only one
_BY_PATH = BUNDLED_PRIORS | {EARLIER_NAME: SCENES}


def bundled_prior(path: str) -> BundledPrior | None:
    """Returns the bundled prior that a path names; None for a folder or a repository ("./emoji" is a folder)."""
    return _BY_PATH.get(path)
