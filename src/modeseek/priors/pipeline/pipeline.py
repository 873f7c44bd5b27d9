"""Any text-to-image pipeline of diffusers as a prior."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.codec import Codec, RangeCodec
from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import Discrete, Flow
from modeseek.priors.base import BasePrior, Conditions, positive_condition
from modeseek.priors.pipeline.architectures import EncodedTexts, PipelineFamily
from modeseek.priors.pipeline.loading import (
    UNUSED_COMPONENTS,
    TEXT_ENCODERS,
    check_tokenizers,
    family_of,
    find_pipeline_folder,
    model_index,
    open_pipeline,
)
from modeseek.priors.pipeline.lora import LoRA, merge_into_network, merge_into_text_encoders, text_encoder_identity
from modeseek.priors.pipeline.memory_options import MemoryOptions, apply_memory_options
from modeseek.priors.pipeline.log_snr_matching import PredictionType, predict_from_flow, predict_from_levels
from modeseek.priors.pipeline.text_cache import TextCache, cache_folder, hash_text_encoders
from modeseek.priors.pipeline.vae import VAECodec
from modeseek.pytree import Cond, expand, map_tensors

_PLAIN = MemoryOptions()
_KINDS: dict[str, PredictionType] = {"epsilon": "eps", "v_prediction": "v", "sample": "z"}


class Pipeline(BasePrior):
    """A diffusers pipeline as a prior: `at` answers at every noise level, directions come in float32.

    Stable Diffusion 1 and 2 (eps, v, zero terminal SNR), SDXL, DeepFloyd IF stage I, Stable Diffusion 3, Flux and
    PixArt, chosen by what the folder's `model_index.json` says. One network call a row; guidance is `Guided`'s.
    cond is what `encode` gives; a `Conditions` of it is what `conditions` gives.

    Attributes:
        schedule: the levels it was trained on, or a flow shifted for its resolution.
        kind: what the network answers: eps, v, z or flow.
        shape: of z: latents, or pixels in [-1, 1].
        codec: between pixels in [0, 1] and z.
        guidance: what models with embedded guidance (Flux) are told; others ignore it.
    """

    def __init__(
        self,
        pipe: Any,
        family: PipelineFamily,
        shape: tuple[int, ...],
        texts: TextCache,
        guidance: float = 3.5,
        economy: MemoryOptions = _PLAIN,
        device: torch.device | None = None,
    ) -> None:
        self.pipe, self.family, self.shape, self.text_cache, self.guidance = pipe, family, shape, texts, guidance
        self.network = getattr(pipe, family.network).eval().requires_grad_(False)
        self.dtype, self.economy = torch.float32, economy
        self._inner = self.network.dtype  # asked once: diffusers' property walks all weights
        self.device = next(self.network.parameters()).device if device is None else device
        flows = family.kind == "flow"
        self.schedule: Discrete | Flow = _flow(pipe, shape) if flows else _levels(pipe)
        self.prediction_type: PredictionType = "flow" if flows else _kind(pipe)
        self.codec: Codec = RangeCodec(-1.0, 1.0)
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
        """Loads the network and the autoencoder; text encoders wait until a text is new.

        Args:
            path: a folder that `save_pretrained` wrote, a repository's name on the hub, or "bundled" for what ships
                with modeseek. What DreamBooth trained wholly is such a folder; what it trained as a LoRA goes to
                `loras`.
            device: where the network and the autoencoder go.
            dtype: of the network; default bfloat16 on CUDA, else float32. With float16, which it overflows, the
                autoencoder stays in float32.
            size: pixels (height, width), or of a square; default what the model was trained on.
            guidance: for models with embedded guidance.
            loras: low-rank changes, merged into the network and the text encoders in this order.
            economy: how memory and time are saved; changes no direction beyond rounding.
            cache: folder for encoded texts; True is the user's cache folder, None or False keeps them in memory.

        Raises:
            ValueError: no pipeline, one of an unknown class, pickled weights only, a size, a LoRA or an economy that
                does not fit.
        """
        folder = find_pipeline_folder(path)
        family, name = family_of(folder)
        where = torch.device(device)
        dtype = (torch.bfloat16 if where.type == "cuda" else torch.float32) if dtype is None else dtype
        parts = set(model_index(folder))
        pipe = open_pipeline(folder, name, dtype, {part: None for part in (*TEXT_ENCODERS, *UNUSED_COMPONENTS) if part in parts})
        network = getattr(pipe, family.network)
        for lora in loras:
            merge_into_network(pipe, network, lora)
        if family.latent and dtype == torch.float16:
            pipe.vae.to(torch.float32)
        shape = z_shape(family, dict(network.config), dict(pipe.vae.config) if family.latent else None, size)
        apply_memory_options(network, pipe.vae if family.latent else None, where, economy)
        place = cache_folder() if cache is True else None if cache is None or cache is False else Path(cache)

        def encode(texts: Sequence[str]) -> EncodedTexts:
            without = {part: None for part in (family.network, "vae", *UNUSED_COMPONENTS) if part in parts}
            words = open_pipeline(folder, name, dtype, without)
            check_tokenizers(words, folder)
            for lora in loras:
                merge_into_text_encoders(words, lora)
            with torch.no_grad():
                return family.encode(words.to(where), texts)

        identity = text_encoder_identity(f"{name}:{dtype}:{hash_text_encoders(folder)}", loras)
        return cls(pipe, family, shape, TextCache(encode, identity, place), guidance, economy, where)

    def at(
        self,
        z_t: Float[Tensor, "b *d"],
        alpha: Float[Tensor, "b"],
        sigma: Float[Tensor, "b"],
        cond: Cond = None,
    ) -> Prediction:
        if z_t.requires_grad and self.economy.offload != "none":
            raise ValueError(
                f"an offloaded network cannot be differentiated: got offload {self.economy.offload!r}; use none for "
                "Jacobian products and certificates"
            )
        told = self._told(positive_condition(cond), len(z_t))

        def ask(z: Tensor, time: Tensor) -> Tensor:
            own = z.to(self._inner)
            with torch.set_grad_enabled(z.requires_grad):
                answer = self.family.predict(self.pipe, own, time.float(), told, self.guidance)
            return answer[:, : self.shape[0]].to(z)

        if isinstance(self.schedule, Flow):
            return predict_from_flow(ask, z_t, alpha, sigma)
        return predict_from_levels(ask, self.prediction_type, self.schedule, z_t, alpha, sigma)

    def encode(self, texts: Sequence[str]) -> Cond:
        """Conditions of texts, (len(texts), ...); no prior call. Known texts cost nothing, see `Texts`."""
        if isinstance(texts, str):
            raise TypeError(f"encode takes a list of texts: got one string {texts[:40]!r}; write [text]")
        return self._moved(self.text_cache(list(texts)))

    def conditions(self, texts: Sequence[str], negative: Sequence[str] | None = None) -> Conditions:
        """What guided priors are told: the texts, no text, and what to move away from."""
        return Conditions(
            self.encode(texts),
            null=self._moved(self.text_cache.null()),
            negative=None if negative is None else self.encode(negative),
        )

    def _told(self, cond: Cond, n: int) -> Cond:
        return expand(self._moved(self.text_cache.null()) if cond is None else cond, n)

    def _moved(self, cond: Cond) -> Cond:
        return map_tensors(lambda x: x.to(self.device, self._inner if x.is_floating_point() else None), cond)


def _levels(pipe: Any) -> Discrete:
    """The levels of the scheduler, whichever it is; -inf where it ends at zero signal."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    scheduler: Any = DDIMScheduler.from_config(pipe.scheduler.config)
    return Discrete.from_alphas_cumprod(scheduler.alphas_cumprod)


def _kind(pipe: Any) -> PredictionType:
    """What the network predicts at those levels."""
    kind = pipe.scheduler.config.get("prediction_type", "epsilon")
    if kind not in _KINDS:
        raise ValueError(f"the scheduler predicts {kind!r}: known are {', '.join(_KINDS)}; mend scheduler_config.json")
    return _KINDS[kind]


def _flow(pipe: Any, shape: tuple[int, ...]) -> Flow:
    """The scheduler's shift, which may grow with the number of tokens."""
    config = pipe.scheduler.config
    if not config.get("use_dynamic_shifting", False):
        return Flow(config.get("shift", 1.0))
    tokens = shape[1] * shape[2] // 4
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return Flow(math.exp(low + (high - low) * (tokens - few) / (many - few)))


def z_shape(
    family: PipelineFamily, network: Mapping[str, Any], vae: Mapping[str, Any] | None, size: int | tuple[int, int] | None
) -> tuple[int, ...]:
    """The shape of z, from the configurations of the network and of the autoencoder.

    Raises:
        ValueError: sides that do not fit; one line.
    """
    factor = 1 if vae is None else 2 ** (len(vae["block_out_channels"]) - 1)
    if size is None:
        own = network.get("sample_size") or family.default_side
        height, width = (factor * side for side in ((own, own) if isinstance(own, int) else own))
    else:
        height, width = (size, size) if isinstance(size, int) else size
    step = factor * family.multiple
    if height < step or width < step or height % step or width % step:
        raise ValueError(f"this pipeline's sides are multiples of {step} pixels: got {height} x {width}; choose others")
    channels = network["in_channels"] if vae is None else vae["latent_channels"]
    return (channels, height // factor, width // factor)
