"""Construction of prior, method, generator and optimizer from a configuration, checked before a file is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from modeseek.codec import Codec, Shifted
from modeseek.config.built_generator import BuiltGenerator, Initialize, StartContext
from modeseek.config.config import Config
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.measurement import ImageMeasurement
from modeseek.config.photograph_views import Photographs
from modeseek.distill import Regularizer
from modeseek.generators.base import BaseGenerator, View, render
from modeseek.io.remarks import add_remark, collect_remarks
from modeseek.io.video import film_formats
from modeseek.methods.base import Method
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import Guided
from modeseek.priors.perp_neg import PerpNeg
from modeseek.priors.wrapper import Counting, require_text
from modeseek.runs.distill_start import distill_start
from modeseek.runs.previews import PreviewPainter
from modeseek.runs.trackers import check_trackers

_PREVIEW_SIDE, _SHEET_SIDE = 256, 512  # least side of a sharp preview image, and about that of all, pixels


@dataclass
class RunObjects:
    """Prior, method, generator and optimizer of a run.

    Attributes:
        config: configuration that they were built from.
        loaded: loaded prior, with its SHA-256, labels, codec and plot extent.
        counting: the same prior, counting its calls.
        prior: prior that the method evaluates: `counting`, guided where the configuration sets a scale.
        method: score distillation method.
        generator: generator that is optimised.
        optimizer: optimizer over the generator's parameters.
        codec: map from the generator's rendering to z.
        batch: number of items per step.
        pixels: True if the generator renders pixels in [0, 1].
        conditions: conditions of the prior: fixed, or a function of the view.
        regularizers: functions of (rendering, progress) whose values are added to the loss.
        remarks: what of prior and prompts was left out, one line each, for the log.
        enlarged: whether small images are exported enlarged, too.
        initialize: function that sets initial parameters which depend on the prior, before the first step; None: the
            generator has its initial parameters.
        sources: images that the generator starts from, one per item, in [0, 1]; None: from noise.
        measurement: measured image that the images restore; None for none.
        photographs: photographs of the object that the shape matches; None for none.
    """

    config: Config
    loaded: LoadedPrior
    counting: Counting
    prior: Prior
    method: Method
    generator: BaseGenerator
    optimizer: torch.optim.Optimizer
    codec: Codec
    batch: int
    pixels: bool
    conditions: Conditions | Callable[[View], Conditions] | None
    regularizers: Sequence[Regularizer] = ()
    remarks: tuple[str, ...] = ()
    enlarged: bool = True
    initialize: Initialize | None = None
    sources: Tensor | None = None
    measurement: ImageMeasurement | None = None
    photographs: Photographs | None = None

    def rebuild(self) -> RunObjects:
        """Builds the same objects again in their initial state, with the loaded prior reused."""
        return build(self.config, self.loaded)

    def render_preview(self) -> Tensor:
        """Rendering of the preview view, (n, *shape): pixels in [0, 1] for an image prior, else z."""
        with torch.no_grad():
            return self.to_pixels(render(self.generator, self.generator.preview_view()).image)

    def draw_preview(self) -> Tensor:
        """Rendering of the preview view for a preview image: of generators with sharp previews, larger."""
        if not self.generator.sharp_previews:
            return self.render_preview()
        images = self.render_preview()
        scale = max(_PREVIEW_SIDE, _SHEET_SIDE // math.ceil(math.sqrt(len(images)))) / max(images.shape[2:])
        rendered = self.generator.render_at((round(scale * images.shape[2]), round(scale * images.shape[3])))
        return images if rendered is None else torch.stack(list(rendered))

    @property
    def draws_previews(self) -> bool:
        """Whether previews are rendered for themselves: fixed views of a 3D shape, or images larger than a step's."""
        return self.is_3d or self.generator.sharp_previews

    @property
    def is_3d(self) -> bool:
        """Whether the generator is a 3D shape, whose previews show fixed views instead of those of the step."""
        return self.generator.is_3d

    def to_pixels(self, image: Tensor) -> Tensor:
        """A rendering as previews draw it: pixels in [0, 1] for an image prior, else z."""
        return image if self.pixels else self.loaded.codec.decode(image)

    @property
    def start_context(self) -> StartContext:
        """Prior and conditions, for initial parameters that are computed from them."""
        config = self.config
        distill = partial(distill_start, self.prior, config.method, self.conditions, config.seed, config.inner_steps)
        return StartContext(self.counting, self.conditions, config.guidance, self.loaded.codec, config.seed, distill)

    def preview_painter(self) -> PreviewPainter:
        """Painter of the previews of this run."""
        cond = self.conditions.positive if isinstance(self.conditions, Conditions) else None
        return PreviewPainter(self.loaded.prior.shape, self.loaded.prior, cond, self.loaded.extent)


def build(config: Config, loaded: LoadedPrior | None = None) -> RunObjects:
    """Loads the prior, builds the generator and the optimizer, and checks that they fit together.

    Args:
        config: configuration of the run.
        loaded: loaded prior to reuse; None loads it.

    Raises:
        ValueError: parts of the configuration do not fit together; one line.
        OSError: a file cannot be read.
    """
    check_trackers(config.trackers)
    film_formats(config.film)  # raises where MP4 cannot be written
    config = config.with_device()
    loaded = config.prior.load(config.device) if loaded is None else loaded
    with collect_remarks() as remarks:
        built = config.generator.make(_shifted(config, loaded), config.seed)
        conditions = _conditions(config, loaded, built)
        measurement = None if config.measurement is None else config.measurement.load(loaded, config.seed)
        photographs = None if config.photographs is None else config.photographs.load(built.module, loaded, config.seed)
    counting = Counting(loaded.prior)
    prior: Prior = counting
    if config.scale != 1:
        if conditions is None:
            raise ValueError(f"guidance needs a condition: got scale {config.scale:g} alone; set label or prompts")
        prior = (PerpNeg if config.views.opposed else Guided)(counting, config.scale)
    regularizers: tuple[Regularizer, ...] = config.regularizers
    if measurement is not None:
        prior = measurement.measured(prior, loaded)
        regularizers += measurement.penalties(config.method, prior, built.pixels)
    if photographs is not None:
        regularizers += (photographs.penalty(config.method, prior.schedule),)
    module = built.module
    optimizer = config.optimizer.make(module.parameter_groups())
    return RunObjects(
        config,
        loaded,
        counting,
        prior,
        config.method,
        module,
        optimizer,
        built.codec,
        built.batch,
        built.pixels,
        conditions,
        regularizers,
        (*loaded.remarks, *remarks),
        initialize=built.initialize,
        sources=built.sources,
        measurement=measurement,
        photographs=photographs,
    )


def _shifted(config: Config, loaded: LoadedPrior) -> LoadedPrior:
    """The prior with the codec through which the generator is optimised: shifted where the configuration says so."""
    return replace(loaded, codec=Shifted(loaded.codec, config.shift)) if config.shift else loaded


def _conditions(
    config: Config, loaded: LoadedPrior, built: BuiltGenerator[BaseGenerator]
) -> Conditions | Callable[[View], Conditions] | None:
    if loaded.view_conditions is not None:
        if config.prompts or config.label is not None:
            raise ValueError(
                f"{config.prior.title} is conditioned on the camera alone: got prompts or a label; remove them"
            )
        return loaded.view_conditions
    if config.prompts:
        prior = require_text(loaded.prior, config.prior.title)
        if built.module.is_3d:
            if config.prompts[1:]:
                raise ValueError(f"a 3D generator takes one prompt, got {len(config.prompts)}; start a run for each")
            return _with_source(
                config.views.conditions(prior, config.prompts[0], config.negative),
                config.views.conditions(prior, config.source, "") if config.source else None,
            )
        n = built.batch
        texts = [config.prompts[item % len(config.prompts)] for item in range(n)]
        source = prior.conditions([config.source] * n) if config.source else None
        return _with_source(prior.conditions(texts, [config.negative] * n if config.negative else None), source)
    if config.label is None:
        if loaded.prior.takes_text:
            add_remark(f"no prompt was given: {config.prior.title} is evaluated for the empty text; try --prompt TEXT")
        return None
    n_classes = loaded.prior.n_classes
    if not n_classes:
        raise ValueError(f"{config.prior.title} has no classes: got label {config.label}; remove the label")
    if not 0 <= config.label < n_classes:
        raise ValueError(f"unknown label {config.label}: {config.prior.title} has 0 to {n_classes - 1}")
    device = loaded.prior.device
    return Conditions(torch.tensor([config.label], device=device), null=torch.tensor([-1], device=device))


def _with_source(
    target: Conditions | Callable[[View], Conditions], source: Conditions | Callable[[View], Conditions] | None
) -> Conditions | Callable[[View], Conditions]:
    """Conditions of the target with those of a source prompt beside them, fixed or as a function of the view."""
    if source is None:
        return target

    def at(view: View) -> Conditions:
        here, there = (part(view) if callable(part) else part for part in (target, source))
        return replace(here, source=there.positive)

    if callable(target) or callable(source):
        return at
    return replace(target, source=source.positive)
