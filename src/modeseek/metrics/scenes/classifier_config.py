"""Architecture of the scene classifier, configured or inferred from its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ClassifierConfig:
    """Architecture of the scene classifier.

    Attributes:
        channels: channels at a half, a quarter and an eighth of the image side.
        blocks: number of residual blocks at each of these resolutions.
        gazes: number of attention maps for each of the two objects.
        slot: number of features of each of the two objects.
        scene: number of features of the whole scene.
        hidden: width of the layer between features and outputs.
    """

    channels: tuple[int, int, int] = (32, 64, 128)
    blocks: tuple[int, int, int] = (0, 3, 2)
    gazes: int = 4
    slot: int = 64
    scene: int = 16
    hidden: int = 128


def config_from_weights(weights: Mapping[str, Tensor]) -> ClassifierConfig:
    """Architecture of the network with these weights.

    Raises:
        KeyError: weights of another network.
    """
    strided = [i for i in _numbers(weights, "weight") if weights[f"eye.{i}.weight"].ndim == 4]
    blocks = _numbers(weights, "into.weight")
    ends = [*strided[1:], 10**6]
    between = [sum(first < block < end for block in blocks) for first, end in zip(strided, ends, strict=True)]
    channels = tuple(len(weights[f"eye.{i}.weight"]) for i in strided)
    widths = (len(weights[f"{name}.weight"]) for name in ("slot", "scene", "name.0"))
    gazes = len(weights["gaze.weight"]) // 2
    return ClassifierConfig(channels, tuple(between), gazes, *widths)  # pyright: ignore[reportArgumentType]


def _numbers(weights: Mapping[str, Tensor], end: str) -> list[int]:
    """Indices of the backbone layers that have a tensor of that name."""
    parts = (name.split(".", 2) for name in weights if name.startswith("eye."))
    return sorted(int(number) for _, number, rest in parts if rest == end)
