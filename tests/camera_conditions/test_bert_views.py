"""View probabilities of a small masked language model with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modeseek.camera_conditions.bert_views import BertViews
from modeseek.camera_conditions.debiased_prompts import DebiasedPrompts

WORDS = "this image is depicting a view of front side back overhead smiling dog with tail".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertConfig, BertForMaskedLM, BertTokenizer

    path = tmp_path_factory.mktemp("bert")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (path / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    tokenizer = BertTokenizer({word: i for i, word in enumerate(vocabulary)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        model = BertForMaskedLM(BertConfig(vocab_size=len(vocabulary), initializer_range=1.0, **sizes))
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def test_the_views_share_the_probability_at_the_mask(folder: Path) -> None:
    views = BertViews.load(folder)
    probabilities = views("a smiling dog")
    assert sum(probabilities) == pytest.approx(1.0) and len(set(probabilities)) == 4
    ids = [2, *(5 + WORDS.index(w) for w in "this image is depicting a".split()), 4]
    ids += [5 + WORDS.index(w) for w in "view of a smiling dog".split()] + [3]
    with torch.no_grad():
        p = views.network(input_ids=torch.tensor([ids])).logits[0, 6].double().softmax(0)
    four = [p[5 + WORDS.index(w)].item() for w in ("front", "side", "back", "overhead")]
    assert probabilities == pytest.approx([x / sum(four) for x in four], rel=1e-5)
    assert all(
        "dog" in text for text in DebiasedPrompts(views, keep_words=("dog",)).debias("a smiling dog with a tail")
    )


def test_invalid_models_are_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no config.json"):
        BertViews.load(tmp_path)
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="not a masked language model") as caught:
        BertViews.load(tmp_path)
    assert "\n" not in str(caught.value)
    views = BertViews.load(folder)
    views.tokenizer.mask_token = None
    with pytest.raises(ValueError, match="needs a mask token and the words"):
        BertViews(views.network, views.tokenizer)
