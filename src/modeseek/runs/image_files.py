"""Image files of a run, named by prompt and seed, native and enlarged, with their settings inside; contact sheet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from modeseek.config.config import Config
from modeseek.io.atomic import write_atomic
from modeseek.io.images import encode_png, resize
from modeseek.io.paths import slug
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.rundir.environment import package_versions
from modeseek.rundir.run_dir import Run

TARGET = 512  # longest side of an enlarged image, about, pixels
MOST_ENLARGED = 16  # images of a run that are enlarged; times their pixels
_MOST_FACTOR = 16
_MOST_TILES, _TILE = 64, 256  # of the contact sheet; least side of a tile, about, pixels
_NAME_LENGTH = 60  # characters of a prompt in the name of a file


@dataclass(frozen=True)
class ImageSettings:
    """How the images of a run were made, as their files say.

    Attributes:
        prompts: prompt of each image, or the name of the run where there is none.
        seed: random seed.
        method: method or sampler.
        steps: number of optimisation or sampler steps.
        scale: guidance scale; 1 is none.
        generator: what was optimised, or "samples".
        prior: title and SHA-256 of the prior.
        negative: negative prompt, or empty.
        prompted: whether `prompts` are prompts, and not names.
    """

    prompts: tuple[str, ...]
    seed: int
    method: str
    steps: int
    scale: float
    generator: str
    prior: Mapping[str, Any]
    negative: str = ""
    prompted: bool = True

    @classmethod
    def of(cls, config: Config, prior: Mapping[str, Any], n: int) -> ImageSettings:
        """Settings of n images of a run; `prior` is the record in its env.json."""
        name = f"{config.name or config.prior.title}{'' if config.label is None else f' class {config.label}'}"
        texts = config.prompts or (name,)
        return cls(
            tuple(texts[item % len(texts)] for item in range(n)),
            config.seed,
            config.method_name,
            config.steps,
            config.guidance,
            config.generator_name,
            prior,
            config.negative,
            bool(config.prompts),
        )

    def names(self, labels: Sequence[str] = ()) -> list[str]:
        """File names of the images without suffix: prompt, seed, and a label or number where several share them."""
        return image_names(self.prompts, self.seed, labels)

    def chunks(self, index: int, size: tuple[int, int], enlarged: str = "") -> dict[str, str]:
        """Text chunks of the PNG of an image: one per setting, and all in `parameters`, which other tools read.

        No keyword is `prompt`, under which ComfyUI expects a workflow.

        Args:
            index: number of the image.
            size: height and width, pixels.
            enlarged: how it was enlarged, or empty.
        """
        title, sha256 = str(self.prior.get("title")), str(self.prior.get("sha256"))
        version = f"modeseek {package_versions(('modeseek',)).get('modeseek', '')}".strip()
        values = {
            "Prompt": self.prompts[index] if self.prompted else "",
            "Negative prompt": self.negative,
            "Seed": str(self.seed),
            "Method": self.method,
            "Steps": str(self.steps),
            "Guidance scale": f"{self.scale:g}",
            "Generator": self.generator,
            "Prior": title,
            "Prior SHA-256": sha256,
            "Software": version,
            "Enlarged": enlarged,
        }
        lines = [values["Prompt"], *([f"Negative prompt: {self.negative}"] if self.negative else [])]
        lines.append(
            f"Steps: {self.steps}, Sampler: {self.method.upper()}, CFG scale: {self.scale:g}, Seed: {self.seed}, "
            f"Size: {size[1]}x{size[0]}, Model hash: {sha256[:10]}, Model: {title}, Version: {version}"
        )
        return {key: value for key, value in values.items() if value} | {"parameters": "\n".join(lines)}


def image_names(prompts: Sequence[str], seed: int, labels: Sequence[str] = ()) -> list[str]:
    """Names such as `a-red-cone-s0`, one per prompt; equal ones are numbered from 1, or bear their labels."""
    stems = [f"{slug(prompt, _NAME_LENGTH) or 'image'}-s{seed}" for prompt in prompts]
    if labels:
        return [f"{stem}-{label}" for stem, label in zip(stems, labels, strict=True)]
    counts, seen = Counter(stems), Counter[str]()
    names = []
    for stem in stems:
        seen[stem] += 1
        names.append(f"{stem}-{seen[stem]:0{len(str(counts[stem]))}d}" if counts[stem] > 1 else stem)
    return names


def enlargement(height: int, width: int, target: int = TARGET) -> int:
    """Whole factor that brings the longest side near `target` pixels; at least 1, at most 16."""
    return min(_MOST_FACTOR, max(1, round(target / max(height, width))))


def write_images(
    run: Run,
    images: Float[Tensor, "n c h w"],
    settings: ImageSettings,
    render: Callable[[tuple[int, int]], Iterator[Tensor] | None] | None = None,
    labels: Sequence[str] = (),
    enlarged: bool = True,
) -> None:
    """Writes `exports/NAME.png` of every image, and `exports/NAME@8x.png` of the first 16 small ones.

    Args:
        run: run folder.
        images: images in [0, 1], c = 1 or 3.
        settings: how they were made.
        render: function that renders them one by one at a height and width, or None if it cannot; they are then resized
            by Lanczos' filter.
        labels: names of the images of one prompt; empty numbers them.
        enlarged: whether any are enlarged.
    """
    names, (height, width) = settings.names(labels), tuple(images.shape[2:])
    for index, (name, image) in enumerate(zip(names, images, strict=True)):
        png = encode_png(image, settings.chunks(index, (height, width)))
        write_atomic(run.path / "exports" / f"{name}.png", png)
    factor = enlargement(height, width)
    if factor == 1 or labels or not enlarged:
        return
    size = (factor * height, factor * width)
    rendered = None if render is None else render(size)
    large_images = (resize(image, size) for image in images) if rendered is None else rendered
    how = "Lanczos" if rendered is None else "rendered"
    for index, (name, large) in enumerate(zip(names[:MOST_ENLARGED], large_images, strict=False)):
        png = encode_png(large, settings.chunks(index, size, f"{factor}x, {how}"))
        write_atomic(run.path / "exports" / f"{name}@{factor}x.png", png)


def contact_sheet(images: Float[Tensor, "n c h w"], captions: Sequence[str] = ()) -> bytes:
    """PNG of the first 64 images, enlarged by a whole factor, captions below; a column a caption where these repeat."""
    shown = images[:_MOST_TILES]
    side = max(shown.shape[2:])
    tiles = [Tile(image, caption=captions[k] if captions else "") for k, image in enumerate(shown)]
    kinds = len(set(captions[: len(shown)]))
    columns = kinds if 1 < kinds < len(shown) else math.ceil(math.sqrt(len(shown)))
    return ContactSheet.grid(tiles, min(columns, 8), side=side * max(1, round(_TILE / side))).png()
