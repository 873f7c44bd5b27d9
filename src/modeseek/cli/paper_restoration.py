"""`modeseek paper restoration`: images restored from measurements, by mean shift and by posterior samplers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from modeseek.cli.paper_options import Name, run_and_print
from modeseek.config.lookup import look_up_all
from modeseek.config.priors import PipelinePriorConfig
from modeseek.datasets.emoji import INSTALL, read_icons
from modeseek.device import AUTO, resolve_device
from modeseek.experiments.restoration.degradations import DEGRADATIONS
from modeseek.experiments.restoration.experiment import run_restoration
from modeseek.experiments.restoration.plan import Restoration
from modeseek.experiments.restoration.restorers import RESTORERS
from modeseek.experiments.restoration.subjects import DigitImages, EmojiImages, ImageSubject, SceneImages
from modeseek.runs.experiment_folder import RESTORATION, open_experiment
from modeseek.runs.jobs import PriorCache

_NOISES = (0.0, 0.01, 0.05, 0.2)
_CALLS, _QUICK_CALLS = 100, 24


@dataclass(frozen=True)
class RestorationCommand:
    """Restore held-out images from measurements, by mean shift and by published posterior samplers.

    Images are degraded by hiding a box or 70 % of the pixels, by down-sampling 4 times or by a blur, at several noise
    levels. Mean shift on the measured prior, MSD, DPS, DiffPIR, PiGDM, RED-diff and DAPS restore the same images at
    equal prior calls, each with a setting that is tuned on other images for each degradation and noise; beside them are
    the mean of 8 posterior samples and, for digits, the exact posterior. Scores: PSNR, SSIM, feature distance and log
    posterior, paired by image.

    Writes tables, a contact sheet, results.json, results.csv and report.html after every cell. To resume after Ctrl-C,
    rerun the command with the same --out; --methods, --operators and --noises may change.

    Examples:
      modeseek paper restoration --prior digits --out runs/restoration-digits

      modeseek paper restoration --prior scenes --images 16 --noises 0.05 --out runs/restoration-scenes
    """

    prior: Annotated[str, tyro.conf.arg(metavar="digits|scenes|emoji")] = "digits"
    """Prior: digits, an exact one, or scenes or emoji, which ship with modeseek, conditioned on captions."""
    icons: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder with the drawings of emoji, node_modules after npm install. Needs pip install 'modeseek[icons]'."""
    methods: tuple[Name, ...] = ()
    """Methods to compare, of: degraded mean-shift mean-shift-narrow msd dps diffpir pigdm red-diff daps pigdm-mean
    daps-mean exact-mean exact-sample. Default: all; of scenes and emoji all but pigdm-mean, the slowest."""
    operators: tuple[Name, ...] = ()
    """Degradations, of: box pixels downsample blur. Default: all."""
    noises: tuple[float, ...] = ()
    """Standard deviations of the noise, pixel values in [0, 1]. Default: 0 0.01 0.05 0.2. 0 is assumed to be 0.005."""
    images: int | None = None
    """Number of images, restored in one batch. Default: 50; 16 of scenes and emoji."""
    tuning_images: int | None = None
    """Number of other images of the tuning; 0 takes the default settings. Default: 20; 4 of scenes and emoji."""
    calls: int | None = None
    """Prior calls per image and run. Default: 100."""
    quick: bool = False
    """Quick run: 4 images, no tuning, noise 0.05, 24 prior calls, unless these are given."""
    seed: int = 0
    """Random seed."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = AUTO
    """Device: auto (cuda, else mps, else cpu), cpu, cuda, cuda:1 or mps; digits run on the cpu."""
    out: Path | None = None
    """Folder to create or resume; default runs/paper-restoration-TIME-ID."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the experiment and prints the tables and the path of the report."""
        plan, subject = self.plan(), self._subject()
        priors = PriorCache(plan.device)
        run = open_experiment(RESTORATION, self._settings(plan), subject.identity(priors), argv, self.out)
        run_and_print(run, run_restoration(plan, run, subject, priors), f"Restoration, {self.prior}")

    def plan(self) -> Restoration:
        """Experiment plan given by the options.

        Raises:
            ValueError: an option is invalid.
        """
        exact = self.prior == "digits"
        default = [name for name in RESTORERS if exact or name != "pigdm-mean"]
        images, tuning = (50, 20) if exact else (16, 4)
        return Restoration(
            tuple(look_up_all("operator", self.operators, DEGRADATIONS)),
            self.noises or ((0.05,) if self.quick else _NOISES),
            tuple(look_up_all("method", self.methods or tuple(default), RESTORERS)),
            _first(self.images, 4 if self.quick else images),
            _first(self.tuning_images, 0 if self.quick else tuning),
            _first(self.calls, _QUICK_CALLS if self.quick else _CALLS),
            self.seed,
            "cpu" if exact else str(resolve_device(self.device)),
        )

    def _subject(self) -> ImageSubject:
        if self.prior == "digits":
            return DigitImages()
        if self.prior == "scenes":
            return SceneImages(PipelinePriorConfig("scenes"))
        if self.prior != "emoji":
            raise ValueError(f"--prior must be digits, scenes or emoji, got {self.prior!r}; try digits")
        if self.icons is None:
            raise ValueError(f"--prior emoji needs --icons, got none; try {INSTALL}, then --icons node_modules")
        return EmojiImages(PipelinePriorConfig("emoji"), read_icons(self.icons))

    def _settings(self, plan: Restoration) -> dict[str, Any]:
        return {
            "prior": self.prior,
            "methods": [entry.name for entry in plan.entries],
            "operators": [degradation.name for degradation in plan.degradations],
            "noises": list(plan.noises),
            "images": plan.images,
            "tuning_images": plan.tuning,
            "calls": plan.calls,
            "seed": plan.seed,
            "device": plan.device,
        }


def _first(given: int | None, default: int) -> int:
    return default if given is None else given
