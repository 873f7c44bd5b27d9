"""Model card of the bundled text-to-image prior."""

from __future__ import annotations

from tools.bundled_priors.recipe import TrainingRecipe
from tools.bundled_priors.training_dir import TrainingDir

_CARD = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
language: en
---

# A small text-to-image model of rendered scenes

{size} x {size} images of one or two simple objects in eight colours, from the viewpoint in the prompt: "a red cone on a
blue cube, side view", "a blue robot head, from 30 degrees left, slightly above". Other prompts are out of its domain.
The format is that of Stable Diffusion, so diffusers' `StableDiffusionPipeline` and `modeseek.Pipeline` load it:

```python
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("this folder")
pipe("a red cone on a blue cube", num_inference_steps={sampling}, guidance_scale={scale:g}, width={size}, height={size})
```

**Sampling.** {sampling} DDIM steps, guidance {scale:g} (1 is none).

**Data.** Scenes rendered by `modeseek.datasets.scenes` during training; no third-party images or texts. What captions
leave open (field of view, light, background, exact positions and sizes) varies by {variety:.0%} of its full range.
About one in twenty combinations of objects, colours and relation is held out for tests. The tokenizer was trained on
the captions and a page of ordinary English that comes with modeseek.

**Model.** Autoencoder {size} x {size} x 3 to {side} x {side} x {latent}: its encoder is linear, the principal
components of patches of {patch} x {patch} pixels, its decoder a small convolutional network; denoiser with channels
{network}, conditioned on the caption by cross-attention and through its normalisations, v-prediction, cosine noise
schedule with zero terminal SNR; CLIP's text encoder, {layers} layers of width {width}, {tokens} tokens. Weights are
stored in half precision.

**Recipe.** `python -m tools.bundled_priors train scenes`: seed {seed}; AdamW, and Muon for the denoiser's
matrices; learning rate to {lr:g} and down to 0 along a half cosine; gradients clipped at 1; {drop:.0%} of captions
dropped; a moving average of weights (decay {decay:g}); bfloat16 products. The text encoder was trained first, on
captions alone, to classify their content; then the decoder, on absolute and squared error and the error of pixel
differences (weight {edge:g}).

**Curves.** `curves.png`; the numbers of this copy:

| | |
|---|---|
| text encoder | {word_steps} steps of {word_batch} captions, {understood:.1%} of held-out captions fully right |
| decoder | {vae_steps} steps of {vae_batch} images, PSNR {psnr:.1f} dB on held-out scenes |
| denoiser | {steps} steps of {batch} images, mean squared error of v {held_out:.4f} on held-out scenes |
| time | {hours:.2f} hours |

**Licence.** Apache-2.0.
"""


def model_card(directory: TrainingDir, recipe: TrainingRecipe) -> str:
    """Text of the model's `README.md`, from its recipe and metrics."""
    rows, model = directory.metrics, recipe.model
    text_rows = [row for row in rows if row["stage"] == "words" and "understood" in row]
    decoder_rows = [row for row in rows if row["stage"] == "autoencoder" and "psnr" in row]
    denoiser_rows = [row for row in rows if row["stage"] == "network"]
    held_out_rows = [row for row in denoiser_rows if "held_out" in row]
    return _CARD.format(
        size=model.size,
        side=model.side,
        latent=model.latent,
        patch=model.patch,
        network=", ".join(map(str, model.network)),
        layers=model.text_layers,
        width=model.text_width,
        tokens=model.tokens,
        sampling=recipe.sampling,
        scale=recipe.scale,
        seed=recipe.seed,
        lr=recipe.network.lr,
        drop=recipe.drop,
        variety=recipe.variety,
        decay=recipe.decay,
        edge=recipe.edge,
        word_steps=text_rows[-1]["step"] if text_rows else 0,
        word_batch=recipe.words.batch,
        understood=text_rows[-1]["understood"] if text_rows else float("nan"),
        vae_steps=decoder_rows[-1]["step"] if decoder_rows else 0,
        vae_batch=recipe.autoencoder.batch,
        psnr=decoder_rows[-1]["psnr"] if decoder_rows else float("nan"),
        steps=denoiser_rows[-1]["step"] if denoiser_rows else 0,
        batch=recipe.network.batch,
        held_out=held_out_rows[-1]["held_out"] if held_out_rows else float("nan"),
        hours=rows[-1]["seconds"] / 3600 if rows else 0.0,
    )
