"""Networks of transformers from folders on this machine, and what their pictures must look like."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

_MODES = {2: "bilinear", 3: "bicubic"}  # PIL's numbers; others are rarer than rare


def load_model(folder: Path, auto_class: str, purpose: str) -> Any:
    """The network of a folder that `save_pretrained` wrote, in float32, frozen: safetensors only, no code from it.

    Args:
        folder: with config.json and model.safetensors.
        auto: which class of transformers reads it, such as AutoModel.
        use: what it is wanted for, in messages.

    Raises:
        ValueError: no such folder, no such model, or weights that are not all there; one line.
    """
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is no {purpose}: it has no config.json; name a folder that save_pretrained wrote")
    import transformers
    from safetensors import SafetensorError

    try:
        with silence_transformers():
            model, told = getattr(transformers, auto_class).from_pretrained(
                folder,
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{folder} cannot be loaded as a {purpose}: {reason}; name another folder") from error
    missing = sorted(name for name in told["missing_keys"] if "pooler" not in name)  # which nothing here asks
    if missing:
        raise ValueError(
            f"{folder} is no {purpose}: {len(missing)} of its weights are missing, such as {missing[0]}; name "
            "another folder"
        )
    return model.eval().requires_grad_(False)


@contextmanager
def silence_transformers() -> Generator[None]:
    """No progress bars or remarks of transformers: callers tell."""
    from transformers.utils import logging

    loudness, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(loudness)
        if bars:
            logging.enable_progress_bar()


@dataclass(frozen=True)
class ImagePreprocessing:
    """From pictures in [0, 1] to what a network was trained on; the processor's own steps, in torch.

    Attributes:
        size: (height, width) to resize to; with one number the shorter side gets it; None leaves the size.
        crop: (height, width) cut from the middle, or None.
        mode: bilinear or bicubic, smoothed where pictures shrink.
        mean: per channel, subtracted.
        std: per channel, divided by.
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
            wanted = self.size if len(self.size) == 2 else (round(side * height), round(side * width))
            if wanted != (height, width):
                image = nn.functional.interpolate(image, wanted, mode=self.mode, antialias=True).clamp(0, 1)
        if self.crop is not None:
            short = [max(0, want - have) for want, have in zip(self.crop, image.shape[2:], strict=True)]
            pads = (short[1] // 2, short[1] - short[1] // 2, short[0] // 2, short[0] - short[0] // 2)
            image = nn.functional.pad(image, pads)
            top, left = ((have - want) // 2 for have, want in zip(image.shape[2:], self.crop, strict=True))
            image = image[:, :, top : top + self.crop[0], left : left + self.crop[1]]
        mean, std = (image.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (image - mean) / std

    @classmethod
    def load(cls, folder: Path, purpose: str) -> ImagePreprocessing:
        """What `preprocessor_config.json` (or `processor_config.json`) says.

        Raises:
            ValueError: there is none, or it says what cannot be.
        """
        try:
            plain = _settings(folder)
            size = _size(plain.get("size")) if plain.get("do_resize", True) else None
            crop = _size(plain.get("crop_size")) if plain.get("do_center_crop", False) else None
            number = plain.get("resample", 3)
            if number not in _MODES:
                raise ValueError(f"resample is 2 (bilinear) or 3 (bicubic), not {number}")
            normal = plain.get("do_normalize", True)
            mean, std = (
                (plain[key] if normal else [other] * 3) for key, other in (("image_mean", 0), ("image_std", 1))
            )
            square = None if crop is None else (crop[0], crop[-1])
            made = cls(size, square, _MODES[number], tuple(map(float, mean)), tuple(map(float, std)))
            if len(made.mean) != 3 or len(made.std) != 3 or min(made.std) <= 0:
                raise ValueError("image_mean and image_std hold three numbers, the latter positive")
            return made
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:160]
            raise ValueError(
                f"{folder} is no {purpose}: its preprocessor_config.json: {reason}; name a folder that has a whole one"
            ) from error


def _settings(folder: Path) -> dict[str, Any]:
    """transformers 5 may keep them within `processor_config.json`."""
    whole = folder / "processor_config.json"
    if not (folder / "preprocessor_config.json").is_file() and whole.is_file():
        return json.loads(whole.read_text(encoding="utf-8"))["image_processor"]
    return json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))


def _size(told: Any) -> tuple[int, ...] | None:
    if told is None:
        return None
    if isinstance(told, int):
        return (told,)
    if told.get("shortest_edge") is not None:
        return (int(told["shortest_edge"]),)
    return (int(told["height"]), int(told["width"]))
