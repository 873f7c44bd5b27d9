"""Tiny Stable Diffusion in its authors' single-file format: the inverse of diffusers' conversion, written out here."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

# The U-Net and the autoencoder of tiny.py: two levels, one layer each; two on the way up.
_UNET = {
    "conv_in.": "input_blocks.0.0.",
    "time_embedding.linear_1.": "time_embed.0.",
    "time_embedding.linear_2.": "time_embed.2.",
    "down_blocks.0.resnets.0.": "input_blocks.1.0.",
    "down_blocks.0.downsamplers.0.conv.": "input_blocks.2.0.op.",
    "down_blocks.1.resnets.0.": "input_blocks.3.0.",
    "down_blocks.1.attentions.0.": "input_blocks.3.1.",
    "mid_block.resnets.0.": "middle_block.0.",
    "mid_block.attentions.0.": "middle_block.1.",
    "mid_block.resnets.1.": "middle_block.2.",
    "up_blocks.0.resnets.0.": "output_blocks.0.0.",
    "up_blocks.0.attentions.0.": "output_blocks.0.1.",
    "up_blocks.0.resnets.1.": "output_blocks.1.0.",
    "up_blocks.0.attentions.1.": "output_blocks.1.1.",
    "up_blocks.0.upsamplers.0.": "output_blocks.1.2.",
    "up_blocks.1.resnets.0.": "output_blocks.2.0.",
    "up_blocks.1.resnets.1.": "output_blocks.3.0.",
    "conv_norm_out.": "out.0.",
    "conv_out.": "out.2.",
}
_RESNET = {
    ".norm1.": ".in_layers.0.",
    ".conv1.": ".in_layers.2.",
    ".time_emb_proj.": ".emb_layers.1.",
    ".norm2.": ".out_layers.0.",
    ".conv2.": ".out_layers.3.",
    ".conv_shortcut.": ".skip_connection.",
}
_VAE = {
    "encoder.down_blocks.0.resnets.0.": "encoder.down.0.block.0.",
    "encoder.down_blocks.0.downsamplers.0.": "encoder.down.0.downsample.",
    "encoder.down_blocks.1.resnets.0.": "encoder.down.1.block.0.",
    "decoder.up_blocks.0.resnets.": "decoder.up.1.block.",
    "decoder.up_blocks.0.upsamplers.0.": "decoder.up.1.upsample.",
    "decoder.up_blocks.1.resnets.": "decoder.up.0.block.",
    ".mid_block.resnets.0.": ".mid.block_1.",
    ".mid_block.resnets.1.": ".mid.block_2.",
    ".mid_block.attentions.0.": ".mid.attn_1.",
    ".conv_norm_out.": ".norm_out.",
    ".conv_shortcut.": ".nin_shortcut.",
}
_VAE_ATTENTION = {
    ".group_norm.": ".norm.",
    ".to_q.": ".q.",
    ".to_k.": ".k.",
    ".to_v.": ".v.",
    ".to_out.0.": ".proj_out.",
}


def _renamed(name: str, table: dict[str, str]) -> str:
    for new, old in table.items():
        name = name.replace(new, old, 1)
    return name


def _unet_name(name: str) -> str:
    start = next(new for new in _UNET if name.startswith(new))
    rest = name.removeprefix(start)
    if ".resnets." in f".{start}":
        rest = _renamed(f".{rest}", _RESNET).removeprefix(".")
    return f"model.diffusion_model.{_UNET[start]}{rest}"


def _vae_tensor(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    name = _renamed(name, _VAE)
    if ".attn_1." in name:
        name = _renamed(name, _VAE_ATTENTION)
        if ".norm." not in name and name.endswith("weight"):
            tensor = tensor[:, :, None, None]  # a 1 x 1 convolution there
    return f"first_stage_model.{name}", tensor


def original_tensors(folder: Path) -> dict[str, Tensor]:
    """Tensors of a tiny Stable Diffusion under the names of its authors' format."""
    found: dict[str, Tensor] = {}
    for name, tensor in load_file(folder / "unet/diffusion_pytorch_model.safetensors").items():
        found[_unet_name(name)] = tensor
    for name, tensor in load_file(folder / "vae/diffusion_pytorch_model.safetensors").items():
        key, value = _vae_tensor(name, tensor)
        found[key] = value.contiguous()
    for name, tensor in load_file(folder / "text_encoder/model.safetensors").items():
        found[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    return found


def write_checkpoint(folder: Path, file: Path) -> Path:
    """Writes a tiny Stable Diffusion as one file and returns its path."""
    save_file(original_tensors(folder), file, metadata={"format": "pt"})
    return file
