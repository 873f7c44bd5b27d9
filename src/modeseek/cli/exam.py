"""`modeseek exam`: accuracy of a text-to-image model on held-out scenes, or on the names of emoji."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from modeseek.device import AUTO, resolve_device

_SCENE_CAPTIONS, _EMOJI_NAMES = 300, 200


@dataclass(frozen=True)
class ExamCommand:
    """Evaluate the prompt accuracy of a text-to-image model: on scenes, or with --icons on emoji.

    Samples images with the scheduler of diffusers. Scenes: scores object, colour, relation and view of held-out
    captions with the bundled scene classifier, beside its accuracy on ground-truth renders; also KID against renders.
    Emoji (--icons): compares a sample of each name with all drawings of Fluent Emoji and Noto Emoji: how often the
    nearest bears the name, and how near it is. Both write images and a report.

    Examples:
      modeseek exam scenes

      modeseek exam emoji --icons node_modules

      modeseek exam runs/scenes/pipeline --captions 100
    """

    prior: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="scenes|emoji|FOLDER")]]
    """Bundled prior, Stable Diffusion pipeline, or training folder of python -m tools.bundled_priors."""
    icons: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder with the drawings, for the exam of emoji: node_modules after npm install
    @iconify-json/fluent-emoji-flat@1.2.6 @iconify-json/noto@1.2.9. Needs pip install 'modeseek[icons]'."""
    judge: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Scene classifier written by python -m tools.bundled_priors train judge; default: the bundled one."""
    captions: int | None = None
    """Number of captions. Scenes: 300, a quarter each of single objects and of pairs on, beside and behind one another.
    Emoji: 200 names."""
    steps: int | None = None
    """Number of scheduler steps; default: 25 for scenes, 50 for emoji."""
    scale: float = 3.0
    """Classifier-free guidance scale; 1 is none."""
    seed: int = 0
    """Random seed of captions, noise and ground truth."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = AUTO
    """Device: auto (cuda, else mps, else cpu), cpu, cuda, cuda:1 or mps."""
    batch: int = 25
    """Batch size: images sampled together."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Run folder to create; default runs/exam-NAME-TIME-ID."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the evaluation and prints the tables and the path of the report."""
        from modeseek.cli.terminal import print_report_path, print_result
        from modeseek.config.loaded_prior import files_digest
        from modeseek.config.registry import REGISTRY
        from modeseek.datasets.emoji import INSTALL, read_icons, with_article
        from modeseek.exams.caption_exam.caption_exam import held_out_captions
        from modeseek.exams.caption_exam.experiment import run_exam
        from modeseek.exams.emoji_exam.emoji_exam import draw_names
        from modeseek.exams.emoji_exam.experiment import run_emoji_exam
        from modeseek.exams.exam import Exam
        from modeseek.io.progress_bars import run_with_progress
        from modeseek.metrics.scenes.classifier import SceneClassifier
        from modeseek.priors.pipeline.bundled_table import EMOJI, SCENES, bundled_prior
        from modeseek.priors.pipeline.diffusers_sampling import find_stable_diffusion
        from modeseek.rundir.run_dir import Run

        for option, value in (("steps", self.steps), ("batch", self.batch), ("captions", self.captions)):
            if value is not None and value < 1:
                raise ValueError(f"--{option} must be at least 1, got {value}")
        if self.icons is None and bundled_prior(self.prior) == EMOJI:
            raise ValueError(f"the exam of emoji needs --icons, got none; try {INSTALL}, then --icons node_modules")
        if self.icons is not None and self.judge is not None:
            raise ValueError("--judge must not be combined with --icons, the exam of emoji; remove one of them")
        folder, name = find_stable_diffusion(self.prior), Path(self.prior).name or "here"
        device = str(resolve_device(self.device))
        exam_of = partial(Exam, folder, scale=self.scale, seed=self.seed, device=device, batch=self.batch)
        if self.icons is None:
            classifier = SceneClassifier.packaged() if self.judge is None else SceneClassifier.load(self.judge)
            captions, title = (
                held_out_captions(self.captions or _SCENE_CAPTIONS, self.seed),
                f"Caption accuracy of {name}",
            )
            exam = exam_of(captions=captions, steps=self.steps or SCENES.steps)
            job = partial(run_exam, exam=exam, classifier=classifier, title=title)
        else:
            icons = read_icons(self.icons)
            names = draw_names(icons, self.captions or _EMOJI_NAMES, self.seed)
            captions, title = tuple(map(with_article, names)), f"Emoji accuracy of {name}"
            exam = exam_of(captions=captions, steps=self.steps or EMOJI.steps)
            job = partial(run_emoji_exam, exam=exam, names=names, icons=icons, title=title)
        complete = replace(self, captions=len(captions), steps=exam.steps, out=None)
        run = Run.create(
            {"verb": "exam", **REGISTRY.serialize_fields(complete, "config")},
            name_parts=["exam", name],
            command=argv,
            prior={
                "title": name,
                "sha256": files_digest(sorted((*folder.rglob("*.safetensors"), *folder.rglob("*.json")))),
            },
            device=device,
            out=self.out,
        )
        print(f"Run: {run.path}")
        print_result(run_with_progress(job(run)), title)
        print_report_path(run, self.out)
