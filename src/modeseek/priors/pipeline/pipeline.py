"""Text-to-image pipelines of diffusers as priors."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modeseek.codec import ImageCodec, RangeCodec
from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import Discrete, Flow
from modeseek.priors.base import BasePrior, Conditions, PerRow, Rows, positive_condition
from modeseek.priors.pipeline.architectures import EncodedTexts, PipelineFamily
from modeseek.priors.pipeline.loading import (
    TEXT_ENCODERS,
    UNUSED_COMPONENTS,
    check_tokenizers,
    family_of,
    find_pipeline_folder,
    model_index,
    open_pipeline,
)
from modeseek.priors.pipeline.log_snr_matching import PredictionType, predict_from_flow, predict_from_levels
from modeseek.priors.pipeline.lora import LoRA, merge_into_network, merge_into_text_encoders, text_encoder_identity
from modeseek.priors.pipeline.memory_options import MemoryOptions, apply_memory_options
from modeseek.priors.pipeline.text_cache import TextCache, cache_folder, hash_text_encoders
from modeseek.priors.pipeline.vae import VAECodec, downscale
from modeseek.pytree import Cond, expand, map_tensors

_PLAIN = MemoryOptions()
_PREDICTION_TYPES: dict[str, PredictionType] = {"epsilon": "eps", "v_prediction": "v", "sample": "z"}


class Pipeline(BasePrior):
    """Text-to-image pipeline of diffusers as a prior, defined at every noise level; predictions are float32.

    Stable Diffusion 1 and 2 (eps, v, zero terminal SNR), SDXL, DeepFloyd IF stage I, Stable Diffusion 3, Flux and
    PixArt, chosen by the class in the folder's `model_index.json`. One network call per row, unguided (see `Guided`).
    cond is a result of `encode`; a `Conditions` is a result of `conditions`.

    Attributes:
        schedule: noise schedule: the discrete training levels, or a flow shifted for the resolution.
        prediction_type: parametrisation of the network output: eps, v, z or flow.
        shape: shape of z: latents, or pixels in [-1, 1].
        codec: codec between pixels in [0, 1] and z.
        guidance: embedded guidance scale of models that take one (Flux); ignored by others.
    """

    def __init__(
        self,
        pipe: Any,
        family: PipelineFamily,
        shape: tuple[int, ...],
        text_cache: TextCache,
        guidance: float = 3.5,
        economy: MemoryOptions = _PLAIN,
        device: torch.device | None = None,
    ) -> None:
        self.pipe, self.family, self.shape, self.text_cache, self.guidance = pipe, family, shape, text_cache, guidance
        self.network = getattr(pipe, family.network).eval().requires_grad_(False)
        self.dtype, self.economy = torch.float32, economy
        self._network_dtype = self.network.dtype  # read once: diffusers' property walks all weights
        self.device = next(self.network.parameters()).device if device is None else device
        flows = family.kind == "flow"
        self.schedule: Discrete | Flow = _flow(pipe, shape) if flows else _levels(pipe)
        self.prediction_type: PredictionType = "flow" if flows else _prediction_type(pipe)
        self.codec: ImageCodec = RangeCodec(-1.0, 1.0)
        if family.latent:
            vae = pipe.vae.eval().requires_grad_(False)
            shift = getattr(vae.config, "shift_factor", None) or 0.0
            self.codec = VAECodec(vae, vae.config.scaling_factor, shift, recompute=economy.recompute)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        size: int | tuple[int, int] | None = None,
        guidance: float = 3.5,
        loras: Sequence[LoRA] = (),
        economy: MemoryOptions = _PLAIN,
        cache: str | os.PathLike[str] | None | bool = True,
    ) -> Pipeline:
        """Loads the network and the autoencoder; text encoders are loaded only while encoding new texts.

        Args:
            path: name of a prior that ships with modeseek ("scenes" or "emoji"), folder written by `save_pretrained`
                (fully fine-tuned DreamBooth models included), or repository name on the hub. A folder whose name is
                that of a bundled prior is "./emoji", or a `Path`.
            device: device of the network and the autoencoder.
            dtype: dtype of the network; default bfloat16 on CUDA, else float32. With float16, which it overflows, the
                autoencoder stays in float32.
            size: image size in pixels, (height, width) or the side of a square; default the training size.
            guidance: embedded guidance scale, for models that take one.
            loras: LoRA files (DreamBooth LoRA included), merged into network and text encoders in this order.
            economy: memory and speed options; none changes a direction beyond rounding.
            cache: folder for encoded texts; True is the user's cache folder, None or False keeps them in memory.

        Raises:
            ValueError: no pipeline, an unsupported class, pickled weights only, or a size, a LoRA or an option that
                does not fit.
        """
        folder = find_pipeline_folder(path)
        family, name = family_of(folder)
        target = torch.device(device)
        dtype = (torch.bfloat16 if target.type == "cuda" else torch.float32) if dtype is None else dtype
        names = set(model_index(folder))
        pipe = open_pipeline(
            folder, name, dtype, {key: None for key in (*TEXT_ENCODERS, *UNUSED_COMPONENTS) if key in names}
        )
        network = getattr(pipe, family.network)
        for lora in loras:
            merge_into_network(pipe, network, lora)
        if family.latent and dtype == torch.float16:
            pipe.vae.to(torch.float32)
        shape = z_shape(family, dict(network.config), dict(pipe.vae.config) if family.latent else None, size)
        apply_memory_options(network, pipe.vae if family.latent else None, target, economy)
        cache_dir = cache_folder() if cache is True else None if cache is None or cache is False else Path(cache)

        def encode(texts: Sequence[str]) -> EncodedTexts:
            without = {key: None for key in (family.network, "vae", *UNUSED_COMPONENTS) if key in names}
            encoders = open_pipeline(folder, name, dtype, without)
            check_tokenizers(encoders, folder)
            for lora in loras:
                merge_into_text_encoders(encoders, lora)
            with torch.no_grad():
                return family.encode(encoders.to(target), texts)

        identity = text_encoder_identity(f"{name}:{dtype}:{hash_text_encoders(folder)}", loras)
        return cls(pipe, family, shape, TextCache(encode, identity, cache_dir), guidance, economy, target)

    @property
    def takes_text(self) -> bool:
        return True

    def at(self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None) -> Prediction:
        if z_t.requires_grad and self.economy.offload != "none":
            raise ValueError(
                f"an offloaded network cannot be differentiated: got offload {self.economy.offload!r}; use none for "
                "Jacobian products and certificates"
            )
        expanded = self._expanded(positive_condition(cond), len(z_t))

        def call_network(z: Tensor, time: Tensor) -> Tensor:
            own = z.to(self._network_dtype)
            with torch.set_grad_enabled(z.requires_grad):
                output = self.family.predict(self.pipe, own, time.float(), expanded, self.guidance)
            return output[:, : self.shape[0]].to(z)

        if isinstance(self.schedule, Flow):
            return predict_from_flow(call_network, z_t, alpha, sigma)
        return predict_from_levels(call_network, self.prediction_type, self.schedule, z_t, alpha, sigma)

    def encode(self, texts: Sequence[str]) -> Cond:
        """Returns the conditions of texts, (len(texts), ...); no prior call, and no encoding of cached texts."""
        if isinstance(texts, str):
            raise TypeError(f"encode takes a list of texts, got one string {texts[:40]!r}; try [text]")
        return self._to_device(self.text_cache(list(texts)))

    def conditions(self, texts: Sequence[str], negative: Sequence[str] | None = None) -> Conditions:
        """Returns the `Conditions` of guided priors: the texts, the empty text, and negative prompts if given."""
        return Conditions(
            self.encode(texts),
            null=self._to_device(self.text_cache.null()),
            negative=None if negative is None else self.encode(negative),
        )

    def _expanded(self, cond: Cond, n: int) -> Cond:
        return expand(self._to_device(self.text_cache.null()) if cond is None else cond, n)

    def _to_device(self, cond: Cond) -> Cond:
        return map_tensors(lambda x: x.to(self.device, self._network_dtype if x.is_floating_point() else None), cond)


def _levels(pipe: Any) -> Discrete:
    """Returns the training levels of any scheduler; the last is -inf at zero terminal SNR."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    scheduler: Any = DDIMScheduler.from_config(pipe.scheduler.config)
    return Discrete.from_alphas_cumprod(scheduler.alphas_cumprod)


def _prediction_type(pipe: Any) -> PredictionType:
    """Returns the parametrisation of the network output at the training levels."""
    name = pipe.scheduler.config.get("prediction_type", "epsilon")
    if name not in _PREDICTION_TYPES:
        raise ValueError(
            f"the scheduler predicts {name!r}: known are {', '.join(_PREDICTION_TYPES)}; "
            "try one of them in scheduler_config.json"
        )
    return _PREDICTION_TYPES[name]


def _flow(pipe: Any, shape: tuple[int, ...]) -> Flow:
    """Returns the rectified-flow schedule; its shift may grow with the number of tokens."""
    config = pipe.scheduler.config
    if not config.get("use_dynamic_shifting", False):
        return Flow(config.get("shift", 1.0))
    tokens = shape[1] * shape[2] // 4
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return Flow(math.exp(low + (high - low) * (tokens - few) / (many - few)))


def z_shape(
    family: PipelineFamily,
    network: Mapping[str, Any],
    vae: Mapping[str, Any] | None,
    size: int | tuple[int, int] | None,
) -> tuple[int, ...]:
    """Returns the shape of z, from the configurations of the network and the autoencoder.

    Raises:
        ValueError: the height or the width does not fit.
    """
    factor = 1 if vae is None else downscale(vae)
    if size is None:
        side = network.get("sample_size") or family.default_side
        height, width = (factor * z_side for z_side in ((side, side) if isinstance(side, int) else side))
    else:
        height, width = (size, size) if isinstance(size, int) else size
    step = factor * family.multiple
    if height < step or width < step or height % step or width % step:
        raise ValueError(f"height and width must be multiples of {step} pixels: got {height} x {width}; round them")
    channels = network["in_channels"] if vae is None else vae["latent_channels"]
    return (channels, height // factor, width // factor)
