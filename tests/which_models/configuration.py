"""Configuration of networks and autoencoders: fields that change numbers, honoured or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from which_models.row import ModelRow, Section
from which_models.schedulers import edit

MEAN, STD = [0.1, -0.2, 0.3, 0.0], [0.5, 1.5, 2.0, 1.0]


def fields(file: str, **values: Any) -> Callable[[Path], None]:
    """Change of a folder: fields of one JSON file."""
    return lambda folder: edit(folder, file, **values)


def another_unet(**config: Any) -> Callable[[Path], None]:
    """Change of a folder: a U-Net of another configuration, with weights of its own."""

    def change(folder: Path) -> None:
        import tiny
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(1)
            tiny.unet(**config).save_pretrained(folder / "unet")

    return change


def another_autoencoder(name: str, **config: Any) -> Callable[[Path], None]:
    """Change of a folder: another class of autoencoders."""

    def change(folder: Path) -> None:
        import shutil

        import diffusers
        import torch

        shutil.rmtree(folder / "vae")
        with torch.random.fork_rng():
            torch.manual_seed(1)
            getattr(diffusers, name)(**config).save_pretrained(folder / "vae")
        edit(folder, "model_index.json", vae=["diffusers", name])

    return change


TINY: dict[str, Any] = {
    "encoder_block_out_channels": (8, 8),
    "decoder_block_out_channels": (8, 8),
    "num_encoder_blocks": (1, 1),
    "num_decoder_blocks": (1, 1),
}
ASYMMETRIC: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "norm_num_groups": 4,
    "down_block_out_channels": (8, 16),
    "up_block_out_channels": (8, 16),
}
VAE, UNET, TRANSFORMER, INDEX = "vae/config.json", "unet/config.json", "transformer/config.json", "model_index.json"
CONFIGURATION = Section(
    "Networks and autoencoders",
    "Configuration fields that change results are applied as in diffusers' pipelines, or rejected. Captions are "
    "never cleaned (`clean_caption`), whatever is installed, and resolutions are not binned.",
    (
        ModelRow("a U-Net that predicts a variance too", "if", note="the variance is ignored"),
        ModelRow("a transformer that predicts a variance too", "pixart", note="the variance is ignored"),
        ModelRow(
            "a U-Net with `time_cond_proj_dim`",
            "sd",
            another_unet(time_cond_proj_dim=8),
            note="`guidance` is embedded, as in Flux; try 7.5",
        ),
        ModelRow("Flux with `guidance_embeds`", "flux", note="`guidance` is embedded, 3.5 by default"),
        ModelRow("Flux without `guidance_embeds` (schnell)", "flux-schnell", note="`guidance` has no effect"),
        ModelRow(
            "`force_zeros_for_empty_prompt` false",
            "sdxl",
            fields(INDEX, force_zeros_for_empty_prompt=False),
            note="the null condition is that of the empty text; else it is zeros",
        ),
        ModelRow("`scaling_factor`", "sd", fields(VAE, scaling_factor=0.7), note="of the latents"),
        ModelRow(
            "`scaling_factor` and `shift_factor`",
            "sd3",
            fields(VAE, scaling_factor=1.3, shift_factor=0.3),
            note="of the latents",
        ),
        ModelRow(
            "`latents_mean` and `latents_std`",
            "sdxl",
            fields(VAE, latents_mean=MEAN, latents_std=STD),
            note="of each channel of the latents",
        ),
        ModelRow("`AutoencoderTiny`", "sd", another_autoencoder("AutoencoderTiny", **TINY), note="without a posterior"),
        ModelRow("another `sample_size`", "sd", fields(UNET, sample_size=[8, 16]), note="the default size"),
        ModelRow(
            "`latents_mean` alone",
            "sdxl",
            fields(VAE, latents_mean=MEAN),
            line="latents_mean and latents_std must both have a number per channel",
        ),
        ModelRow(
            "`latents_std` with a 0",
            "sdxl",
            fields(VAE, latents_mean=MEAN, latents_std=[1, 1, 0, 1]),
            line="latents_mean and latents_std must both have a number per channel",
        ),
        *(
            ModelRow(
                "`latents_mean` and `latents_std`",
                base,
                fields(VAE, latents_mean=MEAN, latents_std=STD),
                line=f"which a {kind} does not use; set both to null",
            )
            for base, kind in (
                ("sd", "StableDiffusionPipeline"),
                ("sd3", "StableDiffusion3Pipeline"),
                ("pixart", "PixArtSigmaPipeline"),
            )
        ),
        *(
            ModelRow("`shift_factor`", base, fields(VAE, shift_factor=0.1), line="got shift_factor 0.1, which a ")
            for base in ("sd", "sdxl", "pixart")
        ),
        *(
            ModelRow("no `shift_factor`", base, fields(VAE, shift_factor=None), line="needs a shift_factor, got none")
            for base in ("sd3", "flux")
        ),
        *(
            ModelRow(
                f"`scaling_factor` {value}",
                "sd",
                fields(VAE, scaling_factor=value),
                line="scaling_factor must be a number above 0, got ",
            )
            for value in (0, "0.18", None)
        ),
        ModelRow(
            "`AsymmetricAutoencoderKL`",
            "sd",
            another_autoencoder("AsymmetricAutoencoderKL", **ASYMMETRIC),
            line="the autoencoder is a AsymmetricAutoencoderKL; supported are AutoencoderKL and AutoencoderTiny",
        ),
        ModelRow(
            "`class_embed_type`",
            "sd",
            fields(UNET, class_embed_type="timestep"),
            line="got class_embed_type 'timestep'; a StableDiffusionPipeline gives its network no classes",
        ),
        ModelRow("`num_class_embeds`", "sd", fields(UNET, num_class_embeds=10), line="got num_class_embeds 10; a "),
        ModelRow(
            "a U-Net of Stable Diffusion XL in a folder of Stable Diffusion 1",
            "sd",
            fields(UNET, addition_embed_type="text_time"),
            line="a StableDiffusionPipeline needs addition_embed_type None or text, got 'text_time'",
        ),
        ModelRow(
            "a U-Net of Stable Diffusion 1 in a folder of Stable Diffusion XL",
            "sdxl",
            fields(UNET, addition_embed_type=None),
            line="a StableDiffusionXLPipeline needs addition_embed_type text_time, got None",
        ),
        ModelRow(
            "a network conditioned on images (`encoder_hid_dim_type`)",
            "sd",
            fields(UNET, encoder_hid_dim_type="image_proj"),
            line="got encoder_hid_dim_type 'image_proj'; only text",
        ),
        ModelRow(
            "a network conditioned on boxes (GLIGEN)",
            "sd",
            fields(UNET, attention_type="gated"),
            line="got attention_type 'gated'; only 'default' is supported",
        ),
        ModelRow(
            "the refiner of Stable Diffusion XL",
            "sdxl",
            fields(UNET, projection_class_embeddings_input_dim=16 + 5 * 8),
            line="it takes 5 numbers of size and crop",
        ),
        ModelRow(
            "`requires_aesthetics_score`",
            "sdxl",
            fields(INDEX, requires_aesthetics_score=True),
            line="is a refiner (requires_aesthetics_score), not supported; try its base model",
        ),
        ModelRow(
            "other `out_channels`",
            "sd",
            fields(UNET, out_channels=5),
            line="got out_channels 5 for in_channels 4; it predicts something else than its input",
        ),
        ModelRow(
            "another `patch_size`",
            "sd3",
            fields(TRANSFORMER, patch_size=4),
            line="got patch_size 4; a StableDiffusion3Pipeline has 2",
        ),
        ModelRow(
            "a patched Flux", "flux", fields(TRANSFORMER, patch_size=2), line="got patch_size 2; a FluxPipeline has 1"
        ),
    ),
    "tests/priors/pipeline/test_configuration_checks.py::test_every_field_is_honoured_or_refused",
)
