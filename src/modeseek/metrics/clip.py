"""CLIP similarity of images and prompts, from a local CLIP model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.io.errors import reason
from modeseek.io.quiet import silence
from modeseek.metrics.features import pooled_embedding
from modeseek.metrics.transformers_models import ImagePreprocessing, load_model

_PURPOSE = "CLIP model"
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json")


class CLIPSimilarity(nn.Module):
    """Cosine similarity between CLIP embeddings of images and texts (Radford et al. 2021, arXiv 2103.00020).

    Plain cosines in [-1, 1]: no factor, no clipping at zero (CLIPScore, Hessel et al. 2021, is 2.5 max(cos, 0)).

    Args:
        network: CLIPModel from transformers.
        tokenizer: tokenizer of the model.
        preprocess: resizing and normalisation of images.
    """

    def __init__(self, network: Any, tokenizer: Any, preprocess: ImagePreprocessing) -> None:
        super().__init__()
        self.network, self.tokenizer, self.preprocess = network, tokenizer, preprocess

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CLIPSimilarity:
        """Loads a folder with a CLIPModel, its tokenizer and its preprocessor_config.json.

        Raises:
            ValueError: no such model; one line.
        """
        folder = Path(path)
        network = load_model(folder, "CLIPModel", _PURPOSE)
        if not any((folder / name).is_file() for name in _TOKENIZER_FILES):  # transformers would create an empty one
            raise ValueError(
                f"{folder} is no {_PURPOSE}: it has no {' or '.join(_TOKENIZER_FILES)}; name a folder with a tokenizer"
            )
        import transformers

        try:
            with silence("transformers"):
                tokenizer = transformers.AutoTokenizer.from_pretrained(
                    folder, local_files_only=True, trust_remote_code=False
                )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            raise ValueError(f"{folder} is no {_PURPOSE}: tokenizer: {reason(error)}; try another folder") from error
        return cls(network, tokenizer, ImagePreprocessing.load(folder, _PURPOSE))

    @torch.no_grad()
    def text_embeddings(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Normalised text embeddings; longer texts are truncated to the model's context length."""
        max_length = self.network.config.text_config.max_position_embeddings
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, max_length=max_length, return_tensors="pt")
        device = next(self.network.parameters()).device
        inputs = {key: tokens[key].to(device) for key in ("input_ids", "attention_mask")}
        return nn.functional.normalize(pooled_embedding(self.network.get_text_features(**inputs)), dim=1)

    @torch.no_grad()
    def image_embeddings(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Normalised embeddings of images in [0, 1]."""
        return nn.functional.normalize(
            pooled_embedding(self.network.get_image_features(pixel_values=self.preprocess(image))), dim=1
        )

    def forward(self, image: Float[Tensor, "n 3 h w"], texts: Sequence[str]) -> Float[Tensor, "n"]:
        """Cosine similarity of image i and text i, in [-1, 1]."""
        if len(image) != len(texts):
            raise ValueError(
                f"numbers of images and texts must be equal, got {len(image)} images and {len(texts)} texts"
            )
        return (self.image_embeddings(image) * self.text_embeddings(texts)).sum(1)
