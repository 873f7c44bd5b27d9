"""`modeseek paper text-to-image`: metrics of optimised images against samples of the prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.paper_options import Name, PaperOptions, run_and_print
from modeseek.config.defaults import DEFAULT_PRIOR, default_scale, default_shift
from modeseek.config.lookup import look_up, look_up_all
from modeseek.config.priors import PipelinePriorConfig
from modeseek.datasets.scenes import are_captions, parse
from modeseek.exams.caption_exam.caption_exam import held_out_captions
from modeseek.experiments.common.entries import Entry
from modeseek.experiments.text_to_image.entries import DEFAULT_ENTRIES, ENTRIES
from modeseek.experiments.text_to_image.experiment import run_text_to_image
from modeseek.experiments.text_to_image.metrics import MetricNetworks
from modeseek.experiments.text_to_image.plan import GENERATORS, TextToImage
from modeseek.metrics.clip import CLIPSimilarity
from modeseek.metrics.features import ImageFeatures
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.priors.pipeline.bundled_table import bundled_prior
from modeseek.runs.experiment_folder import TEXT_TO_IMAGE, open_experiment
from modeseek.runs.jobs import PriorCache

_SWEEP_SCALES = (1.0, 3.0, 7.5, 15.0)
_LIKELIHOOD_STEPS = 12  # Runge-Kutta steps


@dataclass(frozen=True)
class TextToImageCommand:
    """Compare SDS, SDI and MSD with DDIM samples on the same prompts: the text-to-image experiment of the paper.

    Each method optimises one coordinate network per prompt and seed. Metrics: FID and KID against further DDIM
    samples, CLIP similarity, colour statistics and cost.

    Writes images, a contact sheet, results.json, results.csv and report.html. To resume after Ctrl-C, rerun the
    command with the same --out; --features, --clip and --methods may change.

    Examples:
      modeseek paper text-to-image --out runs/paper

      modeseek paper text-to-image --prior emoji --methods ddim sds msd --out runs/paper-emoji

      modeseek paper text-to-image --prior pipelines/mine --prompts prompts.txt --out runs/paper

      modeseek paper text-to-image --prior pipelines/mine --prompts prompts.txt --features models/dinov2-base
      --clip models/clip-vit-base-patch32 --seeds 10 --device cuda

      modeseek paper text-to-image --prior pipelines/mine --prompts prompts.txt --methods ddim msd msd-kernel
      --budget 3200 --scale sds=101 msd=7.5
    """

    prior: Annotated[str, tyro.conf.arg(metavar="scenes|emoji|FOLDER|FILE|OWNER/NAME")] = DEFAULT_PRIOR
    """Text-to-image prior: scenes or emoji, which ship with modeseek; or a diffusers pipeline: a folder written by
    save_pretrained (./emoji if so named), or owner/name on the hub."""
    prompts: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Text file of prompts, one per line; empty lines and lines starting with # are skipped. Default: held-out
    captions under scenes, everyday words under emoji."""
    methods: tuple[Name, ...] = ()
    """Methods to compare: ddim sds sds-inner sds-uniform sdi sdi-negative msd msd-step msd-plain msd-product
    msd-kernel. Default: ddim sds sdi msd; all under scenes and emoji or with --full."""
    steps: int = 400
    """Number of optimisation steps."""
    budget: int | None = None
    """Budget of each method, prior calls per image, instead of --steps; DDIM uses at most --sample-steps. 0 is none:
    --steps for all methods, whatever they cost. Default: twice --steps under scenes and emoji, else 0."""
    scale: tuple[Annotated[str, tyro.conf.arg(metavar="NUMBER|NAME=NUMBER")], ...] = ()
    """Classifier-free guidance scale of all methods or of one: 7.5, or sds=101; 1 is none. Default: 3 under scenes and
    emoji, else 7.5."""
    sweep: tuple[float, ...] = ()
    """Guidance scales to evaluate every method at, instead of --scale."""
    captions: int | None = None
    """Number of default prompts: held-out captions or everyday words (at most 40); default 8, or 40 with --full."""
    full: bool = False
    """Full experiment (hours, resumable): 40 captions, all methods, --sweep 1 3 7.5 15."""
    lr: tuple[Annotated[str, tyro.conf.arg(metavar="NUMBER|NAME=NUMBER")], ...] = ()
    """Adam learning rate of all methods or of one: 0.01, or sdi=0.05. Default: 0.02, falling to a tenth (constant
    for sdi)."""
    generator: Literal["field", "pixels", "latent"] = "field"
    """Image parametrisation: coordinate network (field, as in the paper), pixels, or latents of the pipeline."""
    shift: Annotated[int | None, tyro.conf.arg(metavar="PIXELS")] = None
    """Largest random shift of the images at every step, before they are encoded, pixels; 0 is none. Default: 2 for
    pixels and fields under scenes and emoji, else 0."""
    reference: int | None = None
    """Number of reference DDIM samples for FID and KID, from separate seeds; default four per compared image. Drawn
    only with --features."""
    sample_steps: int = 50
    """Number of DDIM steps."""
    features: Path | None = None
    """Feature network of FID and KID: folder of a transformers image model (DINOv2, CLIP, ...)."""
    clip: Path | None = None
    """Model of the CLIP similarity: folder of a transformers CLIPModel with its tokenizer."""
    judge: Path | None = None
    """Scene classifier that scores the attributes of captions of rendered scenes: folder written by python -m
    tools.bundled_priors train judge; default: the bundled classifier. Not used for other prompts."""
    likelihood: int | None = None
    """Number of Runge-Kutta steps of the images' log-likelihood, 4 prior calls and 4 Jacobian products each; 0 skips
    it. Default: 12 under scenes and emoji, else 0."""
    batch: int = 10
    """Batch size: images optimised together."""
    size: tuple[int, int] | None = None
    """Image height and width, pixels; default: the training size of the model."""
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """Precision of the network. Default: bfloat16 on CUDA, else float32; bfloat16 halves the time on processors
    that support it."""
    shared: PaperOptions = field(default_factory=PaperOptions)
    """Options of every experiment."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the experiment and prints the table and the path of the report."""
        plan = self.plan()
        for entry in plan.entries:  # invalid settings are reported before anything is loaded
            plan.steps_of(entry)
            if entry.make is not None:
                plan.config(plan.batches(entry)[0])
        networks = MetricNetworks(
            None if self.features is None else ImageFeatures.load(self.features),
            None if self.clip is None else CLIPSimilarity.load(self.clip),
            self._scene_classifier(plan.prompts),
        )
        priors, title = PriorCache(plan.device), plan.prior_config.title
        prior = priors.load(plan.prior_config).record(title)
        run = open_experiment(TEXT_TO_IMAGE, self._settings(plan), prior, argv, self.shared.out)
        run_and_print(run, run_text_to_image(plan, run, priors, networks), f"Text to image, {title}")

    @property
    def _sweep_scales(self) -> tuple[float, ...]:
        """Guidance scales of the sweep; empty without one."""
        return self.sweep or (_SWEEP_SCALES if self.full else ())

    @property
    def _lrs(self) -> dict[str, float]:
        """Learning rate of every method."""
        return _per_method("lr", self.lr, {name: entry.lr for name, entry in ENTRIES.items()})

    def plan(self) -> TextToImage:
        """Experiment plan given by the options.

        Raises:
            ValueError: an option is invalid.
            OSError: the file of prompts cannot be read.
        """
        prompts, bundled = self._prompts(), bundled_prior(self.prior) is not None
        names = self.methods or (tuple(ENTRIES) if bundled or self.full else DEFAULT_ENTRIES)
        named = look_up_all("method", names, ENTRIES)
        entries = tuple(replace(entry, lr=self._lrs[entry.name]) for entry in named)
        scales = _per_method("scale", self.scale, dict.fromkeys(ENTRIES, default_scale(self.prior)))
        sweep = self._sweep_scales
        if sweep:
            if self.scale:
                raise ValueError("--sweep and --scale must not be combined; remove one")
            pairs = [(_with_scale(entry, scale), scale) for entry in entries for scale in sweep]
            entries, scales = tuple(entry for entry, _ in pairs), scales | {entry.name: s for entry, s in pairs}
        prior_config = PipelinePriorConfig(self.prior, self.size, self.dtype)
        return TextToImage(
            prior_config,
            prompts,
            entries,
            scales,
            seeds=self.shared.seeds,
            steps=self.steps,
            generator=self.generator,
            shift=default_shift(prior_config, GENERATORS[self.generator]()) if self.shift is None else self.shift,
            reference=4 * self.shared.seeds * len(prompts) if self.reference is None else self.reference,
            sample_steps=self.sample_steps,
            budget=(2 * self.steps if bundled else None) if self.budget is None else self.budget or None,
            batch=self.batch,
            seed=self.shared.seed,
            device=self.shared.resolved_device,
            likelihood=(_LIKELIHOOD_STEPS if bundled else 0) if self.likelihood is None else self.likelihood,
        )

    def _prompts(self) -> tuple[str, ...]:
        if self.prompts is not None:
            return read_prompts(self.prompts)
        named, n = bundled_prior(self.prior), (40 if self.full else 8) if self.captions is None else self.captions
        if named is None:
            raise ValueError(
                "--prompts must name a file of prompts for this prior, got none; try --prompts prompts.txt"
            )
        if not named.prompts:
            return held_out_captions(n, self.shared.seed)
        if not 1 <= n <= len(named.prompts):
            raise ValueError(f"--captions must be 1 to {len(named.prompts)} under {named.name}, got {n}; try --prompts")
        return named.prompts[:n]

    def _scene_classifier(self, prompts: tuple[str, ...]) -> SceneClassifier | None:
        if self.judge is not None:
            for prompt in prompts:
                parse(prompt)  # raises ValueError with the grammar of captions
            return SceneClassifier.load(self.judge)
        return SceneClassifier.packaged() if are_captions(prompts) else None

    def _settings(self, plan: TextToImage) -> dict[str, Any]:
        return {
            "prior": self.prior,
            "size": None if self.size is None else list(self.size),
            "dtype": self.dtype,
            "prompts": list(plan.prompts),
            "seeds": plan.seeds,
            "steps": plan.steps,
            "budget": plan.budget,
            "generator": plan.generator,
            "shift": plan.shift,
            "reference": plan.reference,
            "sample_steps": plan.sample_steps,
            "batch": plan.batch,
            "seed": plan.seed,
            "device": plan.device,
            "scale": {name: plan.scales[name] for name in ENTRIES},
            "lr": self._lrs,
            "methods": [entry.name for entry in plan.entries],
            "sweep": list(self._sweep_scales),
            "likelihood": plan.likelihood,
            "features": None if self.features is None else str(self.features),
            "clip": None if self.clip is None else str(self.clip),
            "judge": None if self.judge is None else str(self.judge),
        }


def read_prompts(path: Path) -> tuple[str, ...]:
    """Reads prompts from a text file, one per line; empty lines and lines starting with # are skipped.

    Raises:
        ValueError: the file is missing, not UTF-8, or holds no prompt.
        OSError: the file cannot be read.
    """
    if not path.is_file():
        raise ValueError(f"there is no file of prompts {path}; try a text file with one prompt per line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8 text, got an invalid byte at position {error.start}") from error
    prompts = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not prompts:
        raise ValueError(
            f"{path} holds no prompt: empty lines and lines starting with # are skipped; write one prompt per line"
        )
    return prompts


def _per_method(option: str, values: Sequence[str], defaults: Mapping[str, float]) -> dict[str, float]:
    """Value of every method, also of those not compared: the reference samples use that of DDIM."""
    numbers = dict(defaults)
    for text in sorted(values, key=lambda text: "=" in text):  # values for all methods first
        name, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError as error:
            raise ValueError(f"--{option} must be NUMBER or NAME=NUMBER, got {text!r}") from error
        numbers |= dict.fromkeys(ENTRIES, value) if not name else {look_up("method", name, ENTRIES).name: value}
    return numbers


def _with_scale(entry: Entry, scale: float) -> Entry:
    """Copy of an entry at one guidance scale of a sweep."""
    return replace(entry, name=f"{entry.name}@{scale:g}", title=f"{entry.title}, scale {scale:g}")
