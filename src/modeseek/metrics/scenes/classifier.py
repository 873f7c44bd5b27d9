"""A judge of rendered scenes: a small network that says which things it sees, in which colours, how, and from where."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.io.packaged import packaged_weights
from modeseek.metrics.scenes.classifier_config import ClassifierConfig, config_from_weights
from modeseek.metrics.scenes.classifier_output import ClassifierOutput, vocabulary

_FORMAT = "modeseek-judge-2"
_WEIGHTS, _TOLD = "judge.safetensors", "judge.json"
SIDE = 64  # pixels that it sees; other pictures are resized
_PLACES = 4  # a side, where it looks at the whole


class _Block(nn.Module):
    """Two convolutions and a way around them (He et al. 2016, arXiv 1512.03385)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.into, self.out = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.norm, self.last = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.last(self.out(torch.relu(self.norm(self.into(x))))))


class SceneClassifier(nn.Module):
    """A convolutional network that sees pictures of scenes, and its vocabulary.

    It looks at the same map of the picture for each of two objects, in a caption's order, at some places of its own
    choice, so a thing is known wherever it stands; both objects vote for the azimuth. Sizes are not judged: "small" and
    "large" are said of things whose distance the picture does not tell.

    Args:
        shape: of the network.
        accuracy: what it reached on held-out renders when it was made, by attribute.
        seed: of its first weights.
    """

    def __init__(
        self, config: ClassifierConfig | None = None, accuracy: Mapping[str, float] | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        self.config, self.accuracy = config or ClassifierConfig(), dict(accuracy or {})
        words, widths, size = vocabulary(), self.config.channels, self.config
        self._parts = (len(words["things"]) + 1, len(words["colours"]) + 1, len(words["azimuths"]))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers: list[nn.Module] = []
            for level, (wide, blocks) in enumerate(zip(widths, size.blocks, strict=True)):
                before, kernel = (3, 5) if level == 0 else (widths[level - 1], 3)
                layers += [nn.Conv2d(before, wide, kernel, 2, kernel // 2, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
                layers += [_Block(wide) for _ in range(blocks)]
            self.eye = nn.Sequential(*layers)
            self.gaze = nn.Conv2d(widths[-1], 2 * size.gazes, 1)
            self.slot = nn.Linear(widths[-1] * size.gazes, size.slot)
            self.scene = nn.Linear(widths[-1] * _PLACES**2, size.scene)
            self.name = _two(size.slot, size.hidden, sum(self._parts))
            self.tell = _two(2 * size.slot + size.scene, size.hidden, len(words["relations"]) + 2)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # faster on a CPU

    def features(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """What it sees before it answers, for distances of sets of pictures: of both objects, and of the whole.

        Args:
            image: in [0, 1]; other sides than 64 pixels are resized.
        """
        if image.shape[-2:] != (SIDE, SIDE):
            image = nn.functional.interpolate(
                image, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
            ).clamp(0, 1)
        seen = self.eye((2 * image - 1).contiguous(memory_format=torch.channels_last))
        weight = self.gaze(seen).flatten(2).softmax(-1)
        found = weight @ seen.flatten(2).transpose(1, 2)
        slots = torch.relu(self.slot(found.unflatten(1, (2, -1)).flatten(2)))
        places = nn.functional.adaptive_avg_pool2d(seen, _PLACES).flatten(1)
        return torch.cat([slots.flatten(1), torch.relu(self.scene(places))], -1)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> ClassifierOutput:
        """Its answers to pictures in [0, 1]."""
        features = self.features(image)
        slots = features[:, : 2 * self.config.slot].unflatten(-1, (2, -1))
        thing, colour, azimuth = self.name(slots).float().split(self._parts, -1)
        told = self.tell(features).float()
        return ClassifierOutput(thing, colour, told[:, :-1], azimuth.sum(1), 45 * told[:, -1])

    @torch.no_grad()
    def normalize_features(self, images: Float[Tensor, "n 3 h w"]) -> None:
        """Gives features a mean square of 1 over those pictures, so that distances are of order 1; no answer changes.

        Rectified features scale with the weights that make them, and the next layer undoes it.
        """
        size = torch.cat([self.features(part).square().mean(-1) for part in images.split(256)]).mean().sqrt()
        for layer in (self.slot, self.scene):
            layer.weight.div_(size)
            layer.bias.div_(size)
        for answers in (self.name, self.tell):
            next(answers.parameters()).mul_(size)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a folder with `judge.safetensors`, in half precision, and `judge.json`; never half of it.

        Raises:
            FileExistsError: the folder exists and is not empty.
        """
        from safetensors.torch import save_file

        target = Path(path)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise FileExistsError(f"a judge is saved to a new folder: got {target}, which exists; choose another name")
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        half = {name: _half(value) for name, value in self.state_dict().items()}
        told = {"format": _FORMAT, "shape": asdict(self.config), "words": vocabulary(), "accuracy": self.accuracy}
        with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=f".{target.name}-") as scratch:
            folder = Path(scratch) / "judge"
            folder.mkdir()
            save_file(half, folder / _WEIGHTS)
            (folder / _TOLD).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            folder.replace(target)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SceneClassifier:
        """Reads what `save` wrote, ready to judge.

        Raises:
            ValueError: a file is missing, damaged, of another format or of other words; one line.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = Path(path)
        try:
            told = json.loads((folder / _TOLD).read_text(encoding="utf-8"))
            if told["format"] != _FORMAT:
                raise ValueError(f"its format is {told['format']!r}, not {_FORMAT!r}")
            if told["words"] != vocabulary():
                raise ValueError("it was trained for scenes of other words than these")
            weights = load_file(folder / _WEIGHTS)
            size = told["shape"]
            sides = (tuple(size["channels"]), tuple(size["blocks"]))
            shape = ClassifierConfig(*sides, *(int(size[name]) for name in ("gazes", "slot", "scene", "hidden")))
            if shape != config_from_weights(weights):  # compared before anything of that size is made
                raise ValueError(f"its weights are of {config_from_weights(weights)}, not of {shape}")
            judge = cls(shape, {str(name): float(value) for name, value in told["accuracy"].items()})
            judge.load_state_dict(weights)
            if not all(value.isfinite().all() for value in judge.state_dict().values()):
                raise ValueError("its weights are not finite")
        except (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"{folder} is no readable judge: {reason}; make one: python -m tools.bundled_priors train judge"
            ) from error
        return judge.eval()

    @classmethod
    def packaged(cls) -> SceneClassifier:
        """The one that ships with modeseek.

        Raises:
            ValueError: a file of it is missing or damaged; one line.
        """
        return cls.load(packaged_weights("judge"))


def _two(into: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(into, hidden), nn.ReLU(), nn.Linear(hidden, out))


def _half(value: Tensor) -> Tensor:
    return value.half().contiguous() if value.is_floating_point() else value
