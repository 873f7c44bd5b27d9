"""View probabilities of a prompt from a masked language model (BERT)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from modeseek.io.errors import reason

_VIEWS = ("front", "side", "back", "overhead")


class BertViews:
    """View probabilities by a masked language model (BERT, Devlin et al. 2018, arXiv 1810.04805).

    Used as the `view_likelihoods` of `DebiasedPrompts`.

    `P(v | prompt)` is the probability of the word v at the mask of "This image is depicting a [MASK] view of {prompt}",
    normalised over the four words front, side, back and overhead.

    Args:
        network: an AutoModelForMaskedLM of transformers, in evaluation mode.
        tokenizer: the tokenizer of the network.
    """

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self.network, self.tokenizer = network, tokenizer
        self._view_ids = tokenizer.convert_tokens_to_ids(list(_VIEWS))
        if tokenizer.mask_token_id is None or tokenizer.unk_token_id in self._view_ids:
            raise ValueError(
                f"a language model for views needs a mask token and the words {', '.join(_VIEWS)} in its vocabulary; "
                "try bert-base-uncased"
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BertViews:
        """Loads a model and its tokenizer from a local folder; nothing is downloaded.

        Raises:
            ValueError: no such folder, transformers is missing, or the model cannot be loaded.
        """
        folder = Path(path)
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} is not a language model: it has no config.json; pass a model folder")
        try:
            import transformers
        except ImportError as error:
            raise ValueError(
                "a language model needs the package transformers, which is missing; pip install 'modeseek[diffusers]'"
            ) from error
        try:
            options = {"local_files_only": True, "trust_remote_code": False}
            network = transformers.AutoModelForMaskedLM.from_pretrained(folder, use_safetensors=True, **options)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            raise ValueError(f"{folder} is not a masked language model: {reason(error)}; pass another") from error
        return cls(network.eval(), tokenizer)

    @torch.no_grad()
    def __call__(self, prompt: str) -> tuple[float, float, float, float]:
        """Returns the probabilities of front, side, back and overhead; they sum to 1."""
        text = f"This image is depicting a {self.tokenizer.mask_token} view of {prompt}"
        inputs = self.tokenizer(text, return_tensors="pt", truncation=True)
        mask = int((inputs["input_ids"][0] == self.tokenizer.mask_token_id).nonzero()[0, 0])
        logits = self.network(**inputs).logits[0, mask, self._view_ids]
        front, side, back, overhead = logits.double().softmax(0).tolist()
        return front, side, back, overhead
