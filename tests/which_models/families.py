"""Families of pipelines, each compared with the sampler of diffusers."""

from __future__ import annotations

from which_models.row import ModelRow, Section

NAMES = {
    "sd": "Stable Diffusion",
    "sd-v": "Stable Diffusion",
    "sd-v-zero-snr": "Stable Diffusion",
    "sdxl": "Stable Diffusion XL",
    "if": "DeepFloyd IF",
    "sd3": "Stable Diffusion 3",
    "flux": "Flux",
    "flux-schnell": "Flux",
    "pixart": "PixArt",
}
"""Names of the pipelines that rows are based on, for the page."""
_PROMPT = "CLIP, 77 tokens"
FAMILIES = Section(
    "Families",
    "The class in `model_index.json` decides. For each family, sampling with its diffusers pipeline agrees with "
    "modeseek's DDIM from the same noise and weights; DreamBooth and other full fine-tunes are ordinary folders. Other "
    "classes are rejected, with the list of supported ones.",
    (
        ModelRow("`StableDiffusionPipeline`, eps (Stable Diffusion 1 and 2 base)", "sd", note=_PROMPT),
        ModelRow("`StableDiffusionPipeline`, v (Stable Diffusion 2)", "sd-v", note=_PROMPT),
        ModelRow("`StableDiffusionPipeline`, v with zero terminal SNR", "sd-v-zero-snr", note=_PROMPT),
        ModelRow("`StableDiffusionXLPipeline`", "sdxl", note="two CLIP encoders, 77 tokens; sizes and crops are full"),
        ModelRow("`IFPipeline`, stage I", "if", note="pixels; T5, 77 tokens"),
        ModelRow("`StableDiffusion3Pipeline`", "sd3", note="CLIP, 77 tokens, and T5, 256 tokens"),
        ModelRow("`FluxPipeline`, guidance distilled (dev)", "flux", note="CLIP, 77 tokens, and T5, 512 tokens"),
        ModelRow(
            "`FluxPipeline`, without guidance (schnell)", "flux-schnell", note="CLIP, 77 tokens, and T5, 512 tokens"
        ),
        ModelRow("`PixArtAlphaPipeline`, `PixArtSigmaPipeline`", "pixart", note="T5, 120 or 300 tokens"),
    ),
    "tests/priors/pipeline/test_pipeline.py::test_our_ddim_is_the_sampler_of_diffusers",
)
