"""Hyperparameters of the training of a text-to-image prior, stored in `recipe.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from modeseek.io.atomic import write_atomic
from modeseek.io.errors import one_line
from tools.bundled_priors.model import SmallModelConfig

PriorName = Literal["scenes", "emoji"]
_FORMAT = "modeseek-prior-training-1"
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True)
class PoolRecipe:
    """Pool of rendered examples.

    Attributes:
        first: number of examples rendered before the first step.
        size: maximum number of examples in the pool.
        chunk: number of examples rendered at a time.
        every: number of steps between two chunks.
    """

    first: int
    size: int
    chunk: int
    every: int


@dataclass(frozen=True)
class StageRecipe:
    """Hyperparameters of one training stage.

    Attributes:
        batch: batch size.
        lr: peak learning rate of AdamW, or of Muon.
        warm: number of steps in which the learning rate can rise from 0 to its peak.
        pool: pool of rendered examples; without effect where examples are drawn fresh.
        share: share of the time budget, in (0, 1].
        cap: maximum training time, seconds, or None.
        steps: number of steps in place of a time; resuming is then exact, bit for bit on a CPU.
    """

    batch: int
    lr: float
    warm: int
    pool: PoolRecipe = PoolRecipe(first=2048, size=32768, chunk=128, every=12)
    share: float = 1.0
    cap: float | None = None
    steps: int | None = None


@dataclass(frozen=True)
class StartRecipe:
    """Pipeline that a training continues from.

    Attributes:
        name: name of its folder.
        sha256: digest of its weights.
    """

    name: str
    sha256: str


@dataclass(frozen=True)
class TrainingRecipe:
    """Hyperparameters of the training.

    Attributes:
        prior: prior that is trained.
        model: sizes of the model.
        words: text encoder's stage on captions alone, or None: it is trained together with the denoiser.
        autoencoder: decoder's stage.
        network: denoiser's stage.
        seed: random seed of weights and all draws.
        corpus: number of captions that the tokenizer is trained on.
        fitted: number of images for the principal components of the image encoder.
        jitter: standard deviation of the noise added to z at the decoder's input.
        edge: weight of the error of pixel differences.
        drop: share of captions dropped for classifier-free guidance, in [0, 1].
        lean: exponent of the noise levels N u^lean, u uniform; below 1 favours high noise, which decides the content.
        stretch: size of the denoiser's Muon steps relative to AdamW's.
        decay: final decay of the moving average of weights.
        variety: spread of rendered scenes in everything that captions leave open, in [0, 1].
        scale: guidance scale of samples.
        sampling: number of sampling steps.
        tested: number of images for evaluation: held-out scenes, or emoji without augmentation.
        start: pipeline whose denoiser is trained on, all else frozen; None for a training from random weights.
    """

    prior: PriorName
    model: SmallModelConfig
    words: StageRecipe | None
    autoencoder: StageRecipe
    network: StageRecipe
    seed: int = 0
    corpus: int = 4000
    fitted: int = 2048
    jitter: float = 0.02
    edge: float = 0.5
    drop: float = 0.1
    lean: float = 0.6
    stretch: float = 2.0
    decay: float = 0.999
    variety: float = 0.3
    scale: float = 3.0
    sampling: int = 25
    tested: int = 256
    start: StartRecipe | None = None

    def write(self, folder: Path) -> None:
        """Writes `recipe.json` into a folder."""
        write_atomic(folder / "recipe.json", json.dumps({"format": _FORMAT} | asdict(self), indent=2) + "\n")


SCENES = TrainingRecipe(
    prior="scenes",
    model=SmallModelConfig(),
    words=StageRecipe(batch=64, lr=1e-3, warm=50, pool=PoolRecipe(4096, 32768, 512, 8), share=0.02, cap=90.0),
    autoencoder=StageRecipe(batch=16, lr=1e-3, warm=100, pool=PoolRecipe(1024, 8192, 128, 16), share=0.15, cap=1200.0),
    network=StageRecipe(batch=32, lr=1.5e-3, warm=300),
)
EMOJI = TrainingRecipe(
    prior="emoji",
    model=SmallModelConfig(latent=12, vocabulary=2000),
    words=None,
    autoencoder=StageRecipe(batch=128, lr=2e-3, warm=100, share=0.15, cap=1200.0),
    network=StageRecipe(batch=32, lr=1.5e-3, warm=300),
    corpus=40000,
    fitted=4096,
    sampling=50,
    tested=512,
)
RECIPES: dict[PriorName, TrainingRecipe] = {"scenes": SCENES, "emoji": EMOJI}
CONTINUED_LR = 1e-3  # peak learning rate where a training continues from a pipeline


def read_recipe(folder: Path) -> TrainingRecipe:
    """Reads `recipe.json` of a folder.

    Raises:
        ValueError: the file is missing, damaged or of another program.
    """
    path = folder / "recipe.json"
    try:
        settings = json.loads(path.read_bytes())
        if not isinstance(settings, dict) or settings.pop("format", None) != _FORMAT:
            raise ValueError(f"its format is not {_FORMAT}")
        if settings["prior"] not in RECIPES:
            raise ValueError(f"its prior is {settings['prior']!r}")
        stages = {name: _stage(settings.pop(name)) for name in ("words", "autoencoder", "network")}
        parts: dict[str, Any] = {
            "model": _build_dataclass(SmallModelConfig, settings.pop("model")),
            "start": _build_dataclass(StartRecipe, settings.pop("start")),
        }
        return _build_dataclass(TrainingRecipe, settings | stages | parts)
    except FileNotFoundError as error:
        raise ValueError(f"{folder} must hold a training, but has no recipe.json; try another --out") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = one_line(error, 200)
        raise ValueError(f"{path} is damaged: {reason}; restore it or train into a new folder") from error


def _stage(settings: dict[str, Any] | None) -> Any:
    if settings is None:
        return None
    return _build_dataclass(StageRecipe, settings | {"pool": _build_dataclass(PoolRecipe, settings["pool"])})


def _build_dataclass(cls: Any, settings: Mapping[str, Any] | None) -> Any:
    if settings is None:
        return None
    if unknown := sorted(set(settings) - {f.name for f in fields(cls)}):
        raise ValueError(f"it has an unknown setting {unknown[0]!r}")
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()})


def parse_seconds(text: str) -> float:
    """Seconds of a time such as "2h", "90m", "1h30m" or "45s".

    Raises:
        ValueError: no valid time, or zero.
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip().lower())
    numbers = [] if match is None else [float(n) * u for n, u in zip(match.groups(), _UNITS.values(), strict=True) if n]
    if not sum(numbers) > 0:
        raise ValueError(f"budget must be a time above 0, got {text!r}; try 2h, 90m or 1h30m")
    return sum(numbers)
