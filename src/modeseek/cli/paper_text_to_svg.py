"""`modeseek paper text-to-svg`: distilled vector drawings against traced and fitted samples, and true drawings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.paper_options import Name, PaperOptions, run_and_print
from modeseek.config.lookup import look_up_all
from modeseek.config.priors import PipelinePriorConfig
from modeseek.config.vector import PATHS
from modeseek.datasets.emoji import INSTALL, Icon, read_icons
from modeseek.experiments.text_to_svg.entries import ENTRIES
from modeseek.experiments.text_to_svg.experiment import run_text_to_svg
from modeseek.experiments.text_to_svg.measure import Ruler
from modeseek.experiments.text_to_svg.plan import DrawingTuning, TextToSvg, choose_words
from modeseek.experiments.text_to_svg.tracer import check_tracer
from modeseek.priors.pipeline.bundled_table import EMOJI
from modeseek.runs.experiment_folder import TEXT_TO_SVG, open_experiment
from modeseek.runs.jobs import PriorCache

_WORDS, _TUNING_WORDS, _BUDGET = 40, 6, 200
_QUICK = {"words": 4, "tuning_words": 2, "budget": 40}
_QUICK_RATES = (0.004, 0.008)


def _two_seeds() -> PaperOptions:
    return PaperOptions(seeds=2)


@dataclass(frozen=True)
class TextToSvgCommand:
    """Compare vector drawings distilled by SDS, MSD, SDI and VSD with traced and with fitted samples of the prior.

    All methods start from the same fitted samples and make equally many prior calls, each with a learning rate tuned on
    other words. Every drawing is exported, rendered again by resvg, and compared with the true drawing of its word.

    Writes SVG files, a contact sheet, results.json, results.csv, drawings.csv and report.html. To resume after Ctrl-C,
    rerun the command with the same --out; --methods, --words and --seeds may change.

    Examples:
      modeseek paper text-to-svg --icons node_modules --quick

      modeseek paper text-to-svg --icons node_modules --out runs/svg-paper --dtype bfloat16

      modeseek paper text-to-svg --icons node_modules --methods sds msd --words 10 --budget 100 --no-tune
    """

    icons: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder with the drawings of emoji: node_modules after npm install @iconify-json/fluent-emoji-flat@1.2.6
    @iconify-json/noto@1.2.9. Needs pip install 'modeseek[icons,vector,evaluation]'."""
    prior: Annotated[str, tyro.conf.arg(metavar="emoji|FOLDER|FILE|OWNER/NAME")] = EMOJI.name
    """Text-to-image prior that knows the names of the drawings: emoji, which ships with modeseek, or a diffusers
    pipeline."""
    methods: tuple[Name, ...] = ()
    """Methods to compare, of: sds msd sdi vsd sds-refine msd-refine msd-random. Default: all."""
    words: int | None = None
    """Number of words that are compared on, the first 40 of them everyday ones. Default: 40."""
    budget: int | None = None
    """Budget of each method, prior calls per drawing, beside those of its sample. Default: 200."""
    paths: int = PATHS
    """Number of paths of each drawing."""
    tune: bool = True
    """Tune the learning rate and its fall of every method on other words."""
    tuning_words: int | None = None
    """Number of words of the tuning. Default: 6."""
    rates: tuple[float, ...] = ()
    """Adam learning rates of points that are tried beside the default (0.002; 0.016 from circles), each falling to a
    tenth; then the best one without a fall. Default: 0.002 0.004 0.008 0.016."""
    quick: bool = False
    """Quick run: 4 words, 2 for the tuning with 2 rates, 40 prior calls, unless these are given."""
    batch: int = 20
    """Batch size: drawings optimised together."""
    size: tuple[int, int] | None = None
    """Height and width of the images that the prior sees, pixels; default: the training size of the model."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the network; bfloat16 halves the time on processors that support it."""
    shared: PaperOptions = field(default_factory=_two_seeds)
    """Options of every experiment."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the experiment and prints the tables and the path of the report."""
        if self.icons is None:
            raise ValueError(f"--icons must name a folder of drawings, got none; try {INSTALL}, then node_modules")
        check_tracer()
        icons = read_icons(self.icons)
        plan = self.plan(icons)
        for entry in plan.entries:  # invalid settings are reported before anything is loaded
            plan.config(entry, plan.batches[0])
        priors = PriorCache(plan.device)
        loaded, prior = priors.load(plan.prior_config), priors.pipeline(plan.prior_config)
        shape = prior.codec.image_shape(prior.shape)
        run = open_experiment(
            TEXT_TO_SVG, self._settings(plan), loaded.record(plan.prior_config.title), argv, self.shared.out
        )
        ruler = Ruler(icons, (shape[-2], shape[-1]))
        heading = f"Text to SVG, {plan.prior_config.title}"
        run_and_print(run, run_text_to_svg(plan, run, priors, ruler), heading)

    def plan(self, icons: Sequence[Icon]) -> TextToSvg:
        """Experiment plan given by the options.

        Args:
            icons: all drawings.

        Raises:
            ValueError: an option is invalid.
        """
        entries = look_up_all("method", self.methods, ENTRIES)
        n, m = self._number("words", self.words, _WORDS), self._number("tuning_words", self.tuning_words, _TUNING_WORDS)
        if self.tune and m < 1:
            raise ValueError(f"--tuning-words must be at least 1, got {m}; raise it, or use --no-tune")
        words, others = choose_words(icons, n, m if self.tune else 0, self.shared.seed)
        tuning = None
        if self.tune:
            tuning = DrawingTuning(others)
            rates = self.rates or (_QUICK_RATES if self.quick else tuning.rates)
            tuning = replace(tuning, rates=rates)
        return TextToSvg(
            PipelinePriorConfig(self.prior, self.size, self.dtype),
            words,
            tuple(entries),
            tuning,
            self.shared.seeds,
            self._number("budget", self.budget, _BUDGET),
            paths=self.paths,
            batch=self.batch,
            seed=self.shared.seed,
            device=self.shared.resolved_device,
        )

    def _number(self, name: str, given: int | None, default: int) -> int:
        """Value of an option, or its default, that of a quick run where it is one."""
        return given if given is not None else _QUICK[name] if self.quick else default

    def _settings(self, plan: TextToSvg) -> dict[str, Any]:
        tuning = plan.tuning
        return {
            "icons": str(self.icons),
            "prior": self.prior,
            "size": None if self.size is None else list(self.size),
            "dtype": self.dtype,
            "methods": [entry.name for entry in plan.entries],
            "words": len(plan.words),
            "budget": plan.budget,
            "paths": plan.paths,
            "cubics": plan.cubics,
            "scale": plan.scale,
            "sample_steps": plan.sample_steps,
            "fit_steps": plan.fit_steps,
            "shift": plan.shift,
            "tuning_words": [] if tuning is None else [word.name for word in tuning.words],
            "rates": [] if tuning is None else list(tuning.rates),
            "batch": plan.batch,
            "seeds": plan.seeds,
            "seed": plan.seed,
            "device": plan.device,
        }
