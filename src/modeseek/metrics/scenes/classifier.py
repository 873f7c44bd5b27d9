"""Scene classifier: object types, colours, relation and viewpoint of images of rendered scenes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.io.atomic import write_new_folder
from modeseek.io.errors import one_line
from modeseek.io.packaged import packaged_weights
from modeseek.metrics.scenes.classifier_config import ClassifierConfig, config_from_weights
from modeseek.metrics.scenes.classifier_output import ClassifierOutput, vocabulary

_FORMAT = "modeseek-judge-2"
_WEIGHTS, _METADATA = "judge.safetensors", "judge.json"
SIDE = 64  # side of the input, pixels; other images are resized
_POOLED_SIDE = 4  # side of the pooled map of the whole scene


class _Block(nn.Module):
    """Residual block of two convolutions (He et al. 2016, arXiv 1512.03385)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.into, self.out = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.norm, self.last = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.last(self.out(torch.relu(self.norm(self.into(x))))))


class SceneClassifier(nn.Module):
    """Convolutional classifier of scene images with a fixed label vocabulary.

    For each of two objects, in caption order, learned attention maps pool the same feature map, so an object is
    recognised wherever it stands; the azimuth logits of both objects are summed. Sizes are not predicted, since the
    distance of an object cannot be seen in the image.

    Args:
        config: architecture of the network.
        accuracy: accuracy on held-out renders after training, by attribute.
        seed: random seed of the initial weights.
    """

    def __init__(
        self, config: ClassifierConfig | None = None, accuracy: Mapping[str, float] | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        self.config, self.accuracy = config or ClassifierConfig(), dict(accuracy or {})
        labels, widths, size = vocabulary(), self.config.channels, self.config
        self._parts = (len(labels["things"]) + 1, len(labels["colours"]) + 1, len(labels["azimuths"]))
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
            self.scene = nn.Linear(widths[-1] * _POOLED_SIDE**2, size.scene)
            self.name = _mlp(size.slot, size.hidden, sum(self._parts))
            self.tell = _mlp(2 * size.slot + size.scene, size.hidden, len(labels["relations"]) + 2)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # faster on a CPU

    def features(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Features of both objects and of the whole scene, for distances between sets of images.

        Args:
            image: images in [0, 1], resized to 64 pixels a side.
        """
        if image.shape[-2:] != (SIDE, SIDE):
            image = nn.functional.interpolate(
                image, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
            ).clamp(0, 1)
        feature_map = self.eye((2 * image - 1).contiguous(memory_format=torch.channels_last))
        weight = self.gaze(feature_map).flatten(2).softmax(-1)
        pooled = weight @ feature_map.flatten(2).transpose(1, 2)
        slots = torch.relu(self.slot(pooled.unflatten(1, (2, -1)).flatten(2)))
        scene = nn.functional.adaptive_avg_pool2d(feature_map, _POOLED_SIDE).flatten(1)
        return torch.cat([slots.flatten(1), torch.relu(self.scene(scene))], -1)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> ClassifierOutput:
        """Classifies images in [0, 1]."""
        features = self.features(image)
        slots = features[:, : 2 * self.config.slot].unflatten(-1, (2, -1))
        object_type, colour, azimuth = self.name(slots).float().split(self._parts, -1)
        relation_elevation = self.tell(features).float()
        return ClassifierOutput(
            object_type, colour, relation_elevation[:, :-1], azimuth.sum(1), 45 * relation_elevation[:, -1]
        )

    @torch.no_grad()
    def normalize_features(self, images: Float[Tensor, "n 3 h w"]) -> None:
        """Scales the features to a mean square of 1 over the images without changing any output.

        Rectified features scale with the weights of their layer, and the next layer is scaled inversely.
        """
        rms = torch.cat([self.features(part).square().mean(-1) for part in images.split(256)]).mean().sqrt()
        for layer in (self.slot, self.scene):
            layer.weight.div_(rms)
            layer.bias.div_(rms)
        for head in (self.name, self.tell):
            next(head.parameters()).mul_(rms)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a folder with `judge.safetensors`, in half precision, and `judge.json`, atomically.

        Raises:
            FileExistsError: the folder exists and is not empty.
        """
        from safetensors.torch import save

        half = {name: _half(value) for name, value in self.state_dict().items()}
        metadata = {"format": _FORMAT, "shape": asdict(self.config), "words": vocabulary(), "accuracy": self.accuracy}
        description = json.dumps(metadata, indent=2) + "\n"
        write_new_folder(Path(path), {_WEIGHTS: save(half), _METADATA: description.encode()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SceneClassifier:
        """Loads a classifier written by `save`, in evaluation mode.

        Raises:
            ValueError: a file is missing, damaged, of another format or of another vocabulary; one line.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = Path(path)
        try:
            metadata = json.loads((folder / _METADATA).read_text(encoding="utf-8"))
            if metadata["format"] != _FORMAT:
                raise ValueError(f"its format is {metadata['format']!r}, not {_FORMAT!r}")
            if metadata["words"] != vocabulary():
                raise ValueError("its vocabulary is not that of these scenes")
            weights = load_file(folder / _WEIGHTS)
            sizes = metadata["shape"]
            sides = (tuple(sizes["channels"]), tuple(sizes["blocks"]))
            config = ClassifierConfig(*sides, *(int(sizes[name]) for name in ("gazes", "slot", "scene", "hidden")))
            if config != config_from_weights(weights):  # before a network of that size is allocated
                raise ValueError(f"its weights are of {config_from_weights(weights)}, not of {config}")
            classifier = cls(config, {str(name): float(value) for name, value in metadata["accuracy"].items()})
            classifier.load_state_dict(weights)
            if not all(value.isfinite().all() for value in classifier.state_dict().values()):
                raise ValueError("its weights are not finite")
        except (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, SafetensorError) as error:
            reason = one_line(error, 200)
            raise ValueError(
                f"{folder} is not a readable scene classifier: {reason}; try python -m tools.bundled_priors train judge"
            ) from error
        return classifier.eval()

    @classmethod
    def packaged(cls) -> SceneClassifier:
        """Loads the classifier that ships with modeseek.

        Raises:
            ValueError: a file is missing or damaged; one line.
        """
        return cls.load(packaged_weights("judge"))


def _mlp(n_in: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, out))


def _half(value: Tensor) -> Tensor:
    return value.half().contiguous() if value.is_floating_point() else value
