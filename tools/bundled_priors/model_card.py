"""The model card: what the weights are, what they were made of, and how they are used."""

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

{size} x {size} pictures of simple objects, in eight colours, alone or two together, seen from where the words say:
"a red cone on a blue cube, side view", "a blue robot head, from 30 degrees left, slightly above". It knows nothing
else. It is in Stable Diffusion's own format, so diffusers' `StableDiffusionPipeline` and `modeseek.Pipeline` load it:

```python
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("this folder")
pipe("a red cone on a blue cube", num_inference_steps={sampling}, guidance_scale={scale:g}, width={size}, height={size})
```

**Sampling.** {sampling} DDIM steps, guidance {scale:g} (1 is none).

**Data.** Scenes that `modeseek.datasets.scenes` renders while training goes on; no picture or text of anybody else's
was used. What captions do not tell (lens, light, background, exact places and sizes) strays {variety:.0%} as far from
its middle as that world allows. About one in twenty combinations of objects, colours and relation is held out for
tests. The tokenizer was learned from the captions and a page of ordinary English that comes with modeseek.

**Model.** Autoencoder {size} x {size} x 3 to {side} x {side} x {latent}: its encoder is linear, the principal
components of patches of {patch} x {patch} pixels, its decoder a small convolutional network; denoiser with channels
{network}, told the caption by attention and through its normalisations, v-prediction, cosine noise schedule ending at
no signal; CLIP's text encoder, {layers} layers of width {width}, {tokens} tokens. Weights are stored in half precision.

**Recipe.** `python -m tools.bundled_priors train scenes`: seed {seed}; AdamW, and Muon for the denoiser's
matrices; learning rate to {lr:g} and down to 0 along a half cosine; gradients clipped at 1; {drop:.0%} of captions
left out; a moving average of weights (decay {decay:g}); bfloat16 products. The text encoder was trained first, on
captions alone, to tell what they say; then the decoder, on absolute and squared error and the error of pixel
differences (weight {edge:g}).

**Curves.** `curves.png`; the numbers of this copy:

| | |
|---|---|
| text encoder | {word_steps} steps of {word_batch} captions, understands {understood:.1%} of held-out ones wholly |
| decoder | {vae_steps} steps of {vae_batch} pictures, PSNR {psnr:.1f} dB on held-out scenes |
| denoiser | {steps} steps of {batch} pictures, mean squared error of v {held_out:.4f} on held-out scenes |
| time | {hours:.2f} hours |

**Licence.** Apache-2.0.
"""


def model_card(place: TrainingDir, recipe: TrainingRecipe) -> str:
    """`README.md` of the model in that folder, from its recipe and metrics."""
    rows, model = place.metrics, recipe.model
    worded = [row for row in rows if row["stage"] == "words" and "understood" in row]
    coded = [row for row in rows if row["stage"] == "autoencoder" and "psnr" in row]
    denoised = [row for row in rows if row["stage"] == "network"]
    tested = [row for row in denoised if "held_out" in row]
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
        word_steps=worded[-1]["step"] if worded else 0,
        word_batch=recipe.words.batch,
        understood=worded[-1]["understood"] if worded else float("nan"),
        vae_steps=coded[-1]["step"] if coded else 0,
        vae_batch=recipe.autoencoder.batch,
        psnr=coded[-1]["psnr"] if coded else float("nan"),
        steps=denoised[-1]["step"] if denoised else 0,
        batch=recipe.network.batch,
        held_out=tested[-1]["held_out"] if tested else float("nan"),
        hours=rows[-1]["seconds"] / 3600 if rows else 0.0,
    )
