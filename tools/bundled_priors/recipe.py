"""Hyperparameters of the training of the text-to-image prior, stored in `recipe.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from modeseek.io.atomic import write_atomic
from modeseek.io.errors import one_line
from tools.bundled_priors.model import SmallModelConfig

_FORMAT = "modeseek-scene-training-4"
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True)
class StageRecipe:
    """Hyperparameters of one training stage.

    Attributes:
        batch: batch size.
        lr: peak learning rate of AdamW, or of Muon.
        warm: number of steps in which the learning rate can rise from 0 to its peak.
        first: number of examples rendered before the first step.
        pool: maximum number of examples in the pool.
        chunk: number of examples rendered at a time.
        every: number of steps between two chunks.
    """

    batch: int
    lr: float
    warm: int
    first: int
    pool: int
    chunk: int
    every: int


@dataclass(frozen=True)
class TrainingRecipe:
    """Hyperparameters of the whole training.

    Attributes:
        model: sizes of the model.
        seed: random seed of weights and all draws.
        words: text encoder's stage.
        autoencoder: decoder's stage.
        network: denoiser's stage.
        shares: shares of the time budget for the text encoder and the decoder, in [0, 1].
        caps: maximum training time of the text encoder and the decoder, seconds.
        fitted: number of renders for the principal components of the image encoder.
        jitter: standard deviation of the noise added to z at the decoder's input.
        edge: weight of the error of pixel differences.
        drop: share of captions dropped for classifier-free guidance, in [0, 1].
        lean: exponent of the noise levels N u^lean, u uniform; below 1 favours high noise, which decides the content.
        stretch: size of the denoiser's Muon steps relative to AdamW's.
        decay: final decay of the moving average of weights.
        variety: spread of the scenes in everything that captions leave open, in [0, 1].
        scale: guidance scale of samples.
        sampling: number of sampling steps.
        tested: number of held-out scenes for evaluation.
        steps: number of steps of words, autoencoder and network in place of a time budget; resuming is then exact,
            bit for bit on a CPU.
    """

    model: SmallModelConfig = SmallModelConfig()
    seed: int = 0
    words: StageRecipe = StageRecipe(batch=64, lr=1e-3, warm=50, first=4096, pool=32768, chunk=512, every=8)
    autoencoder: StageRecipe = StageRecipe(batch=16, lr=1e-3, warm=100, first=1024, pool=8192, chunk=128, every=16)
    network: StageRecipe = StageRecipe(batch=32, lr=1.5e-3, warm=300, first=2048, pool=32768, chunk=128, every=12)
    shares: tuple[float, float] = (0.02, 0.15)
    caps: tuple[float, float] = (90.0, 1200.0)
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
    steps: tuple[int, int, int] | None = None

    def write(self, folder: Path) -> None:
        """Writes `recipe.json` into a folder."""
        write_atomic(folder / "recipe.json", json.dumps({"format": _FORMAT} | asdict(self), indent=2) + "\n")


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
        parts: dict[str, Any] = {
            "model": _build_dataclass(SmallModelConfig, settings.pop("model")),
            "words": _build_dataclass(StageRecipe, settings.pop("words")),
            "autoencoder": _build_dataclass(StageRecipe, settings.pop("autoencoder")),
            "network": _build_dataclass(StageRecipe, settings.pop("network")),
        }
        return _build_dataclass(TrainingRecipe, settings | parts)
    except FileNotFoundError as error:
        raise ValueError(f"{folder} must hold a training, but has no recipe.json; try another --out") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = one_line(error, 200)
        raise ValueError(f"{path} is damaged: {reason}; restore it or train into a new folder") from error


def _build_dataclass(cls: Any, settings: Mapping[str, Any]) -> Any:
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
