"""How well pictures show what was asked for, as a local CLIP model judges it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.metrics.features import pooled_embedding
from modeseek.metrics.transformers_models import ImagePreprocessing, load_model, silence_transformers

_USE = "CLIP model"
_WORDS = ("tokenizer.json", "vocab.json")


class CLIPSimilarity(nn.Module):
    """Cosine between the embeddings of a picture and of a text (Radford et al. 2021, arXiv 2103.00020).

    Plain cosines in [-1, 1]: no factor, no clipping at zero (CLIPScore, Hessel et al. 2021, is 2.5 max(cos, 0)).

    Args:
        network: CLIPModel of transformers.
        tokenizer: of the same folder.
        prepare: resizes and normalises pictures.
    """

    def __init__(self, network: Any, tokenizer: Any, preprocess: ImagePreprocessing) -> None:
        super().__init__()
        self.network, self.tokenizer, self.preprocess = network, tokenizer, preprocess

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CLIPSimilarity:
        """Reads a folder with a CLIPModel, its tokenizer and its preprocessor_config.json.

        Raises:
            ValueError: no such model; one line.
        """
        folder = Path(path)
        network = load_model(folder, "CLIPModel", _USE)
        if not any((folder / name).is_file() for name in _WORDS):  # transformers would make up an empty one
            raise ValueError(f"{folder} is no {_USE}: it has no {' or '.join(_WORDS)}; name a folder with a tokenizer")
        import transformers

        try:
            with silence_transformers():
                tokenizer = transformers.AutoTokenizer.from_pretrained(
                    folder, local_files_only=True, trust_remote_code=False
                )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise ValueError(f"{folder} is no {_USE}: its tokenizer: {reason}; name a folder that has one") from error
        return cls(network, tokenizer, ImagePreprocessing.load(folder, _USE))

    @torch.no_grad()
    def text_embeddings(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit embeddings; what is longer than the model reads is cut."""
        most = self.network.config.text_config.max_position_embeddings
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, max_length=most, return_tensors="pt")
        device = next(self.network.parameters()).device
        asked = {key: tokens[key].to(device) for key in ("input_ids", "attention_mask")}
        return nn.functional.normalize(pooled_embedding(self.network.get_text_features(**asked)), dim=1)

    @torch.no_grad()
    def image_embeddings(self, image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Unit embeddings of pictures in [0, 1]."""
        return nn.functional.normalize(
            pooled_embedding(self.network.get_image_features(pixel_values=self.preprocess(image))), dim=1
        )

    def forward(self, image: Float[Tensor, "n 3 h w"], texts: Sequence[str]) -> Float[Tensor, "n"]:
        """Cosine of picture i and text i."""
        if len(image) != len(texts):
            raise ValueError(f"one text a picture: got {len(image)} pictures and {len(texts)} texts; match them")
        return (self.image_embeddings(image) * self.text_embeddings(texts)).sum(1)
