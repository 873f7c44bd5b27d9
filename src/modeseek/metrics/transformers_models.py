"""Local models of transformers and their image preprocessing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.io.errors import reason
from modeseek.io.quiet import silence

_MODES = {2: "bilinear", 3: "bicubic"}  # PIL's resampling codes


def load_model(folder: Path, auto_class: str, purpose: str) -> Any:
    """Loads a model written by `save_pretrained`, frozen, in float32; safetensors only, no remote code.

    Args:
        folder: folder with config.json and model.safetensors.
        auto_class: name of the loading class of transformers, such as AutoModel.
        purpose: purpose of the model in error messages.

    Raises:
        ValueError: no such folder or model, or missing weights; one line.
    """
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is no {purpose}: it has no config.json; name a folder that save_pretrained wrote")
    import transformers
    from safetensors import SafetensorError

    try:
        with silence("transformers"):
            model, info = getattr(transformers, auto_class).from_pretrained(
                folder,
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
            missing = sorted(name for name in info["missing_keys"] if "pooler" not in name)  # poolers are unused
            if missing:
                raise ValueError(f"{len(missing)} of its weights are missing, such as {missing[0]}")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError) as error:
        raise ValueError(f"{folder} cannot be loaded as a {purpose}: {reason(error)}; name another folder") from error
    return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class ImagePreprocessing:
    """Image preprocessing of a model, its processor's own steps, in torch.

    Attributes:
        size: (height, width) after resizing, or (shorter side,), pixels; None for no resizing.
        crop: (height, width) of the centre crop, pixels, or None.
        mode: bilinear or bicubic interpolation, anti-aliased.
        mean: mean of each channel, subtracted.
        std: standard deviation of each channel, a divisor.
    """

    size: tuple[int, ...] | None
    crop: tuple[int, int] | None
    mode: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 a b"]:
        height, width = image.shape[2:]
        if self.size is not None:
            side = self.size[0] / min(height, width)
            target = self.size if len(self.size) == 2 else (round(side * height), round(side * width))
            if target != (height, width):
                image = nn.functional.interpolate(image, target, mode=self.mode, antialias=True).clamp(0, 1)
        if self.crop is not None:
            missing = [max(0, target - current) for target, current in zip(self.crop, image.shape[2:], strict=True)]
            pads = (missing[1] // 2, missing[1] - missing[1] // 2, missing[0] // 2, missing[0] - missing[0] // 2)
            image = nn.functional.pad(image, pads)
            top, left = ((current - target) // 2 for current, target in zip(image.shape[2:], self.crop, strict=True))
            image = image[:, :, top : top + self.crop[0], left : left + self.crop[1]]
        mean, std = (image.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (image - mean) / std

    @classmethod
    def load(cls, folder: Path, purpose: str) -> ImagePreprocessing:
        """Loads `preprocessor_config.json`, or `processor_config.json`.

        Raises:
            ValueError: the file is missing or invalid.
        """
        try:
            config = _settings(folder)
            size = _size(config.get("size")) if config.get("do_resize", True) else None
            crop = _size(config.get("crop_size")) if config.get("do_center_crop", False) else None
            number = config.get("resample", 3)
            if number not in _MODES:
                raise ValueError(f"resample must be 2 (bilinear) or 3 (bicubic), got {number}")
            normal = config.get("do_normalize", True)
            mean, std = (
                (config[key] if normal else [other] * 3) for key, other in (("image_mean", 0), ("image_std", 1))
            )
            square = None if crop is None else (crop[0], crop[-1])
            preprocessing = cls(size, square, _MODES[number], tuple(map(float, mean)), tuple(map(float, std)))
            if len(preprocessing.mean) != 3 or len(preprocessing.std) != 3 or min(preprocessing.std) <= 0:
                raise ValueError("image_mean and image_std must be three numbers each, image_std positive")
            return preprocessing
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{folder} is no {purpose}: its preprocessor_config.json: {reason(error)}; try another folder"
            ) from error


def _settings(folder: Path) -> dict[str, Any]:
    """Settings of the image processor; transformers 5 may keep them in `processor_config.json`."""
    processor = folder / "processor_config.json"
    if not (folder / "preprocessor_config.json").is_file() and processor.is_file():
        return json.loads(processor.read_text(encoding="utf-8"))["image_processor"]
    return json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))


def _size(size: Any) -> tuple[int, ...] | None:
    if size is None:
        return None
    if isinstance(size, int):
        return (size,)
    if size.get("shortest_edge") is not None:
        return (int(size["shortest_edge"]),)
    return (int(size["height"]), int(size["width"]))
