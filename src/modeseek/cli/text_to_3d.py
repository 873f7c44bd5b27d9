"""`modeseek paper text-to-3d`: methods against each other on things whose true shape is known, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.lookup import look_up_all
from modeseek.cli.terminal import print_table, run_with_progress
from modeseek.config.priors import BUNDLED, PipelinePriorConfig
from modeseek.experiments.text_to_3d.entries import DEFAULT_ENTRIES, DEFAULT_EXTRA_ENTRIES, ENTRIES
from modeseek.experiments.text_to_3d.experiment import run_text_to_3d
from modeseek.experiments.text_to_3d.jobs import PriorCache
from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.experiments.text_to_3d.view_conditioning import VIEW_CONDITIONINGS
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.runs.experiment_folder import TEXT_TO_3D, open_experiment, resume_hint
from modeseek.runs.interrupts import RunInterrupted

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
_TOLD = ("fine", "none")


@dataclass(frozen=True)
class TextTo3DCommand:
    """Compare SDS, MSD, SDI and VSD on things in three dimensions whose true shape is known, at equal prior calls.

    Each method makes each caption's thing from every seed. Measured are silhouettes and colours against the truth from
    16 views that no optimisation used, what the judge of scenes sees there, fronts, meshes and costs. The first of
    --consistency is for all; under the others only captions with a front are played.

    A folder is made with a run of each thing, tables, a contact sheet, a film and report.html. Ctrl-C is no loss: the
    same command with the same --out goes on, and --methods, --captions, --consistency, --seeds may differ then.

    Examples:
      modeseek paper text-to-3d --out runs/paper-3d

      modeseek paper text-to-3d --prior renders --captions "a red cone on a blue cube" --methods sds msd msd-plain
      --size 32 --steps 150 --seeds 2

      modeseek paper text-to-3d --prior pipelines/scenes --consistency fine none perp-neg --full
    """

    prior: Annotated[str, tyro.conf.arg(metavar="FOLDER|OWNER/NAME|renders")] = BUNDLED
    """A diffusers pipeline that was trained on scenes, by default the one that comes with modeseek; or renders, the
    exact prior of each caption's own pictures."""
    captions: tuple[Annotated[str, tyro.conf.arg(metavar="WORDS")], ...] = ()
    """Things of the scenes' grammar, one or one on another; four by default, twelve with --full."""
    methods: tuple[Annotated[str, tyro.conf.arg(metavar="NAME")], ...] = ()
    """Who plays all captions: sds sds-uniform sds-debiased msd msd-plain msd-product sdi
    sdi-negative vsd. By default sds and msd, and sdi and vsd the first two captions; all with --full."""
    seeds: int = 3
    """Runs of each caption and method."""
    steps: int = 300
    """Of a method that asks the prior once a step; the others take as many as equally many prior calls allow."""
    budget: int | None = None
    """Prior calls a view that every method may spend, in place of --steps."""
    size: int | None = None
    """Side of the pictures that are rendered, pixels: 64, or what the pipeline sees."""
    consistency: tuple[Annotated[str, tyro.conf.arg(metavar="NAME")], ...] = ()
    """What the prior is told of views: none, words, fine, or perp-neg (pipelines only); fine and none by default."""
    full: bool = False
    """The long form, resumable: twelve captions, all methods."""
    volume: Literal["dense", "triplane", "fourier", "hash"] = "dense"
    """What holds density and colour."""
    views: int = 4
    """Cameras a step."""
    scale: float = 3.0
    """Classifier-free guidance, 1 is none; the exact prior takes none."""
    seed: int = 0
    """Of the experiment."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """cpu, cuda, cuda:1 or mps."""
    out: Path | None = None
    """Folder to make or to go on with, by default runs/paper-text-to-3d-TIME-ID."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs it, prints the tables and where the files are."""
        plan = self.plan()
        for job in plan.jobs():  # what cannot be is said before anything is loaded
            plan.config(job)
        classifier, priors = SceneClassifier.packaged(), PriorCache(plan.device)
        prior = {
            "title": plan.prior,
            "sha256": None if plan.exact else priors.load(PipelinePriorConfig(plan.prior)).sha256,
        }
        run = open_experiment(TEXT_TO_3D, self._settings(plan), prior, argv, self.out)
        print(f"Experiment: {run.path}")
        with closing(run_text_to_3d(plan, run, classifier, priors)) as job:
            try:
                report = run_with_progress(job).report
            except KeyboardInterrupt as error:  # it came while the bars were drawn
                raise RunInterrupted(resume_hint(run, "interrupted")) from error
        print_table(report.table, report.titles, f"Text to 3-D, {plan.prior}")
        if report.fronts.rows:
            print_table(report.fronts, report.titles, "Captions with a front")
        for line in (*report.findings, *report.missing):
            print(line)
        print(f"Report: {run.path / 'report.html'}")

    def plan(self) -> TextTo3D:
        """What the options say.

        Raises:
            ValueError: something in them cannot be.
        """
        if self.methods or self.full:
            entries = dict.fromkeys(look_up_all("method", self.methods, ENTRIES))
        else:
            entries = {ENTRIES[name]: None for name in DEFAULT_ENTRIES} | {ENTRIES[name]: 2 for name in DEFAULT_EXTRA_ENTRIES}
        plan = TextTo3D(
            self.prior,
            self.captions or (CAPTIONS + MORE_CAPTIONS if self.full else CAPTIONS),
            entries,
            look_up_all("consistency", self.consistency or _TOLD, VIEW_CONDITIONINGS),
            self.seeds,
            self.steps,
            self.budget,
            self.size,
            self.views,
            self.volume,
            self.scale,
            self.seed,
            self.device,
        )
        if len(plan.scenes) != len(plan.captions):  # parses them all: ValueError, with the grammar
            raise RuntimeError("each caption is one thing")
        return plan

    def _settings(self, plan: TextTo3D) -> dict[str, Any]:
        names = ("prior", "seeds", "steps", "budget", "size", "views", "volume", "scale", "seed", "device")
        return {
            "captions": list(plan.captions),
            "methods": {entry.name: most for entry, most in plan.entries.items()},
            "consistency": [one.name for one in plan.conditionings],
            **{name: getattr(plan, name) for name in names},
            "full": self.full,
        }
