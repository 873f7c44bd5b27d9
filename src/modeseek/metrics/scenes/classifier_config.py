"""How large the judge of scenes is, told or read off its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ClassifierConfig:
    """How large the network is.

    Attributes:
        channels: at a half, a quarter and an eighth of the picture's side.
        blocks: residual blocks there.
        gazes: places where it looks for each of the two objects.
        slot: features of each of the two objects.
        scene: features of the whole.
        hidden: width of the layer between features and answers.
    """

    channels: tuple[int, int, int] = (32, 64, 128)
    blocks: tuple[int, int, int] = (0, 3, 2)
    gazes: int = 4
    slot: int = 64
    scene: int = 16
    hidden: int = 128

    @property
    def n_features(self) -> int:
        """Numbers that `Judge.features` gives of a picture: both objects' and the whole's."""
        return 2 * self.slot + self.scene


def config_from_weights(weights: Mapping[str, Tensor]) -> ClassifierConfig:
    """The shape of the network that has these weights.

    Raises:
        KeyError: they are not those of a judge.
    """
    firsts = [i for i in _numbers(weights, "weight") if weights[f"eye.{i}.weight"].ndim == 4]
    blocks = _numbers(weights, "into.weight")
    ends = [*firsts[1:], 10**6]
    between = [sum(first < block < end for block in blocks) for first, end in zip(firsts, ends, strict=True)]
    channels = tuple(len(weights[f"eye.{i}.weight"]) for i in firsts)
    widths = (len(weights[f"{name}.weight"]) for name in ("slot", "scene", "name.0"))
    gazes = len(weights["gaze.weight"]) // 2
    return ClassifierConfig(channels, tuple(between), gazes, *widths)  # pyright: ignore[reportArgumentType]


def _numbers(weights: Mapping[str, Tensor], end: str) -> list[int]:
    """Which layers of the eye have a tensor of that name."""
    found = (name.split(".", 2) for name in weights if name.startswith("eye."))
    return sorted(int(number) for _, number, rest in found if rest == end)
