"""LoRA weights of a pipeline (LoRA, DreamBooth LoRA), merged into its weights.

Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen 2021, arXiv 2106.09685: W' = W + scale alpha / r B A.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeseek.io.paths import PathText
from modeseek.priors.pipeline.lora_files import read_lora
from modeseek.priors.pipeline.lora_fit import FittedLoRA, fit_lora


@dataclass(frozen=True)
class LoRA:
    """LoRA file to merge into a pipeline.

    Attributes:
        path: path of a .safetensors file, or of a folder that holds exactly one.
        scale: multiplier of the low-rank update; 1 applies it fully.
    """

    path: PathText
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not abs(self.scale) < float("inf"):
            raise ValueError(f"a LoRA's scale must be finite, got {self.scale}; try 1")

    def file(self) -> Path:
        """Returns the path of the .safetensors file.

        Raises:
            ValueError: there is no such file, or several; pickled files are never read.
        """
        path = Path(self.path).expanduser()
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        if len(files) != 1 or files[0].suffix != ".safetensors" or not files[0].is_file():
            problem = f"{len(files)} of them in a folder" if path.is_dir() else "no such file"
            raise ValueError(
                f"a LoRA must be one .safetensors file, got {self.path} ({problem}); try the path of the file"
            )
        return files[0]

    @classmethod
    def parse(cls, text: str) -> LoRA:
        """Returns the LoRA that FILE or FILE=SCALE names; a file whose own name has = is found as it is.

        Raises:
            ValueError: a scale that is no finite number.
        """
        path, equals, scale = text.rpartition("=")
        if not equals or Path(text).exists():
            return cls(text)
        try:
            return cls(path, float(scale))
        except ValueError as error:
            if scale.endswith(".safetensors") or "/" in scale:  # a file with = in its name that does not exist
                return cls(text)
            raise ValueError(f"a LoRA must be FILE or FILE=SCALE, got {text!r}; try style.safetensors=0.8") from error


def fit_loras(loras: Sequence[LoRA], parts: Mapping[str, Any], network: str, pipe: Any) -> list[FittedLoRA]:
    """Reads LoRA files and fits them to a pipeline; remarks name layers that are left out.

    Args:
        loras: files, in the order in which they are merged.
        parts: modules of the pipeline by component: network and text encoders; their weights may be on meta.
        network: component of the network: unet or transformer.
        pipe: pipeline of diffusers, for its conversions of names.

    Raises:
        ValueError: a file that cannot be read, is no LoRA, or does not fit for the most part.
    """
    return [fit_lora(read_lora(lora.file()), lora.path, lora.scale, parts, network, pipe) for lora in loras]
