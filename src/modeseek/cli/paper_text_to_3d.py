"""`modeseek paper text-to-3d`: metrics of text-to-3D methods on objects with known ground-truth shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.paper_options import Name, PaperOptions, run_and_print
from modeseek.config.defaults import DEFAULT_PRIOR
from modeseek.config.lookup import look_up_all
from modeseek.config.priors import PipelinePriorConfig
from modeseek.experiments.text_to_3d.entries import DEFAULT_ENTRIES, DEFAULT_EXTRA_ENTRIES, ENTRIES
from modeseek.experiments.text_to_3d.experiment import run_text_to_3d
from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.experiments.text_to_3d.representations import REPRESENTATIONS
from modeseek.experiments.text_to_3d.view_conditioning import VIEW_CONDITIONINGS
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.priors.pipeline.bundled_table import bundled_prior
from modeseek.runs.experiment_folder import TEXT_TO_3D, open_experiment
from modeseek.runs.jobs import PriorCache

CAPTIONS = (
    "a blue cube with a white face",
    "a red cone on a blue cube",
    "a green robot head",
    "a yellow mug",
)
MORE_CAPTIONS = (
    "a red car",
    "an orange duck",
    "a purple rocket",
    "a pink chair",
    "a green torus",
    "a red mushroom",
    "a yellow sphere on a purple cylinder",
    "a black bear head",
)
_CONSISTENCY = ("fine", "none")  # by default


@dataclass(frozen=True)
class TextTo3DCommand:
    """Compare SDS, MSD, SDI and VSD on 3D objects with known ground-truth shape, at equal prior calls.

    Each method optimises one 3D shape per caption and seed. Metrics on 16 held-out views: silhouette and colour errors
    against the ground truth, caption accuracy of the scene classifier, number of front faces, mesh quality and cost.
    The first of --consistency runs on all captions, the others on captions of objects with a front face.

    Writes one run folder per shape, tables, a contact sheet, a video and report.html. To resume after Ctrl-C, rerun
    the command with the same --out; --methods, --generators, --captions, --consistency and --seeds may change.

    Examples:
      modeseek paper text-to-3d --out runs/paper-3d

      modeseek paper text-to-3d --prior renders --captions "a red cone on a blue cube" --methods sds msd msd-plain
      --size 32 --steps 150 --seeds 2

      modeseek paper text-to-3d --prior pipelines/scenes --consistency fine none perp-neg --full
    """

    prior: Annotated[str, tyro.conf.arg(metavar="scenes|emoji|renders|FOLDER|FILE|OWNER/NAME")] = DEFAULT_PRIOR
    """Prior: scenes, which ships with modeseek; a diffusers pipeline trained on scenes; renders, the exact prior of
    ground-truth renders of each caption; or emoji, which ships too and draws some of the objects, seen from no side."""
    captions: tuple[Annotated[str, tyro.conf.arg(metavar="CAPTION")], ...] = ()
    """Captions in the scenes' grammar: one object, or one on another. Default: four, twelve with --full; under
    emoji four that it draws."""
    methods: tuple[Name, ...] = ()
    """Methods to compare on all captions: sds sds-uniform sds-debiased msd msd-plain msd-product sdi sdi-negative vsd.
    Default: sds and msd on all captions, sdi and vsd on the first two; all methods with --full."""
    steps: int = 100
    """Number of steps of methods with one prior call per step; the others take fewer, at equal prior calls."""
    budget: int | None = None
    """Budget of each method, total prior calls per view, instead of --steps."""
    size: int | None = None
    """Side of the rendered images, pixels; default 64, or the input size of the pipeline."""
    consistency: tuple[Name, ...] = ()
    """View conditioning of the prior: none, words, fine, or perp-neg (pipelines only). Default: fine and none;
    under emoji none."""
    full: bool = False
    """Full experiment (resumable): twelve captions, all methods."""
    volume: Literal["dense", "triplane", "fourier", "hash"] = "dense"
    """Representation of density and colour."""
    generators: tuple[Name, ...] = ("volume",)
    """3D representations to compare: volume, splats (2,000 Gaussian splats that start in a volume), mesh (of a volume,
    its vertex colours refined), at equal prior calls; the first one alone under further --consistency."""
    views: int = 4
    """Number of views per step."""
    scale: float = 3.0
    """Classifier-free guidance scale; 1 is none. Ignored by the exact prior."""
    inner_steps: int | None = None
    """Number of optimizer steps towards the target of each direction, for methods that have one; they
    cost no prior call. Default: that of modeseek shape, 2 under scenes and emoji, else 1."""
    shared: PaperOptions = field(default_factory=PaperOptions)
    """Options of every experiment."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the experiment and prints the tables and the path of the report."""
        plan = self.plan()
        for job in plan.jobs():  # invalid settings are reported before anything is loaded
            plan.config(job)
        classifier, priors = SceneClassifier.packaged(), PriorCache(plan.device)
        prior: dict[str, Any] = {"title": plan.prior, "sha256": None}
        if not plan.exact:
            prior = priors.load(PipelinePriorConfig(plan.prior)).record(plan.prior)
        run = open_experiment(TEXT_TO_3D, self._settings(plan), prior, argv, self.shared.out)
        run_and_print(run, run_text_to_3d(plan, run, classifier, priors), f"Text to 3D, {plan.prior}")

    def plan(self) -> TextTo3D:
        """Experiment plan given by the options.

        Raises:
            ValueError: an option is invalid.
        """
        if self.methods or self.full:
            entries = dict.fromkeys(look_up_all("method", self.methods, ENTRIES))
        else:
            entries = {ENTRIES[name]: None for name in DEFAULT_ENTRIES} | {
                ENTRIES[name]: 2 for name in DEFAULT_EXTRA_ENTRIES
            }
        named = bundled_prior(self.prior)
        captions = self.captions or (() if named is None else named.captions)
        unseen = named is not None and named.views == "none"
        plan = TextTo3D(
            self.prior,
            captions or (CAPTIONS + MORE_CAPTIONS if self.full else CAPTIONS),
            entries,
            look_up_all("consistency", self.consistency or (("none",) if unseen else _CONSISTENCY), VIEW_CONDITIONINGS),
            seeds=self.shared.seeds,
            steps=self.steps,
            budget=self.budget,
            size=self.size,
            views=self.views,
            volume=self.volume,
            representations=look_up_all("generator", self.generators, REPRESENTATIONS),
            scale=self.scale,
            inner_steps=self.inner_steps,
            seed=self.shared.seed,
            device=self.shared.resolved_device,
        )
        if len(plan.scenes) != len(plan.captions):  # parses the captions: ValueError with the grammar
            raise RuntimeError("number of scenes and captions differ")
        return plan

    def _settings(self, plan: TextTo3D) -> dict[str, Any]:
        return {
            "captions": list(plan.captions),
            "methods": {entry.name: limit for entry, limit in plan.entries.items()},
            "consistency": [conditioning.name for conditioning in plan.conditionings],
            "prior": plan.prior,
            "seeds": plan.seeds,
            "steps": plan.steps,
            "budget": plan.budget,
            "size": plan.size,
            "views": plan.views,
            "volume": plan.volume,
            "generators": [representation.name for representation in plan.representations],
            "scale": plan.scale,
            "inner_steps": plan.inner_steps,
            "seed": plan.seed,
            "device": plan.device,
            "full": self.full,
        }
