"""Small text-to-image model in the format of Stable Diffusion: configuration and construction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_START, _END = "<|startoftext|>", "<|endoftext|>"
_LAST = "</w>"  # end-of-word marker of CLIP's files
_SCALING = 2.0  # keeps the decoder's input below 3, where it begins to clip
_PRIVATE = 0xE000  # start of Unicode's private use area


@dataclass(frozen=True)
class SmallModelConfig:
    """Sizes of the model; the defaults train on two CPU cores within two hours.

    Attributes:
        size: side of the images, pixels.
        latent: channels of z, principal components of patches.
        decoder: number of decoder blocks at each resolution, coarsest first; each level doubles the side.
        width: channels of the decoder.
        network: channels of the denoiser at each resolution of z.
        attention: whether each resolution has cross-attention to the text and self-attention.
        head: channels per attention head.
        layers: residual blocks per resolution of the denoiser.
        text_width: width of the text embeddings.
        text_layers: number of layers of the text encoder.
        text_heads: attention heads of the text encoder.
        tokens: maximum number of tokens, start and end included.
        vocabulary: number of learned tokens, beside the 512 that spell any byte.
        groups: groups of the group normalisations.
    """

    size: int = 64
    latent: int = 8
    decoder: tuple[int, ...] = (4, 3, 1)
    width: int = 32
    network: tuple[int, ...] = (64, 128, 192)
    attention: tuple[bool, ...] = (False, True, True)
    head: int = 32
    layers: int = 1
    text_width: int = 192
    text_layers: int = 3
    text_heads: int = 6
    tokens: int = 32
    vocabulary: int = 700
    groups: int = 8

    @property
    def side(self) -> int:
        """Side of z."""
        return self.size // self.patch

    @property
    def patch(self) -> int:
        """Side of the patch of one position of z, pixels."""
        return 2 ** (len(self.decoder) - 1)


@dataclass(frozen=True)
class ModelParts:
    """Components of the model, from `diffusers` and `transformers`.

    Attributes:
        tokenizer: text to token ids.
        text_encoder: token ids to embeddings (b, tokens, text_width).
        vae: pixels to z and back.
        unet: z_t, time and text embeddings to v.
    """

    tokenizer: Any
    text_encoder: Any
    vae: Any
    unet: Any

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids of texts, (n, tokens), truncated and padded to one length."""
        length = self.tokenizer.model_max_length
        encoding = self.tokenizer(list(texts), padding="max_length", max_length=length, truncation=True)
        return torch.tensor(encoding["input_ids"])


def write_tokenizer(folder: Path, config: SmallModelConfig, texts: Sequence[str]) -> None:
    """Writes a byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909) of texts in CLIP's file format.

    All 256 bytes are tokens, within a word and at its end, so that no text is unknown. Equal texts give equal files.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    normal = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    words = pre_tokenizers.Split(Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), behavior="removed", invert=True)
    spelled = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    # One character per byte at the end of a word, by whose code point ties are broken.
    last = {letter: chr(_PRIVATE + ord(letter)) for letter in letters}

    def with_word_ends(text: str) -> str:
        pieces = [piece for piece, _ in spelled.pre_tokenize_str(normal.normalize_str(text))]
        return " ".join(piece[:-1] + last[piece[-1]] for piece in pieces)

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    alphabet = [*letters, *last.values()]
    size = len(alphabet) + config.vocabulary
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    learner.train_from_iterator(map(with_word_ends, texts), trainer)
    back = str.maketrans({sign: letter + _LAST for letter, sign in last.items()})
    pairs = [(left.translate(back), right.translate(back)) for left, right in _merges(learner)]
    pieces = [*letters, *(letter + _LAST for letter in letters), *(left + right for left, right in pairs)]
    pieces = [*dict.fromkeys(pieces), _START, _END]
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in pairs)]
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": config.tokens, "pad_token": _END}
    settings |= {"bos_token": _START, "eos_token": _END, "unk_token": _END}
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def _merges(learner: Any) -> list[tuple[str, str]]:
    merges = json.loads(learner.to_str())["model"]["merges"]
    return [(left, right) for left, right in (m.split(" ") if isinstance(m, str) else m for m in merges)]


def build_model(config: SmallModelConfig, tokenizer: Path, seed: int) -> ModelParts:
    """Builds the model with random weights, float32, on the CPU; the global random state is unchanged.

    Args:
        config: sizes of the model.
        tokenizer: folder written by `write_tokenizer`.
        seed: random seed of the weights.
    """
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    clip_tokenizer: Any = CLIPTokenizer.from_pretrained(tokenizer)
    text = CLIPTextConfig(
        vocab_size=len(clip_tokenizer),
        hidden_size=config.text_width,
        intermediate_size=3 * config.text_width,
        projection_dim=config.text_width,
        num_hidden_layers=config.text_layers,
        num_attention_heads=config.text_heads,
        max_position_embeddings=config.tokens,
        bos_token_id=clip_tokenizer.bos_token_id,
        eos_token_id=clip_tokenizer.eos_token_id,
        pad_token_id=clip_tokenizer.pad_token_id,
    )
    levels = len(config.decoder)
    vae_config: dict[str, Any] = {
        "encoder_block_out_channels": (3 * config.patch**2,) * levels,
        "num_encoder_blocks": (0,) * levels,
        "decoder_block_out_channels": (config.width,) * levels,
        "num_decoder_blocks": config.decoder,
        "latent_channels": config.latent,
        "scaling_factor": _SCALING,
    }
    unet_config: dict[str, Any] = {
        "sample_size": config.side,
        "in_channels": config.latent,
        "out_channels": config.latent,
        "block_out_channels": config.network,
        "down_block_types": tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in config.attention),
        "up_block_types": tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(config.attention)),
        "layers_per_block": config.layers,
        "attention_head_dim": config.head,
        "cross_attention_dim": config.text_width,
        "norm_num_groups": config.groups,
        "use_linear_projection": True,
        "resnet_time_scale_shift": "scale_shift",
        "addition_embed_type": "text",
        "addition_embed_type_num_heads": config.text_heads,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder, vae, unet = CLIPTextModel(text), AutoencoderTiny(**vae_config), UNet2DConditionModel(**unet_config)
    return ModelParts(clip_tokenizer, encoder, vae, unet)


def scheduler() -> Any:
    """DDIM scheduler with the cosine schedule (Nichol and Dhariwal 2021, arXiv:2102.09672) and zero terminal SNR.

    Rescaling, v-prediction and trailing steps follow Lin et al. 2023 (arXiv:2305.08891).
    """
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,  # without effect on trailing steps; diffusers warns about other values
    )


def alpha_squared_levels() -> Tensor:
    """alpha^2 of the schedule, (1000,), from almost clean to zero signal."""
    return scheduler().alphas_cumprod.clone()


def use_plain_attention(module: nn.Module) -> None:
    """Switches a module to unfused attention, which is faster on a CPU for training heads this small."""
    from diffusers.models.attention_processor import AttnProcessor

    if hasattr(module, "set_attn_processor"):
        module.set_attn_processor(AttnProcessor())  # pyright: ignore[reportCallIssue]
    else:
        module.set_attn_implementation("eager")  # pyright: ignore[reportCallIssue]
