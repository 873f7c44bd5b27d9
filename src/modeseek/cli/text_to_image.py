"""`modeseek paper text-to-image`: pictures by optimisation against plain samples, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.lookup import look_up, look_up_all
from modeseek.cli.terminal import print_table, run_with_progress
from modeseek.config.priors import BUNDLED, PipelinePriorConfig, default_scale
from modeseek.datasets.scenes import parse
from modeseek.experiments.caption_exam.caption_exam import held_out_captions
from modeseek.experiments.text_to_image.entries import ALL_ENTRIES, DEFAULT_ENTRIES, ENTRIES, TextToImageEntry
from modeseek.experiments.text_to_image.experiment import run_text_to_image
from modeseek.experiments.text_to_image.measure import MetricNetworks
from modeseek.experiments.text_to_image.plan import TextToImage
from modeseek.experiments.text_to_image.scene_scores import are_captions
from modeseek.metrics.clip import CLIPSimilarity
from modeseek.metrics.features import ImageFeatures
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.runs.experiment_folder import TEXT_TO_IMAGE, open_experiment, resume_hint
from modeseek.runs.interrupts import RunInterrupted

_SWEEP = (1.0, 3.0, 7.5, 15.0)
_DENSITY = 12  # Runge-Kutta steps


@dataclass(frozen=True)
class TextToImageCommand:
    """Compare SDS, SDI and MSD with plain DDIM samples, prompt by prompt: the paper's text-to-image experiment.

    Each method optimises a coordinate network for every prompt and seed. Measured are FID and KID to further DDIM
    samples, CLIP similarity, colours and costs.

    A folder is made with pictures, a contact sheet, results.json, results.csv and report.html. Ctrl-C is no loss: the
    same command with the same --out goes on, and --features, --clip and --methods may differ then.

    Examples:
      modeseek paper text-to-image --out runs/paper

      modeseek paper text-to-image --prior pipelines/mine --prompts prompts.txt --out runs/paper

      modeseek paper text-to-image --prior pipelines/mine --prompts prompts.txt --features models/dinov2-base
      --clip models/clip-vit-base-patch32 --seeds 10 --device cuda

      modeseek paper text-to-image --prior pipelines/mine --prompts prompts.txt --methods ddim msd msd-kernel
      --budget 3200 --scale sds=101 msd=7.5
    """

    prior: Annotated[str, tyro.conf.arg(metavar="FOLDER|OWNER/NAME")] = BUNDLED
    """A diffusers pipeline: a folder that save_pretrained wrote, or its name on the hub. By default the one that comes
    with modeseek."""
    prompts: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """One prompt a line; empty lines and those that begin with # are skipped. By default, under the bundled prior,
    captions of combinations that it was never taught."""
    methods: tuple[Annotated[str, tyro.conf.arg(metavar="NAME")], ...] = ()
    """Who plays: ddim sds sds-uniform sdi sdi-negative msd msd-plain msd-product msd-kernel; by default ddim sds sdi
    msd, and all under the bundled prior or with --full."""
    seeds: int = 3
    """Pictures of each prompt and method."""
    steps: int = 400
    """Of the optimizer."""
    budget: int | None = None
    """Prior calls a picture that every method may spend, in place of --steps; DDIM takes --sample-steps at most. By
    default twice the steps under the bundled prior, else none: as many steps for every method."""
    scale: tuple[Annotated[str, tyro.conf.arg(metavar="NUMBER|NAME=NUMBER")], ...] = ()
    """Classifier-free guidance, of all methods or of one: 7.5, or sds=101. 1 is none; by default 3 under the
    bundled prior, else 7.5."""
    sweep: tuple[float, ...] = ()
    """Scales of guidance that every method plays under, one after the other, in place of --scale."""
    captions: int | None = None
    """How many such captions: 8, or 40 with --full."""
    full: bool = False
    """The long form, hours and resumable: 40 captions, all methods, and every guidance of --sweep 1 3 7.5 15."""
    lr: tuple[Annotated[str, tyro.conf.arg(metavar="NUMBER|NAME=NUMBER")], ...] = ()
    """Learning rate of Adam, of all methods or of one: 0.01, or sdi=0.05. By default 0.01, and higher for methods that
    ask the prior many times a step."""
    generator: Literal["field", "pixels", "latent"] = "field"
    """What is optimised: a coordinate network (as in the paper), free pixels, or the pipeline's own latents."""
    reference: int | None = None
    """DDIM samples that FID and KID compare with, of seeds of their own; four times what is compared by default. They
    are drawn only where there are --features."""
    sample_steps: int = 50
    """Of DDIM."""
    features: Path | None = None
    """A local image model of transformers (DINOv2, CLIP ...) as the feature network of FID and KID."""
    clip: Path | None = None
    """A local CLIPModel of transformers with its tokenizer, for the CLIP similarity."""
    judge: Path | None = None
    """Where the prompts are captions of rendered scenes: folder of the judge that tells which attributes are right,
    trained by python -m tools.bundled_priors train judge; by default the judge that comes with modeseek. It is left
    out for any other prompts."""
    likelihood: int | None = None
    """Runge-Kutta steps of the pictures' log-likelihood, 4 prior calls and as many Jacobian products each: 12 under the
    bundled prior, else 0, which leaves it out."""
    batch: int = 10
    """Pictures made together: more are faster and take more memory."""
    size: tuple[int, int] | None = None
    """Height and width in pixels; what the model was trained on by default."""
    seed: int = 0
    """Of every random draw."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """cpu, cuda, cuda:1 or mps."""
    out: Path | None = None
    """Folder to make or to go on with, by default runs/paper-text-to-image-TIME-ID."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs it, prints the table and where the files are."""
        plan = self.plan()
        for entry in plan.entries:  # what cannot be is said before anything is loaded
            plan.steps_of(entry)
            if entry.method is not None:
                plan.config(plan.batches(entry)[0])
        networks = MetricNetworks(
            None if self.features is None else ImageFeatures.load(self.features),
            None if self.clip is None else CLIPSimilarity.load(self.clip),
            self._judge(plan.prompts),
        )
        loaded = plan.prior_config.load(self.device)
        prior = {"title": plan.prior_config.title, "sha256": loaded.sha256}
        run = open_experiment(TEXT_TO_IMAGE, self._settings(plan), prior, argv, self.out)
        print(f"Experiment: {run.path}")
        with closing(run_text_to_image(plan, run, loaded, networks)) as job:
            try:
                done = run_with_progress(job)
            except KeyboardInterrupt as error:  # it came while the bars were drawn
                raise RunInterrupted(resume_hint(run, "interrupted")) from error
        print_table(done.table, {entry.name: entry.title for entry in plan.entries}, f"Text to image, {plan.prior_config.title}")
        for line in (*done.findings, *done.missing):
            print(line)
        print(f"Report: {done.folder / 'report.html'}")

    @property
    def _swept(self) -> tuple[float, ...]:
        """Scales that every method plays with; none for its own."""
        return self.sweep or (_SWEEP if self.full else ())

    @property
    def _lrs(self) -> dict[str, float]:
        """Of every method there is."""
        return _of_each("lr", self.lr, {name: entry.lr for name, entry in ENTRIES.items()})

    def plan(self) -> TextToImage:
        """What the options say.

        Raises:
            ValueError: something in them cannot be.
            OSError: the prompts cannot be read.
        """
        prompts, own = self._prompts(), self.prior == BUNDLED
        named = look_up_all("method", self.methods or (ALL_ENTRIES if own or self.full else DEFAULT_ENTRIES), ENTRIES)
        entries = tuple(replace(entry, lr=self._lrs[entry.name]) for entry in named)
        scales = _of_each("scale", self.scale, dict.fromkeys(ENTRIES, default_scale(self.prior)))
        sweep = self._swept
        if sweep:
            if self.scale:
                raise ValueError("--sweep says every method's guidance: got --scale too; leave one out")
            pairs = [(_under(entry, scale), scale) for entry in entries for scale in sweep]
            entries, scales = tuple(entry for entry, _ in pairs), scales | {entry.name: s for entry, s in pairs}
        return TextToImage(
            PipelinePriorConfig(self.prior, self.size),
            prompts,
            entries,
            scales,
            self.seeds,
            self.steps,
            self.generator,
            4 * self.seeds * len(prompts) if self.reference is None else self.reference,
            self.sample_steps,
            2 * self.steps if self.budget is None and own else self.budget,
            self.batch,
            self.seed,
            self.device,
            (_DENSITY if own else 0) if self.likelihood is None else self.likelihood,
        )

    def _prompts(self) -> tuple[str, ...]:
        if self.prompts is not None:
            return read_prompts(self.prompts)
        if self.prior != BUNDLED:
            raise ValueError("the experiment needs prompts: got none; write one a line, and name the file by --prompts")
        return held_out_captions((40 if self.full else 8) if self.captions is None else self.captions, self.seed)

    def _judge(self, prompts: tuple[str, ...]) -> SceneClassifier | None:
        if self.judge is not None:
            for prompt in prompts:
                parse(prompt)  # ValueError, with the grammar
            return SceneClassifier.load(self.judge)
        return SceneClassifier.packaged() if are_captions(prompts) else None

    def _settings(self, plan: TextToImage) -> dict[str, Any]:
        names = ("seeds", "steps", "budget", "generator", "reference", "sample_steps", "batch", "seed", "device")
        return {
            "prior": self.prior,
            "size": None if self.size is None else list(self.size),
            "prompts": list(plan.prompts),
            **{name: getattr(plan, name) for name in names},
            "scale": {name: plan.scales[name] for name in ENTRIES},
            "lr": self._lrs,
            "methods": [entry.name for entry in plan.entries],
            "sweep": list(self._swept),
            "likelihood": plan.likelihood,
            "features": None if self.features is None else str(self.features),
            "clip": None if self.clip is None else str(self.clip),
            "judge": None if self.judge is None else str(self.judge),
        }


def read_prompts(path: Path) -> tuple[str, ...]:
    """One a line; empty lines and those that begin with # are skipped.

    Raises:
        ValueError: no such file, no text, or no prompt in it.
        OSError: it cannot be read.
    """
    if not path.is_file():
        raise ValueError(f"there is no file of prompts {path}; write one prompt a line and name it with --prompts")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text: byte {error.start} is not UTF-8; name a text file") from error
    prompts = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not prompts:
        raise ValueError(
            f"{path} holds no prompt: empty lines and those that begin with # are skipped; write one a line"
        )
    return prompts


def _of_each(option: str, told: Sequence[str], numbers: Mapping[str, float]) -> dict[str, float]:
    """The numbers of every method there is, also of those that do not play: the reference is DDIM's."""
    out = dict(numbers)
    for text in sorted(told, key=lambda text: "=" in text):  # what is for all comes first
        name, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError as error:
            raise ValueError(f"--{option} is a number or NAME=NUMBER: got {text!r}; write one") from error
        out |= dict.fromkeys(ENTRIES, value) if not name else {_known(name): value}
    return out


def _known(name: str) -> str:
    return look_up("method", name, ENTRIES).name


def _under(entry: TextToImageEntry, scale: float) -> TextToImageEntry:
    """The same player under one guidance of a sweep."""
    return replace(entry, name=f"{entry.name}@{scale:g}", title=f"{entry.title}, scale {scale:g}")
