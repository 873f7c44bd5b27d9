"""`modeseek exam`: caption accuracy of a text-to-image model on held-out scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class ExamCommand:
    """Evaluate the caption accuracy of a text-to-image model on held-out captions of scenes.

    Samples images with the scheduler of diffusers and scores object, colour, relation and view with the bundled scene
    classifier, beside its accuracy on ground-truth renders; also KID against renders, images and a report.

    Examples:
      modeseek exam runs/scenes

      modeseek exam runs/scenes/pipeline --captions 100
    """

    prior: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="FOLDER")]]
    """Stable Diffusion pipeline, or a training folder of python -m tools.bundled_priors."""
    judge: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Scene classifier written by python -m tools.bundled_priors train judge; default: the bundled one."""
    captions: int = 300
    """Number of captions: a quarter each of single objects and of pairs on, beside and behind one another."""
    steps: int = 25
    """Number of scheduler steps."""
    scale: float = 3.0
    """Classifier-free guidance scale; 1 is none."""
    seed: int = 0
    """Random seed of captions, noise and renders."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """Device: cpu, cuda, cuda:1 or mps."""
    batch: int = 25
    """Batch size: images sampled together."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Run folder to create; default runs/exam-NAME-TIME-ID."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the evaluation and prints the table and the path of the report."""
        from modeseek.cli.terminal import print_report_path, print_result, run_with_progress
        from modeseek.config.priors import files_digest
        from modeseek.config.registry import REGISTRY
        from modeseek.experiments.caption_exam.caption_exam import CaptionExam, held_out_captions
        from modeseek.experiments.caption_exam.experiment import run_exam
        from modeseek.metrics.scenes.classifier import SceneClassifier
        from modeseek.priors.pipeline.diffusers_sampling import find_stable_diffusion
        from modeseek.rundir.run_dir import Run

        for name, value in (("steps", self.steps), ("batch", self.batch), ("captions", self.captions)):
            if value < 1:
                raise ValueError(f"--{name} must be at least 1, got {value}")
        folder = find_stable_diffusion(self.prior)
        classifier = SceneClassifier.packaged() if self.judge is None else SceneClassifier.load(self.judge)
        captions = held_out_captions(self.captions, self.seed)
        exam = CaptionExam(folder, captions, self.scale, self.steps, self.seed, self.device, self.batch)
        name = Path(self.prior).name or "here"
        title = f"Caption accuracy of {name}"
        weights = files_digest(sorted(folder.rglob("*.safetensors")))
        run = Run.create(
            {"verb": "exam", **REGISTRY.serialize_fields(replace(self, out=None), "config")},
            name_parts=["exam", name],
            command=argv,
            prior={"title": name, "sha256": weights},
            device=self.device,
            out=self.out,
        )
        print(f"Run: {run.path}")
        print_result(run_with_progress(run_exam(run, exam, classifier, title)), title)
        print_report_path(run, self.out)
