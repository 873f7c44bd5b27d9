"""Rows on folders that lack weights or files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from which_models.row import ModelRow, Section
from which_models.weights import both, edited, removed, rewrite, sharded, with_bytes, with_extra, without

UNET, TEXT = "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"
AGAIN = "copy or download it again"


def _slow_tokenizer(merges: str) -> object:
    """The tokenizer's files as older pipelines have them: vocab.json and merges.txt."""

    def apply(folder: Path) -> None:
        model = json.loads((folder / "tokenizer/tokenizer.json").read_text())["model"]
        (folder / "tokenizer/tokenizer.json").unlink()
        (folder / "tokenizer/vocab.json").write_text(json.dumps(model["vocab"]))
        (folder / "tokenizer/merges.txt").write_text(merges)

    return apply


def _mixed_index(folder: Path) -> None:
    index = next((folder / "unet").glob("*.index.json"))
    content = json.loads(index.read_text())
    names = sorted(set(content["weight_map"].values()))
    moved = {key: names[0] for key in content["weight_map"]}
    index.write_text(json.dumps(content | {"weight_map": moved}))


INCOMPLETE = Section(
    "Incomplete folders",
    "Every key of every component is compared with its configuration before anything is encoded or cached, by the "
    "rules of diffusers and transformers: tied weights, older names and keys that they ignore are accepted.",
    (
        ModelRow(
            "CLIP with `position_ids`, of an older transformers",
            change=with_extra("text_encoder", "text_model.embeddings.position_ids"),
        ),
        ModelRow(
            "T5 with its tied embedding stored twice",
            base="sd3",
            change=rewrite("text_encoder_3", lambda w: w | {"encoder.embed_tokens.weight": w["shared.weight"].clone()}),
        ),
        ModelRow(
            "T5 with its tied embedding under the other name",
            base="pixart",
            change=rewrite("text_encoder", lambda w: w | {"encoder.embed_tokens.weight": w.pop("shared.weight")}),
        ),
        ModelRow(
            "a network that lacks weights",
            change=without("unet", "mid_block"),
            line="lacks the weights of mid_block",
            note=AGAIN,
        ),
        ModelRow(
            "an autoencoder that lacks weights",
            change=without("vae", "decoder.mid_block"),
            line="lacks the weights of decoder.mid_block",
        ),
        ModelRow(
            "a text encoder that lacks weights",
            change=without("text_encoder", "layers.1."),
            line="lacks the weights of encoder.layers.1",
        ),
        ModelRow(
            "a second text encoder without its projection",
            base="sdxl",
            change=without("text_encoder_2", "text_projection"),
            line="lacks the weights of text_projection.weight",
        ),
        ModelRow(
            "a T5 without its embedding",
            base="sd3",
            change=without("text_encoder_3", "shared"),
            line="lacks the weights of encoder.embed_tokens.weight, shared.weight",
        ),
        ModelRow(
            "weights under other names",
            change=rewrite("text_encoder", lambda w: {f"my.{key}": value for key, value in w.items()}),
            line="holds weights of no layer of its configuration: my.",
        ),
        ModelRow(
            "weights of no layer",
            change=with_extra("unet", "extra.weight"),
            line="holds weights of no layer of its configuration: extra.weight",
        ),
        ModelRow(
            "weights of another shape",
            change=rewrite("unet", lambda w: w | {"conv_in.weight": torch.zeros(8, 4, 1, 1)}),
            line="has another shape in conv_in.weight (8 x 4 x 1 x 1, not 8 x 4 x 3 x 3)",
        ),
        ModelRow(
            "a cut file",
            change=with_bytes(UNET, lambda content: content[:-100]),
            line="holds no safetensors: it is damaged or cut",
            note=AGAIN,
        ),
        ModelRow(
            "a cut text encoder",
            change=with_bytes(TEXT, lambda content: content[:-100]),
            line="holds no safetensors: it is damaged or cut",
        ),
        ModelRow(
            "an empty file",
            change=with_bytes("vae/diffusion_pytorch_model.safetensors", lambda content: b""),
            line="holds no safetensors",
        ),
        ModelRow(
            "a Git LFS pointer",
            change=with_bytes(UNET, lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
            line="is a Git LFS pointer",
            note="`git lfs pull`",
        ),
        ModelRow(
            "a missing shard",
            change=both(sharded("unet"), removed("unet/diffusion_pytorch_model-00002-of-00003.safetensors")),
            line="is missing: diffusion_pytorch_model.safetensors.index.json names it",
        ),
        ModelRow(
            "an index that does not fit its shards",
            change=both(sharded("unet"), _mixed_index),
            line="does not fit its shard",
        ),
        ModelRow(
            "a damaged index",
            change=both(
                sharded("unet"),
                with_bytes("unet/diffusion_pytorch_model.safetensors.index.json", lambda content: b"[]"),
            ),
            line="is damaged: it holds no JSON object",
        ),
        ModelRow(
            "shards without an index",
            change=both(sharded("unet"), removed("unet/diffusion_pytorch_model.safetensors.index.json")),
            line="holds shards without their index",
        ),
        ModelRow(
            "no `config.json`", change=removed("unet/config.json"), line="config.json cannot be read: No such file"
        ),
        ModelRow(
            "a missing folder",
            change=lambda folder: shutil.rmtree(folder / "vae"),
            line="is missing: model_index.json names it",
        ),
        ModelRow("no weights in a folder", change=removed(TEXT), line="holds no weights: expected model.safetensors"),
        ModelRow(
            "no text encoder in `model_index.json`",
            change=edited("model_index.json", text_encoder=[None, None]),
            line="lacks text_encoder",
        ),
        ModelRow(
            "SD3 with T5's tokenizer but no T5",
            base="sd3",
            change=edited("model_index.json", text_encoder_3=[None, None]),
            line="lacks text_encoder_3",
        ),
        ModelRow(
            "a tokenizer without its vocabulary", change=removed("tokenizer/tokenizer.json"), line="has no vocabulary"
        ),
        ModelRow(
            "a tokenizer without merges",
            change=both(_slow_tokenizer(""), removed("tokenizer/merges.txt")),
            line="cannot be loaded as a CLIPTokenizer",
        ),
        ModelRow(
            "a tokenizer with cut merges",
            change=_slow_tokenizer("#version: 0.2\nr e\n"),
            line="lacks the merges of red</w>",
        ),
        ModelRow(
            "a damaged vocabulary",
            change=with_bytes("tokenizer/tokenizer.json", lambda content: content[:-30]),
            line="cannot be loaded as a CLIPTokenizer",
        ),
        ModelRow(
            "no `tokenizer_config.json`",
            change=removed("tokenizer/tokenizer_config.json"),
            line="tokenizer_config.json is missing",
        ),
        ModelRow(
            "another model's tokenizer",
            change=both(
                edited("text_encoder/config.json", vocab_size=150),
                rewrite(
                    "text_encoder",
                    lambda w: (
                        w | {"embeddings.token_embedding.weight": w["embeddings.token_embedding.weight"][:150].clone()}
                    ),
                ),
            ),
            line="has 192 tokens, more than the 150 of its text encoder",
        ),
        ModelRow(
            "a text encoder of another model",
            change=edited("unet/config.json", cross_attention_dim=24),
            line="takes texts of width 24 (cross_attention_dim), but text_encoder give 16",
        ),
    ),
    "tests/priors/pipeline/test_model_folders.py::test_rows_of_model_folders",
)
