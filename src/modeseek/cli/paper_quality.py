"""`modeseek paper quality`: how good the image of each method is after a number of prior calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.paper_options import Name, PaperOptions, run_and_print
from modeseek.config.defaults import DEFAULT_PRIOR, default_scale, default_shift
from modeseek.config.lookup import look_up, look_up_all
from modeseek.config.priors import PipelinePriorConfig
from modeseek.datasets.emoji import INSTALL, read_icons
from modeseek.experiments.quality.entries import ENTRIES
from modeseek.experiments.quality.plan import Quality, Tuning
from modeseek.experiments.quality.subjects import DigitSubject, EmojiSubject, SceneSubject, Subject
from modeseek.experiments.text_to_image.plan import GENERATORS
from modeseek.runs.experiment_folder import QUALITY, open_experiment
from modeseek.runs.jobs import PriorCache


@dataclass(frozen=True)
class QualityCommand:
    """Measure how good the image of each method is after 50 to 800 prior calls.

    Each method optimises an image of every prompt from every seed at every budget of prior calls, with a learning rate
    that is tuned on other prompts and seeds. Scores: emoji by their distance to the drawings of their name (--icons),
    scenes by the attributes that the scene classifier finds. Methods are compared with SDS, paired by prompt and seed.

    Writes images, curves, a contact sheet, results.json, results.csv and report.html, after every round of one batch of
    all methods and budgets. To resume after Ctrl-C, rerun the command with the same --out; --methods and --budgets may
    change.

    Examples:
      modeseek paper quality --prior emoji --icons node_modules --out runs/quality-emoji

      modeseek paper quality --prior scenes --methods sds msd msd-inner --budgets 100 200 400 --out runs/quality
    """

    prior: Annotated[str, tyro.conf.arg(metavar="scenes|emoji|digits")] = "scenes"
    """Prior: scenes or emoji, which ship with modeseek, or digits, a small network that is trained first."""
    icons: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder with the drawings of emoji: node_modules after npm install @iconify-json/fluent-emoji-flat@1.2.6
    @iconify-json/noto@1.2.9. Needs pip install 'modeseek[icons]'."""
    methods: tuple[Name, ...] = ()
    """Methods to compare, of: sds sds-switch msd msd-plain msd-half msd-fading msd-product-end sdi ism vsd sds-inner
    msd-inner msd-early-inner msd-plain-inner. Default: all."""
    budgets: tuple[int, ...] = (50, 100, 200, 400, 800)
    """Budgets, prior calls per image. Methods skip those that allow fewer than 8 steps."""
    captions: int | None = None
    """Number of prompts: held-out captions of scenes, names of emoji, or labels of digits. Default: 60; 7 digits."""
    generator: Literal["field", "pixels", "latent"] | None = None
    """Image parametrisation: coordinate network (field), pixels, or latents. Default: field; pixels for digits."""
    tune: bool = True
    """Tune the learning rate and its fall of every method on other prompts."""
    tuning_captions: int | None = None
    """Number of prompts of the tuning, none of them compared on. Default: 8; 3 digits, 8 images of each."""
    tune_at: int = 200
    """Budget of the tuning, prior calls per image; at least 8 steps of the method."""
    rates: tuple[float, ...] = ()
    """Adam learning rates that are tried, each falling to a tenth; then the best one without a fall. Default: 0.005
    0.01 0.02 0.04; for digits 0.01 0.02 0.04 0.08."""
    rate: tuple[Annotated[str, tyro.conf.arg(metavar="NAME=NUMBER")], ...] = ()
    """Adam learning rate of a method without tuning, which is tried too. Default: 0.02."""
    shift: Annotated[int | None, tyro.conf.arg(metavar="PIXELS")] = None
    """Largest random shift of the images at every step, pixels; 0 is none. Default: 2 for pixels and fields, else 0."""
    batch: int = 30
    """Batch size: images optimised together."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the network; bfloat16 halves the time on processors that support it."""
    shared: PaperOptions = field(default_factory=PaperOptions)
    """Options of every experiment."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the experiment and prints the table and the path of the report."""
        subject = self._subject()
        plan = self.plan(subject)
        for entry in plan.entries:  # invalid settings are reported before anything is loaded
            images, batches = plan.jobs_of(plan.cells(entry)[0])
            images.config(batches[0])
        priors = PriorCache(plan.device)
        prior = {**subject.identity(priors), "title": self.prior}
        run = open_experiment(QUALITY, self._settings(plan), prior, argv, self.shared.out)
        job = subject.run(plan, run, priors)
        run_and_print(run, job, f"Quality against calls, {self.prior}")

    def plan(self, subject: Subject) -> Quality:
        """Experiment plan given by the options.

        Args:
            subject: prior with its prompts.

        Raises:
            ValueError: an option is invalid.
        """
        rates, named = self._rates(), look_up_all("method", self.methods, ENTRIES)
        n, m = self.captions, self.tuning_captions
        n, m = subject.captions[0] if n is None else n, subject.captions[1] if m is None else m
        for option, value in (("captions", n), ("tuning-captions", m)):
            if value < 1:
                raise ValueError(f"--{option} must be at least 1, got {value}; raise it")
        prompts = subject.prompts(n, m, self.shared.seed)
        generator, tuning = self.generator or subject.generator, None
        if self.tune:
            tuning = Tuning(prompts[n:], self.tune_at, self.rates or subject.rates, seeds=subject.tuning_seeds)
        return Quality(
            subject.prior_config,
            prompts[:n],
            tuple(replace(entry, lr=rates.get(entry.name, entry.lr)) for entry in named),
            self.budgets,
            tuning,
            default_scale(DEFAULT_PRIOR),
            self.shared.seeds,
            generator,
            default_shift(subject.prior_config, GENERATORS[generator]()) if self.shift is None else self.shift,
            self.batch,
            self.shared.seed,
            self.shared.resolved_device,
        )

    def _subject(self) -> Subject:
        if self.prior == "digits":
            return DigitSubject()
        if self.prior == "scenes":
            return SceneSubject(PipelinePriorConfig(self.prior, dtype=self.dtype))
        if self.prior != "emoji":
            raise ValueError(
                f"--prior must be scenes, emoji or digits, whose images can be scored, got {self.prior!r}; try emoji"
            )
        if self.icons is None:
            raise ValueError(f"--prior emoji needs --icons, got none; try {INSTALL}, then --icons node_modules")
        return EmojiSubject(PipelinePriorConfig(self.prior, dtype=self.dtype), read_icons(self.icons))

    def _rates(self) -> dict[str, float]:
        """Learning rates given by name."""
        rates = {}
        for text in self.rate:
            name, _, number = text.partition("=")
            try:
                rates[look_up("method", name, ENTRIES).name] = float(number)
            except ValueError as error:
                if name in ENTRIES:
                    raise ValueError(f"--rate must be NAME=NUMBER, got {text!r}; try msd=0.01") from error
                raise
        return rates

    def _settings(self, plan: Quality) -> dict[str, Any]:
        return {
            "prior": self.prior,
            "prompts": [prompt.text for prompt in plan.prompts],
            "tuning_prompts": [] if plan.tuning is None else [prompt.text for prompt in plan.tuning.prompts],
            "tune_at": self.tune_at if self.tune else None,
            "rates": None if plan.tuning is None else list(plan.tuning.rates),
            "given_rates": self._rates() or None,
            "budgets": list(plan.budgets),
            "methods": [entry.name for entry in plan.entries],
            "scale": plan.scale,
            "seeds": plan.seeds,
            "generator": plan.generator,
            "shift": plan.shift,
            "batch": plan.batch,
            "dtype": self.dtype,
            "seed": plan.seed,
            "device": plan.device,
        }
