"""Textual inversion: embeddings of new tokens against the embedding matrix changed by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from modeseek.io.remarks import collect_remarks
from modeseek.priors.pipeline import LoRA, TextualInversion

diffusers = pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers
from tiny import load  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
WIDTH = tiny.WIDTH


def vectors(n: int, seed: int = 0, width: int = WIDTH) -> Tensor:
    return 0.3 * torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def write(tensors: dict[str, Tensor], file: Path, token: str = "") -> TextualInversion:
    save_file(tensors, file)
    return TextualInversion(str(file), token)


def encode_by_hand(
    path: Path, before: str, rows: list[Tensor | None], after: str, sdxl: bool = False
) -> dict[str, Tensor]:
    """Conditions of a text whose middle is given as embeddings, in a copy of one row of the embedding matrix each.

    `rows`: embeddings of the middle, (n, width) or (width,), for each text encoder; None: the encoder reads `<x>`.
    """
    kind = diffusers.StableDiffusionXLPipeline if sdxl else diffusers.StableDiffusionPipeline
    pipe = kind.from_pretrained(path, **({} if sdxl else {"safety_checker": None}))
    parts: list[Tensor] = []
    pooled = None
    names = [("tokenizer", "text_encoder"), *([("tokenizer_2", "text_encoder_2")] if sdxl else [])]
    for (tokenizer_name, encoder_name), middle in zip(names, rows, strict=True):
        tokenizer, encoder = getattr(pipe, tokenizer_name), getattr(pipe, encoder_name)
        start, end = (tokenizer(part).input_ids[1:-1] for part in (before, after))
        if middle is None:
            own = tokenizer("<x>").input_ids[1:-1]
        else:
            middle = middle.reshape(-1, WIDTH)
            own = [150 + index for index in range(len(middle))]  # letters that the text does not have
            assert not {*own} & {*start, *end}
            encoder.get_input_embeddings().weight.data[own] = middle
        ids = [tokenizer.bos_token_id, *start, *own, *end, tokenizer.eos_token_id]
        ids += [tokenizer.pad_token_id] * (16 - len(ids))
        with torch.no_grad():
            output = encoder(torch.tensor([ids]), output_hidden_states=True)
        parts.append(output.hidden_states[-2] if sdxl else output.last_hidden_state)
        pooled = getattr(output, "text_embeds", None)
    found = {"text": torch.cat(parts, -1)}
    return found | ({"pooled": pooled} if sdxl and pooled is not None else {})


FORMATS: list[tuple[str, dict[str, Tensor], str, str, str, int]] = [  # name, file, its name, given, token, vectors
    ("one vector", {"<x>": vectors(1)[0]}, "l.safetensors", "", "<x>", 1),
    ("one row", {"<x>": vectors(1)}, "l.safetensors", "", "<x>", 1),
    ("several vectors", {"<x>": vectors(3)}, "l.safetensors", "", "<x>", 3),
    ("another token", {"<y>": vectors(2)}, "l.safetensors", "<x>", "<x>", 2),
    ("AUTOMATIC1111", {"emb_params": vectors(4)}, "XX.safetensors", "", "XX", 4),
    ("capitals, written small", {"emb_params": vectors(3)}, "XX.safetensors", "", "xx", 3),
    ("clip_l alone", {"clip_l": vectors(2)}, "XX.safetensors", "<x>", "<x>", 2),
]


@pytest.mark.slow
@pytest.mark.parametrize(("tensors", "name", "given", "token", "n"), [row[1:] for row in FORMATS],
                         ids=[row[0] for row in FORMATS])  # fmt: skip
def test_a_token_is_its_embeddings(
    tensors: dict[str, Tensor], name: str, given: str, token: str, n: int, folder: Callable[[str], Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    embedding = write(tensors, tmp_path / name, given)
    prior = load(folder("sd"), embeddings=[embedding], long_prompts="chunk" if n in (3, 4) else "cut")
    with collect_remarks() as remarks:
        found = prior.conditions([f"a {token} cone"]).positive["text"]
    want = encode_by_hand(folder("sd"), "a", list(tensors.values()), "cone")["text"]
    assert torch.allclose(found, want, atol=1e-5) and remarks == []


def test_both_text_encoders_of_sdxl(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """Pooled too: transformers pools an old configuration at the largest token, which the new one would be."""
    left, right = vectors(2, 1), vectors(2, 2)
    embedding = write({"clip_l": left, "clip_g": right}, tmp_path / "XX.safetensors", "<x>")
    found = load(folder("sdxl"), embeddings=[embedding]).encode(["a <x> cone"])
    want = encode_by_hand(folder("sdxl"), "a", [left, right], "cone", sdxl=True)
    for key, tensor in want.items():
        assert torch.allclose(found[key], tensor, atol=1e-5), key


def test_pooling_of_an_old_configuration(folder: Callable[[str], Path], tmp_path: Path) -> None:
    import json
    import shutil

    shutil.copytree(folder("sdxl"), path := tmp_path / "sdxl")
    config = json.loads((path / "text_encoder_2" / "config.json").read_text())
    (path / "text_encoder_2" / "config.json").write_text(json.dumps(config | {"eos_token_id": 2}))
    embedding = write({"clip_l": vectors(1), "clip_g": vectors(1)}, tmp_path / "XX.safetensors", "<x>")
    found, want = (load(place, embeddings=[embedding]).encode(["a <x> cone"]) for place in (path, folder("sdxl")))
    assert torch.allclose(found["pooled"], want["pooled"], atol=1e-6)
    assert (found["pooled"] - load(path).encode(["a <x> cone"])["pooled"]).abs().max() > 1e-4


def test_one_of_two_text_encoders_is_a_remark(folder: Callable[[str], Path], tmp_path: Path) -> None:
    embedding = write({"clip_g": vectors(1)}, tmp_path / "XX.safetensors", "<x>")
    with collect_remarks() as remarks:
        prior = load(folder("sdxl"), embeddings=[embedding])
    assert (
        len(remarks) == 1 and "holds no embeddings for text_encoder, which reads its token as plain text" in remarks[0]
    )
    want = encode_by_hand(folder("sdxl"), "a", [None, vectors(1)], "cone", sdxl=True)
    assert torch.allclose(prior.encode(["a <x> cone"])["text"], want["text"], atol=1e-5)


def test_a_token_that_no_prompt_writes_is_a_remark(folder: Callable[[str], Path], tmp_path: Path) -> None:
    used, unused = (write({f"<{x}>": vectors(1)}, tmp_path / f"{x}.safetensors") for x in "xy")
    prior = load(folder("sd"), embeddings=[used, unused])
    for texts, negative, n in ((["a <x>", "red"], None, 1), (["red"], None, 2), (["<x>"], ["<y>"], 0)):
        with collect_remarks() as remarks:
            prior.conditions(texts, negative)
        assert [line for line in remarks if "in no prompt" in line] == remarks and len(remarks) == n
        assert n == 0 or "the token '<y>' of" in remarks[-1]


def test_each_vector_is_a_token_of_the_limit(folder: Callable[[str], Path], tmp_path: Path) -> None:
    prior = load(folder("sd"), embeddings=[write({"<x>": vectors(6)}, tmp_path / "x.safetensors")])
    with collect_remarks() as remarks:
        prior.encode(["<x> abcdefgh"])  # 6 + 8
    assert remarks == []
    with collect_remarks() as remarks:
        prior.encode(["<x> abcdefgh i"])
    assert len(remarks) == 1 and "does not read 'i'" in remarks[0]


def test_embeddings_are_part_of_the_identity(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """A changed file has other conditions, and no prior with it shares those on disk."""
    path, text = tmp_path / "x.safetensors", "a <x>"
    identities, found = [], []
    for tensors, token in (({"<x>": vectors(1)}, ""), ({"<x>": vectors(1, 5)}, ""), ({"<x>": vectors(1, 5)}, "<x")):
        prior = load(folder("sd"), embeddings=[write(tensors, path, token)], cache=tmp_path / "cache")
        identities.append(prior.text_cache.identity)
        found.append(prior.encode([text])["text"])
    plain = load(folder("sd"), cache=tmp_path / "cache")
    identities.append(plain.text_cache.identity)
    found.append(plain.encode([text])["text"])
    assert len(set(identities)) == 4
    assert all((found[i] - found[j]).abs().max() > 1e-4 for i in range(4) for j in range(i))


def test_beside_a_lora(folder: Callable[[str], Path], tmp_path: Path) -> None:
    layer = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
    save_file({f"{layer}.lora_A.weight": vectors(2, 7), f"{layer}.lora_B.weight": vectors(2, 8).T.contiguous()},
              tmp_path / "lora.safetensors")  # fmt: skip
    lora, embedding = LoRA(str(tmp_path / "lora.safetensors")), write({"<x>": vectors(1)}, tmp_path / "x.safetensors")
    options = ({"embeddings": [embedding]}, {"loras": [lora]}, {"embeddings": [embedding], "loras": [lora]})
    found = [load(folder("sd"), **option).encode(["a <x>"])["text"] for option in options]
    assert all((found[i] - found[j]).abs().max() > 1e-5 for i in range(3) for j in range(i))


REFUSED: list[tuple[str, str, dict[str, Tensor], str, str]] = [  # name, pipeline, file, token, line
    ("another width", "sd", {"<x>": vectors(1, width=20)}, "", "<x> is 20 wide, text_encoder is 16 wide"),
    ("no second encoder", "sd", {"clip_l": vectors(1), "clip_g": vectors(1)}, "<x>", "clip_g is for text_encoder_2"),
    ("a token of the vocabulary", "sd", {"re": vectors(1)}, "", "the token 're' of .* must be new"),
    ("two words", "sd", {"emb_params": vectors(1)}, "my cat", "must be one word, got 'my cat'"),
    ("a LoRA", "sd", {"a.lora_A.weight": vectors(1), "a.lora_B.weight": vectors(1)}, "", "got a LoRA: pass it as one"),
    ("a network", "sd", {"a": vectors(1), "b": vectors(1)}, "", "no embeddings of one token"),
    ("nothing", "sd", {}, "", "is no textual inversion"),
    ("an image", "sd", {"a": torch.ones(1, 3, 4)}, "", "no embeddings of one token"),
    ("NaN", "sd", {"<x>": vectors(1) * torch.nan}, "", "must be finite"),
    ("no loader", "sd3", {"clip_l": vectors(1)}, "<x>", "no textual inversion for StableDiffusion3Pipeline"),
    ("pixels", "if", {"<x>": vectors(1)}, "", "no textual inversion for IFPipeline"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "tensors", "token", "line"), [row[1:] for row in REFUSED],
                         ids=[row[0] for row in REFUSED])  # fmt: skip
def test_other_files_are_refused_in_one_line(
    name: str, tensors: dict[str, Tensor], token: str, line: str, folder: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=line) as caught:
        load(folder(name), embeddings=[write(tensors, tmp_path / "x.safetensors", token)]).encode(
            [f"a {token or '<x>'}"]
        )
    assert "\n" not in str(caught.value) and "x.safetensors" in str(caught.value)


def test_files_and_tokens_that_cannot_be(folder: Callable[[str], Path], tmp_path: Path) -> None:
    first = write({"<x>": vectors(1)}, tmp_path / "a.safetensors")
    (tmp_path / "b.pt").write_bytes(b"")
    (tmp_path / "c.safetensors").write_bytes(b"no tensors")
    spaced = write({"emb_params": vectors(1)}, tmp_path / "my cat.safetensors")
    for second, line in (
        (TextualInversion(str(tmp_path / "none.safetensors")), "no such file"),
        (TextualInversion(str(tmp_path / "b.pt")), "pickled files are never read"),
        (TextualInversion(str(tmp_path / "c.safetensors")), "is no safetensors file"),
        (spaced, "must be one word, got 'my cat'"),
        (first, "tokens must differ, got '<x>'"),
        (TextualInversion(first.path, "<x>y"), "tokens must differ, got '<x>' of .* and '<x>y'"),
    ):
        with pytest.raises(ValueError, match=line) as caught:
            load(folder("sd"), embeddings=[first, second])
        assert "\n" not in str(caught.value)
