"""Image features for FID and KID, from a local image model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.io.errors import one_line
from modeseek.metrics.transformers_models import ImagePreprocessing, load_model

_PURPOSE = "feature network"


class ImageFeatures(nn.Module):
    """Local image model as a map from images in [0, 1] to features; torchmetrics takes it as `feature=`.

    Two-tower models (CLIP, SigLIP) give their image embedding; transformers with a class token (DINOv2, ViT) that of
    the last layer, as the DINOv2 authors do; other models the mean over positions. Pooling heads are not used, since
    many folders come without them.

    Args:
        network: image model from transformers.
        preprocess: resizing and normalisation of images.

    Attributes:
        num_features: number of features per image.
    """

    num_features: int

    def __init__(self, network: Any, preprocess: ImagePreprocessing) -> None:
        super().__init__()
        self.network, self.preprocess = network, preprocess
        self._has_class_token = any(name.endswith("cls_token") for name, _ in network.named_parameters())
        self.num_features = self(torch.zeros(1, 3, 32, 32)).shape[1]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ImageFeatures:
        """Loads a folder written by `save_pretrained`, with its preprocessor_config.json.

        Raises:
            ValueError: no image model; one line.
        """
        folder = Path(path)
        network, prepare = load_model(folder, "AutoModel", _PURPOSE), ImagePreprocessing.load(folder, _PURPOSE)
        try:
            return cls(network, prepare)
        except (ValueError, TypeError, RuntimeError, AttributeError) as error:
            reason = one_line(error, 160)
            raise ValueError(f"{folder} is no {_PURPOSE}: it cannot encode an image: {reason}; try another") from error

    @torch.no_grad()
    def forward(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Features of images in [0, 1], (n, d), float32."""
        pixels = self.preprocess(image)
        if hasattr(self.network, "get_image_features"):
            return pooled_embedding(self.network.get_image_features(pixel_values=pixels))
        last = self.network(pixel_values=pixels).last_hidden_state
        if last.ndim == 4:
            return last.mean((2, 3))
        return last[:, 0] if self._has_class_token else last.mean(1)


def pooled_embedding(output: Any) -> Tensor:
    """Embedding in a tower's output, which is a tensor in some releases of transformers and an object in others."""
    return output if isinstance(output, Tensor) else output.pooler_output
