"""`modeseek paper text-to-3d`: metrics of text-to-3D methods on objects with known ground-truth shape."""

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
_CONSISTENCY = ("fine", "none")  # by default


@dataclass(frozen=True)
class TextTo3DCommand:
    """Compare SDS, MSD, SDI and VSD on 3D objects with known ground-truth shape, at equal prior calls.

    Each method optimises one 3D shape per caption and seed. Metrics on 16 held-out views: silhouette and colour errors
    against the ground truth, caption accuracy of the scene classifier, number of front faces, mesh quality and cost.
    The first of --consistency runs on all captions, the others on captions of objects with a front face.

    Writes one run folder per shape, tables, a contact sheet, a video and report.html. To resume after Ctrl-C, rerun
    the command with the same --out; --methods, --captions, --consistency and --seeds may change.

    Examples:
      modeseek paper text-to-3d --out runs/paper-3d

      modeseek paper text-to-3d --prior renders --captions "a red cone on a blue cube" --methods sds msd msd-plain
      --size 32 --steps 150 --seeds 2

      modeseek paper text-to-3d --prior pipelines/scenes --consistency fine none perp-neg --full
    """

    prior: Annotated[str, tyro.conf.arg(metavar="FOLDER|OWNER/NAME|renders")] = BUNDLED
    """Diffusers pipeline trained on scenes; default: the bundled text-to-image model. Or renders: the exact prior of
    ground-truth renders of each caption."""
    captions: tuple[Annotated[str, tyro.conf.arg(metavar="CAPTION")], ...] = ()
    """Captions in the scenes' grammar: one object, or one on another; default four, twelve with --full."""
    methods: tuple[Annotated[str, tyro.conf.arg(metavar="NAME")], ...] = ()
    """Methods to compare on all captions: sds sds-uniform sds-debiased msd msd-plain msd-product sdi sdi-negative vsd.
    Default: sds and msd on all captions, sdi and vsd on the first two; all methods with --full."""
    seeds: int = 3
    """Number of runs (seeds) per caption and method."""
    steps: int = 300
    """Number of steps of methods with one prior call per step; the others take fewer, at equal prior calls."""
    budget: int | None = None
    """Budget of each method, total prior calls per view, instead of --steps."""
    size: int | None = None
    """Side of the rendered images, pixels; default 64, or the input size of the pipeline."""
    consistency: tuple[Annotated[str, tyro.conf.arg(metavar="NAME")], ...] = ()
    """View conditioning of the prior: none, words, fine, or perp-neg (pipelines only); default fine and none."""
    full: bool = False
    """Full experiment (resumable): twelve captions, all methods."""
    volume: Literal["dense", "triplane", "fourier", "hash"] = "dense"
    """Representation of density and colour."""
    views: int = 4
    """Number of views per step."""
    scale: float = 3.0
    """Classifier-free guidance scale; 1 is none. Ignored by the exact prior."""
    seed: int = 0
    """Random seed."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """Device: cpu, cuda, cuda:1 or mps."""
    out: Path | None = None
    """Folder to create or resume; default runs/paper-text-to-3d-TIME-ID."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the experiment and prints the tables and the path of the report."""
        plan = self.plan()
        for job in plan.jobs():  # invalid settings are reported before anything is loaded
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
            except KeyboardInterrupt as error:  # raised while the progress bars were drawn
                raise RunInterrupted(resume_hint(run, "interrupted")) from error
        print_table(report.table, report.titles, f"Text to 3D, {plan.prior}")
        if report.fronts.rows:
            print_table(report.fronts, report.titles, "Captions with a front face")
        for line in (*report.findings, *report.missing):
            print(line)
        print(f"Report: {run.path / 'report.html'}")

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
        plan = TextTo3D(
            self.prior,
            self.captions or (CAPTIONS + MORE_CAPTIONS if self.full else CAPTIONS),
            entries,
            look_up_all("consistency", self.consistency or _CONSISTENCY, VIEW_CONDITIONINGS),
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
        if len(plan.scenes) != len(plan.captions):  # parses the captions: ValueError with the grammar
            raise RuntimeError("number of scenes and captions differ")
        return plan

    def _settings(self, plan: TextTo3D) -> dict[str, Any]:
        names = ("prior", "seeds", "steps", "budget", "size", "views", "volume", "scale", "seed", "device")
        return {
            "captions": list(plan.captions),
            "methods": {entry.name: limit for entry, limit in plan.entries.items()},
            "consistency": [conditioning.name for conditioning in plan.conditionings],
            **{name: getattr(plan, name) for name in names},
            "full": self.full,
        }
