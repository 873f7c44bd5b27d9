"""What a network for pictures sees in them: one vector a picture, for FID and KID."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.metrics.transformers_models import ImagePreprocessing, load_model

_USE = "feature network"


class ImageFeatures(nn.Module):
    """A local image network as a map from pictures in [0, 1] to features; torchmetrics takes it as `feature=`.

    Two-tower models (CLIP, SigLIP) give their image embedding; transformers with a class token (DINOv2, ViT) the last
    layer's, as DINOv2's authors do; anything else the mean over places. Heads for pooling are never asked: folders
    often lack them.

    Args:
        network: of transformers.
        prepare: resizes and normalises.

    Attributes:
        num_features: numbers a picture.
    """

    num_features: int

    def __init__(self, network: Any, preprocess: ImagePreprocessing) -> None:
        super().__init__()
        self.network, self.preprocess = network, preprocess
        self._classed = any(name.endswith("cls_token") for name, _ in network.named_parameters())
        self.num_features = self(torch.zeros(1, 3, 32, 32)).shape[1]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ImageFeatures:
        """Reads a folder that `save_pretrained` wrote, with its preprocessor_config.json.

        Raises:
            ValueError: no model for pictures; one line.
        """
        folder = Path(path)
        network, prepare = load_model(folder, "AutoModel", _USE), ImagePreprocessing.load(folder, _USE)
        try:
            return cls(network, prepare)
        except (ValueError, TypeError, RuntimeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise ValueError(f"{folder} is no {_USE}: it cannot look at a picture: {reason}; name another") from error

    @torch.no_grad()
    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """(n, d), float32."""
        seen = self.preprocess(image)
        if hasattr(self.network, "get_image_features"):
            return pooled_embedding(self.network.get_image_features(pixel_values=seen))
        last = self.network(pixel_values=seen).last_hidden_state
        if last.ndim == 4:
            return last.mean((2, 3))
        return last[:, 0] if self._classed else last.mean(1)


def pooled_embedding(output: Any) -> Tensor:
    """The vectors in what a tower answers, bare in some releases and wrapped in others."""
    return output if isinstance(output, Tensor) else output.pooler_output
