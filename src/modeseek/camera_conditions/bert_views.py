"""How likely each view is of a prompt, asked of a masked language model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

_VIEWS = ("front", "side", "back", "overhead")


class BertViews:
    """A masked language model (BERT: Devlin et al. 2018, arXiv 1810.04805) that fills in the view of a prompt.

    `P(v | prompt)` is its probability of the word v at the mask of "This image is depicting a [MASK] view of {prompt}",
    among the four words front, side, back and overhead. Pass it to `DebiasedPrompts`.

    Args:
        network: AutoModelForMaskedLM of transformers, in evaluation mode.
        tokenizer: its own.
    """

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self.network, self.tokenizer = network, tokenizer
        self._views = tokenizer.convert_tokens_to_ids(list(_VIEWS))
        if tokenizer.mask_token_id is None or tokenizer.unk_token_id in self._views:
            raise ValueError(
                f"a language model for views has a mask and the words {', '.join(_VIEWS)}: got one without; use "
                "bert-base-uncased or its like"
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BertViews:
        """Reads a folder with such a model and its tokenizer; nothing is fetched.

        Raises:
            ValueError: no such folder, transformers is missing, or the model cannot be read; one line.
        """
        folder = Path(path)
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} is no language model: it has no config.json; name a folder with one")
        try:
            import transformers
        except ImportError as error:
            raise ValueError("a language model needs transformers: pip install 'modeseek[diffusers]'") from error
        try:
            options = {"local_files_only": True, "trust_remote_code": False}
            network = transformers.AutoModelForMaskedLM.from_pretrained(folder, use_safetensors=True, **options)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise ValueError(f"{folder} is no masked language model: {reason}; name a folder with one") from error
        return cls(network.eval(), tokenizer)

    @torch.no_grad()
    def __call__(self, prompt: str) -> tuple[float, float, float, float]:
        """Of the front, the side, the back and overhead; they sum to 1."""
        text = f"This image is depicting a {self.tokenizer.mask_token} view of {prompt}"
        told = self.tokenizer(text, return_tensors="pt", truncation=True)
        spot = int((told["input_ids"][0] == self.tokenizer.mask_token_id).nonzero()[0, 0])
        logits = self.network(**told).logits[0, spot, self._views]
        front, side, back, overhead = logits.double().softmax(0).tolist()
        return front, side, back, overhead
