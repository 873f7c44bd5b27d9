"""`modeseek exam`: how well a scene prior draws what captions say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class ExamCommand:
    """Draw held-out captions with diffusers' own sampler, and have a judge say whether the pictures show them.

    The judge is a small network that ships with modeseek, trained on renders; its accuracy on renders of the same
    captions stands beside. Object, colour, relation and view, KID to renders, pictures and a report.

    Examples:
      modeseek exam runs/scenes

      modeseek exam runs/scenes/pipeline --captions 100
    """

    prior: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="FOLDER")]]
    """A Stable Diffusion pipeline, or the folder of a training of the bundled prior."""
    judge: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """A judge trained by python -m tools.bundled_priors train judge; the packaged one by default."""
    captions: int = 300
    """How many, a quarter each of one object and of two on, beside and behind one another."""
    steps: int = 25
    """Of the pipeline's own scheduler."""
    scale: float = 3.0
    """Classifier-free guidance: 1 is none."""
    seed: int = 0
    """Of captions, noise and renders."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """cpu, cuda, cuda:1 or mps."""
    batch: int = 25
    """Pictures at a time."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder to make, by default runs/exam-NAME-TIME-ID."""

    def run(self, argv: Sequence[str]) -> None:
        """Examines, and prints the table."""
        from modeseek.cli.terminal import run_with_progress, print_table
        from modeseek.config.priors import files_digest
        from modeseek.experiments.caption_exam.caption_exam import CaptionExam, held_out_captions
        from modeseek.experiments.caption_exam.experiment import run_exam
        from modeseek.experiments.caption_exam.report import summarise
        from modeseek.metrics.scenes.classifier import SceneClassifier
        from modeseek.priors.pipeline.diffusers_sampling import find_stable_diffusion
        from modeseek.rundir.environment import collect_environment
        from modeseek.rundir.run_dir import Run
        from modeseek.rundir.status import Status

        for name, value in (("steps", self.steps), ("batch", self.batch), ("captions", self.captions)):
            if value < 1:
                raise ValueError(f"--{name} is at least 1: got {value}; raise it")
        folder = find_stable_diffusion(self.prior)
        judge = SceneClassifier.packaged() if self.judge is None else SceneClassifier.load(self.judge)
        captions = held_out_captions(self.captions, self.seed)
        exam = CaptionExam(folder, captions, self.scale, self.steps, self.seed, self.device, self.batch)
        name = Path(self.prior).name or "here"
        title = f"Examination of {name}"
        names = ("prior", "captions", "steps", "scale", "seed", "device", "batch")
        weights = files_digest(sorted(folder.rglob("*.safetensors")))
        run = Run.create(
            {
                "verb": "exam",
                **{key: getattr(self, key) for key in names},
                "judge": None if self.judge is None else str(self.judge),
            },
            name_parts=["exam", name],
            command=argv,
            environment=collect_environment(self.device, {"title": name, "sha256": weights}),
            status=Status("created"),
            out=self.out,
        )
        print(f"Run: {run.path}")
        done = run_with_progress(run_exam(run, exam, judge, title))
        print_table(done.table, {}, title)
        for line in summarise(exam, done):
            print(line)
        print(f"Report: {run.path / 'report.html'}")
