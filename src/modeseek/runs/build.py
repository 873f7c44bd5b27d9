"""From a configuration to the things it names: built once, checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modeseek.codec import Codec
from modeseek.config.config import Config
from modeseek.config.generators import BuiltGenerator
from modeseek.config.priors import LoadedPrior
from modeseek.distill import Regularizer
from modeseek.generators.base import Generator, View, render
from modeseek.generators.rendering3d import Generator3D
from modeseek.io.video import check_video_support
from modeseek.methods.base import Method
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import Guided
from modeseek.priors.perp_neg import PerpNeg
from modeseek.priors.pipeline import Pipeline
from modeseek.priors.wrapper import Counting
from modeseek.rng import Streams
from modeseek.runs.previews import PreviewPainter
from modeseek.runs.trackers import check_trackers

_AROUND = 6  # views of a thing in previews


@dataclass
class RunObjects:
    """What a run works with.

    Attributes:
        config: that it was built from.
        loaded: the prior, and what tells it from another.
        counting: the prior, counting its calls.
        prior: what the method asks: `counting`, guided where the configuration says so.
        method: how answers become a direction.
        generator: what is optimised.
        optimizer: over its parameters.
        codec: from what it renders to z.
        batch: items a step.
        pixels: whether it renders pixels in [0, 1].
        conditions: what the prior is told.
        regularizers: added to the loss.
    """

    config: Config
    loaded: LoadedPrior
    counting: Counting
    prior: Prior
    method: Method
    generator: Generator
    optimizer: torch.optim.Optimizer
    codec: Codec
    batch: int
    pixels: bool
    conditions: Conditions | Callable[[View], Conditions] | None
    regularizers: Sequence[Regularizer] = ()

    def rebuild(self) -> RunObjects:
        """Another one as it was at the start, with the same prior."""
        return build(self.config, self.loaded)

    def render_preview(self) -> Tensor:
        """What the generator shows now, (n, *shape): pixels in [0, 1] where the prior knows pictures, else z."""
        with torch.no_grad():
            view = self.preview_view()
            return self.to_pixels(render(self.generator, view).image)

    def preview_view(self) -> View:
        """What previews show: the same every time."""
        if isinstance(self.generator, Generator3D):
            return self.generator.view_from(self.generator.orbit.ring(_AROUND))
        return self.generator.view(self.batch, Streams(self.config.seed, use="preview"))

    @property
    def is_3d(self) -> bool:
        """Whether it is a thing, which pictures show from the same sides every time, and not as a step saw it."""
        return isinstance(self.generator, Generator3D)

    def to_pixels(self, image: Tensor) -> Tensor:
        """A render as pictures are drawn of it."""
        return image if self.pixels else self.loaded.codec.decode(image)

    def preview_painter(self) -> PreviewPainter:
        """Draws its renders."""
        cond = self.conditions.positive if isinstance(self.conditions, Conditions) else None
        return PreviewPainter(self.loaded.prior.shape, self.loaded.prior, cond, self.loaded.extent)


def build(config: Config, loaded: LoadedPrior | None = None) -> RunObjects:
    """Loads the prior, makes the generator and the optimizer, and checks that they fit.

    Args:
        config: what to build.
        loaded: the prior, where it is loaded already.

    Raises:
        ValueError: something does not fit; one line.
        OSError: a file that cannot be read.
    """
    check_trackers(config.trackers)
    if config.mp4:
        check_video_support()
    if torch.device(config.device).type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"there is no CUDA device here: got device {config.device!r}; use cpu")
    loaded = config.prior.load(config.device) if loaded is None else loaded
    made = config.generator.make(loaded, config.seed)
    conditions = _conditions(config, loaded, made)
    counting = Counting(loaded.prior)
    prior: Prior = counting
    if config.scale != 1:
        if conditions is None:
            raise ValueError(f"guidance needs something to seek: got scale {config.scale:g}; add label or prompts")
        if hasattr(config.method, "scale"):
            name = config.method_name
            raise ValueError(
                f"{name} guides by itself: got scale {config.scale:g}; leave it at 1 and set method.{name}.scale"
            )
        prior = (PerpNeg if config.views.opposed else Guided)(counting, config.scale)
    module = made.module
    if not isinstance(module, Generator):
        raise TypeError(f"a generator has view and renders it: got {type(module).__name__}; give it both")
    optimizer = config.optimizer.make(made.module.parameters())
    return RunObjects(
        config,
        loaded,
        counting,
        prior,
        config.method,
        module,
        optimizer,
        made.codec,
        made.batch,
        made.pixels,
        conditions,
        config.regularizers,
    )


def _conditions(
    config: Config, loaded: LoadedPrior, made: BuiltGenerator
) -> Conditions | Callable[[View], Conditions] | None:
    if loaded.view_conditions is not None:
        if config.prompts or config.label is not None:
            raise ValueError(f"{config.prior.title} is told the camera alone: got words or a label; leave them out")
        return loaded.view_conditions
    if config.prompts:
        if not isinstance(loaded.prior, Pipeline):
            raise ValueError(f"{config.prior.title} knows no words: got prompts; use a pipeline, or label")
        if isinstance(made.module, Generator3D):
            if config.prompts[1:]:
                raise ValueError(f"one thing has one prompt: got {len(config.prompts)}; make a run of each")
            return config.views.conditions(loaded.prior, config.prompts[0], config.negative)
        texts = [config.prompts[item % len(config.prompts)] for item in range(max(made.batch, 1))]
        return loaded.prior.conditions(texts, [config.negative] * len(texts) if config.negative else None)
    if config.label is None:
        return None
    if loaded.labels is None:
        raise ValueError(f"{config.prior.title} has no classes: got label {config.label}; leave the label out")
    if config.label not in loaded.labels:
        raise ValueError(
            f"unknown label {config.label}: {config.prior.title} has {loaded.labels[0]} to {loaded.labels[-1]}; choose "
            "one"
        )
    device = loaded.prior.device
    return Conditions(torch.tensor([config.label], device=device), null=torch.tensor([-1], device=device))
