"""What the training of the scene prior is told, as `recipe.json` keeps it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from modeseek.io.atomic import write_atomic
from tools.bundled_priors.model import SmallModelConfig

_FORMAT = "modeseek-scene-training-4"
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True)
class StageRecipe:
    """How one network is trained.

    Attributes:
        batch: pictures a step.
        lr: peak learning rate of AdamW, or of Muon.
        warm: steps in which the rate could climb from 0 to its peak.
        first: examples rendered before the first step.
        pool: examples kept at most; the oldest go first.
        chunk: examples rendered at a time.
        every: steps between two chunks.
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
    """The whole recipe.

    Attributes:
        model: its sizes.
        seed: of weights and of every random draw.
        words: how the text encoder is trained.
        autoencoder: how the decoder of pictures is trained.
        network: how the denoiser is trained.
        shares: parts of the budget that the text encoder and the decoder get.
        caps: seconds that they get at most.
        fitted: renders that the encoder of pictures, principal components, is computed from.
        jitter: standard deviation of the noise that is added to z before the decoder sees it.
        edge: weight of the error of pixel differences.
        drop: share of captions left out, for classifier-free guidance.
        lean: noise levels are drawn as N u^lean, u uniform: below 1, more of them where what is seen is decided.
        stretch: of the denoiser's steps where its parameters are matrices, times what AdamW's would measure.
        decay: of the moving average of weights, once it is warm.
        variety: of the scenes, in all that captions do not tell.
        scale: guidance that samples are drawn with.
        sampling: steps that samples are drawn with.
        tested: held-out pictures that both are measured on.
        steps: of words, autoencoder and network, in place of a budget of time; resuming is then exact, bit
            for bit on a CPU.
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
        """Puts `recipe.json` there."""
        write_atomic(folder / "recipe.json", json.dumps({"format": _FORMAT} | asdict(self), indent=2) + "\n")


def read_recipe(folder: Path) -> TrainingRecipe:
    """What `recipe.json` says.

    Raises:
        ValueError: it is missing, damaged or another program's.
    """
    path = folder / "recipe.json"
    try:
        told = json.loads(path.read_bytes())
        if not isinstance(told, dict) or told.pop("format", None) != _FORMAT:
            raise ValueError(f"its format is not {_FORMAT}")
        parts: dict[str, Any] = {
            "model": _build_dataclass(SmallModelConfig, told.pop("model")),
            "words": _build_dataclass(StageRecipe, told.pop("words")),
            "autoencoder": _build_dataclass(StageRecipe, told.pop("autoencoder")),
            "network": _build_dataclass(StageRecipe, told.pop("network")),
        }
        return _build_dataclass(TrainingRecipe, told | parts)
    except FileNotFoundError as error:
        raise ValueError(f"{folder} holds no training of ours: it has no recipe.json; name another --out") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is damaged: {reason}; restore it or train into a new folder") from error


def _build_dataclass(kind: Any, told: Mapping[str, Any]) -> Any:
    known = {f.name for f in fields(kind)}
    if unknown := sorted(set(told) - known):
        raise ValueError(f"it has an unknown setting {unknown[0]!r}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in told.items()})


def parse_seconds(text: str) -> float:
    """Seconds of "2h", "90m", "1h30m" or "45s".

    Raises:
        ValueError: no such time, or none at all.
    """
    found = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip().lower())
    numbers = [] if found is None else [float(n) * u for n, u in zip(found.groups(), _UNITS.values(), strict=True) if n]
    if not sum(numbers) > 0:
        raise ValueError(f"a budget is a time: got {text!r}; write 2h, 90m or 1h30m")
    return sum(numbers)
