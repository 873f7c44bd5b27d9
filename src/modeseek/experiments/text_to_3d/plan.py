"""What the text-to-3-D experiment does: which things, by whom, told what, from which seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from modeseek.config.camera_prompts import CameraPromptsConfig
from modeseek.config.config import Config, GuardConfig
from modeseek.config.generators3d import Kind, NeRFConfig
from modeseek.config.optimizers import AdamConfig
from modeseek.config.priors import PipelinePriorConfig, PriorConfig, RenderedPriorConfig
from modeseek.datasets.scenes.lighting import OVERHEAD
from modeseek.datasets.scenes.static_scene import StaticScene
from modeseek.experiments.text_to_3d.defaults import RATES
from modeseek.experiments.text_to_3d.entries import Player
from modeseek.experiments.text_to_3d.view_conditioning import ViewConditioning
from modeseek.metrics.scenes.janus import has_front
from modeseek.runs.count_calls import count_prior_calls

RENDERS = "renders"
_OPPOSED = 2  # times as many calls as plain guidance: Perp-Neg asks for two other views as well
_SIDE = 64  # of what the exact prior sees, where nothing else is said


@dataclass(frozen=True)
class Job3D:
    """One thing by one method.

    Attributes:
        player: who makes it.
        telling: what the prior is told of views.
        caption: number of what it shall be.
        seed: of all its draws; the same for all who are compared.
        name: of its folder.
    """

    player: Player
    telling: ViewConditioning
    caption: int
    seed: int
    name: str


@dataclass(frozen=True)
class TextTo3D:
    """Every method makes the thing that each caption names, from every seed, with equally many prior calls.

    Attributes:
        prior: renders (the exact prior of each caption's own pictures), or a pipeline's folder or name.
        captions: within the grammar of `problems.scenes`, one object or one on another.
        players: who is compared, by how many of the captions: the first so many; None is all.
        tellings: what the prior is told of views. The first is for all; under the others only captions with a front
            are played, by players of all captions.
        seeds: runs of a caption and player.
        steps: of a player that asks the prior once a step (twice when guided); others take fewer, see `steps_of`.
        budget: prior calls an item that every player may spend, in place of the steps; None leaves the steps.
        size: side of the pictures, pixels; None is 64, or what the pipeline sees.
        views: cameras a step.
        volume: what holds density and colour.
        scale: of classifier-free guidance; the exact prior knows none.
        seed: of the experiment.
        device: where.
    """

    prior: str
    captions: tuple[str, ...]
    players: Mapping[Player, int | None]
    tellings: tuple[ViewConditioning, ...]
    seeds: int = 3
    steps: int = 300
    budget: int | None = None
    size: int | None = None
    views: int = 4
    volume: Kind = "dense"
    scale: float = 3.0
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.captions or not self.players or not self.tellings:
            raise ValueError("the experiment needs captions, methods and a way to tell views: got none; name some")
        if len(set(self.captions)) < len(self.captions):
            raise ValueError(f"a caption is played once: got {list(self.captions)}; leave out the second")
        for name, least in (("seeds", 1), ("steps", 2), ("views", 1), ("size", 8)):
            if getattr(self, name) is not None and getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}: got {getattr(self, name)}; raise it")
        if not math.isfinite(self.scale):
            raise ValueError(f"a guidance scale is finite: got {self.scale}; 1 is none")
        for telling in self.tellings:
            if self.exact and telling.bins is None:
                raise ValueError(
                    f"the prior of renders is told the camera, no words: got consistency {telling.name!r}; choose "
                    "none, words or fine, or a pipeline with --prior"
                )

    @property
    def exact(self) -> bool:
        """Whether the prior is the exact one of renders."""
        return self.prior == RENDERS

    @property
    def guidance(self) -> float:
        """Of all players."""
        return 1.0 if self.exact else self.scale

    @cached_property
    def stills(self) -> tuple[StaticScene, ...]:
        """The true things, under the lamp that the prior's pictures are lit by.

        Raises:
            ValueError: a caption that names no such thing.
        """
        return tuple(StaticScene.of(caption, OVERHEAD if self.exact else None) for caption in self.captions)

    @property
    def fronted(self) -> tuple[int, ...]:
        """Numbers of the captions with a front."""
        return tuple(k for k, still in enumerate(self.stills) if has_front(still.said))

    def plays(self) -> list[Job3D]:
        """All there is to do, seed by seed, so that an interrupted experiment has seen everybody."""
        return [
            Job3D(player, telling, caption, seed, self._name(player, telling, caption, seed))
            for seed in range(self.seeds)
            for number, telling in enumerate(self.tellings)
            for caption in range(len(self.captions))
            for player, most in self.players.items()
            if (caption < (len(self.captions) if most is None else most) if number == 0 else most is None)
            and (number == 0 or caption in self.fronted)
        ]

    def source(self, play: Job3D) -> PriorConfig:
        """Whom the play asks."""
        if self.exact:
            return RenderedPriorConfig(self.captions[play.caption], self.size or _SIDE, play.telling.bins or 1)
        return PipelinePriorConfig(self.prior)

    def config(self, play: Job3D) -> Config:
        """The run of one play, as `modeseek shape` would make it."""
        player, guidance = play.player, self.guidance
        return Config(
            prior=self.source(play),
            method=player.method(guidance, not self.exact),
            generator=NeRFConfig(self.volume, self.views, None if self.exact else self.size),
            optimizer=AdamConfig(**RATES[self.volume]),
            name=play.name,
            steps=self.steps_of(player, play.telling),
            seed=self.seed + play.seed,
            prompts=() if self.exact else (self.captions[play.caption],),
            views=CameraPromptsConfig() if self.exact else play.telling.views(player.guided),
            scale=guidance if player.guided else 1.0,
            device=self.device,
            guard=GuardConfig(active=False),  # an empty or glaring thing is a result here, and is measured
            previews=0,
        )

    def calls(self, player: Player, telling: ViewConditioning) -> tuple[int, int]:
        """Prior calls an item: before the first step, and each step; a second network of VSD's is no prior."""
        asked = _OPPOSED if telling.opposed and player.guided and self.guidance != 1 else 1
        first, each = self._prices[player]
        return asked * first, asked * each

    @cached_property
    def _prices(self) -> Mapping[Player, tuple[int, int]]:
        """Of players whose views are not opposed."""
        return {
            player: count_prior_calls(player.method(self.guidance, words=False), self.guidance, player.guided)
            for player in self.players
        }

    @property
    def spend(self) -> int:
        """Prior calls an item that every player may spend."""
        return self.budget if self.budget is not None else self.steps * (1 if self.guidance == 1 else 2)

    def steps_of(self, player: Player, telling: ViewConditioning) -> int:
        """Steps that a player takes: as many as its prior calls allow.

        Raises:
            ValueError: fewer than two.
        """
        first, each = self.calls(player, telling)
        steps = (self.spend - first) // each
        if steps < 2:
            raise ValueError(
                f"{self.spend} prior calls an item are too few: two steps of {player.name} take {first + 2 * each}; "
                "raise --steps or --budget"
            )
        return steps

    def _name(self, player: Player, telling: ViewConditioning, caption: int, seed: int) -> str:
        words = re.sub(r"[^a-z0-9]+", "-", self.captions[caption].lower()).strip("-")
        return f"{player.name}-{telling.name}-{words}-{seed}"
