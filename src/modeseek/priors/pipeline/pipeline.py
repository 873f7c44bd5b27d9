"""Text-to-image pipelines of diffusers as priors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modeseek.codec import ImageCodec, RangeCodec
from modeseek.device import resolve_device, runs_natively
from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import Discrete, Flow
from modeseek.io.remarks import add_remark
from modeseek.priors.base import BasePrior, Conditions, PerRow, Rows, positive_condition
from modeseek.priors.features import FeatureMap
from modeseek.priors.pipeline.architectures import PipelineFamily
from modeseek.priors.pipeline.configuration_checks import check_configuration
from modeseek.priors.pipeline.feature_hooks import record_self_attention
from modeseek.priors.pipeline.identity import read_configuration
from modeseek.priors.pipeline.loading import (
    check_weights,
    find_pipeline,
    open_pipeline,
)
from modeseek.priors.pipeline.lora import LoRA, fit_loras
from modeseek.priors.pipeline.memory_options import MemoryOptions, apply_memory_options
from modeseek.priors.pipeline.prompt_encoder import PromptEncoder
from modeseek.priors.pipeline.readings import PredictionType
from modeseek.priors.pipeline.schedulers import NetworkFacts, read_scheduler
from modeseek.priors.pipeline.text_cache import cache_folder
from modeseek.priors.pipeline.text_encoding import LongPrompts, TextEncoding, skeletons
from modeseek.priors.pipeline.textual_inversion import TextualInversion
from modeseek.priors.pipeline.tokenizers import TEXT_ENCODERS
from modeseek.priors.pipeline.vae import VAECodec, downscale
from modeseek.priors.pipeline.vocabulary import read_vocabulary
from modeseek.pytree import Cond, expand, map_tensors

_PLAIN = MemoryOptions()


class Pipeline(BasePrior):
    """Text-to-image pipeline of diffusers as a prior, defined at every noise level; predictions are float32.

    Stable Diffusion 1 and 2 (eps, v, zero terminal SNR), SDXL, DeepFloyd IF stage I, Stable Diffusion 3, Flux and
    PixArt, chosen by the class in the folder's `model_index.json`. One network call per row, unguided (see `Guided`).
    cond is a result of `encode`; a `Conditions` is a result of `conditions`.

    Attributes:
        schedule: noise schedule: the discrete training levels, or a flow shifted for the resolution.
        reading: noise levels, timesteps and meaning of the network output, by the configuration of the scheduler.
        prediction_type: parametrisation of the network output: eps, v, z or flow.
        configuration: all configuration that changes numbers, "part/field" -> value, as read from the folder.
        shape: shape of z: latents, or pixels in [-1, 1].
        codec: codec between pixels in [0, 1] and z.
        guidance: embedded guidance scale of models that take one (Flux; U-Nets with `time_cond_proj_dim`); ignored by
            others.
        loaded_from: arguments of `load` that made it, by name, but for the device; None if it was built in Python.
    """

    def __init__(
        self,
        pipe: Any,
        family: PipelineFamily,
        shape: tuple[int, ...],
        prompts: PromptEncoder,
        guidance: float = 3.5,
        economy: MemoryOptions = _PLAIN,
        device: torch.device | None = None,
        configuration: Mapping[str, Any] | None = None,
        loaded_from: Mapping[str, Any] | None = None,
    ) -> None:
        self.pipe, self.family, self.shape, self.prompts, self.guidance = pipe, family, shape, prompts, guidance
        self.text_cache = prompts.cache
        self.network = getattr(pipe, family.network).eval().requires_grad_(False)
        self.dtype, self.economy = torch.float32, economy
        self._network_dtype = self.network.dtype  # read once: diffusers' property walks all weights
        self.device = next(self.network.parameters()).device if device is None else device
        self.configuration = {} if configuration is None else dict(configuration)
        self.loaded_from = None if loaded_from is None else dict(loaded_from)
        facts = NetworkFacts(family, type(pipe).__name__, shape[1] * shape[2] // family.multiple**2)
        self.reading = read_scheduler(pipe.scheduler, facts)
        self.schedule: Discrete | Flow = self.reading.schedule
        self.prediction_type: PredictionType = self.reading.prediction_type
        self.codec: ImageCodec = RangeCodec(-1.0, 1.0)
        if family.latent:
            self.codec = VAECodec.of(pipe.vae.eval().requires_grad_(False), economy.recompute)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        config: str | os.PathLike[str] | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        size: int | tuple[int, int] | None = None,
        guidance: float = 3.5,
        loras: Sequence[LoRA] = (),
        embeddings: Sequence[TextualInversion] = (),
        long_prompts: LongPrompts = "cut",
        economy: MemoryOptions = _PLAIN,
        cache: str | os.PathLike[str] | None | bool = True,
    ) -> Pipeline:
        """Loads the network and the autoencoder; text encoders are loaded only while encoding new texts.

        Args:
            path: name of a prior that ships with modeseek ("scenes" or "emoji"), folder written by `save_pretrained`
                (fully fine-tuned DreamBooth models included), single-file checkpoint (.safetensors), or repository
                name on the hub. A folder whose name is that of a bundled prior is "./emoji", or a `Path`.
            config: folder of the configurations of a single-file checkpoint; default the folder beside it of the same
                name, or its own.
            device: device of the network and the autoencoder; None is the fastest of this machine: cuda, else mps, else
                cpu.
            dtype: dtype of the network; default bfloat16 on CUDA, else float32. With float16, which it overflows, the
                autoencoder stays in float32.
            size: image size in pixels, (height, width) or the side of a square; default the training size.
            guidance: embedded guidance scale, for models that take one.
            loras: LoRA files (DreamBooth LoRA included), merged into network and text encoders in this order.
            embeddings: textual inversion files, whose tokens prompts write.
            long_prompts: encoding of prompts that are longer than the text encoders read: cut (with a remark), or chunk
                (Stable Diffusion 1, 2 and XL): in chunks of 75 tokens, joined along the sequence.
            economy: memory and speed options; none changes a direction beyond rounding.
            cache: folder for encoded texts; True is the user's cache folder, None or False keeps them in memory.

        Raises:
            ValueError: no pipeline, an unsupported class, pickled weights only, or a size, a LoRA or an option that
                does not fit.
        """
        loaded_from = {
            "path": path,
            "config": config,
            "dtype": dtype,
            "size": size,
            "guidance": guidance,
            "loras": tuple(loras),
            "embeddings": tuple(embeddings),
            "long_prompts": long_prompts,
            "economy": economy,
            "cache": cache,
        }
        target = resolve_device(device)
        dtype = (torch.bfloat16 if target.type == "cuda" else torch.float32) if dtype is None else dtype
        if not runs_natively(dtype, target):
            add_remark(f"this processor emulates {dtype}: a call takes 10 to 20 times that of float32; use float32")
        source = find_pipeline(path, config, dtype)
        folder, family, name = source.folder, source.family, source.kind
        check_configuration(folder, family, name)
        check_weights(source, [part for part in source.weighted if part in TEXT_ENCODERS], dtype)
        pipe = open_pipeline(source, dtype, TEXT_ENCODERS)
        network = getattr(pipe, family.network)
        parts = {family.network: network, **(skeletons(source) if loras else {})}
        fitted = fit_loras(loras, parts, family.network, pipe)
        for lora in fitted:
            lora.merge(family.network, network)
        of_texts = tuple(lora.without(family.network) for lora in fitted)
        encoding = TextEncoding(source, dtype, target, of_texts, tuple(embeddings), long_prompts)
        if family.latent and dtype == torch.float16:
            pipe.vae.to(torch.float32)
        settings = read_configuration(folder, family, pipe)
        shape = z_shape(family, dict(network.config), dict(pipe.vae.config) if family.latent else None, size)
        apply_memory_options(network, pipe.vae if family.latent else None, target, economy)
        cache_dir = cache_folder() if cache is True else None if cache is None or cache is False else Path(cache)
        prompts = PromptEncoder(encoding, pipe, cache_dir, None if loras else read_vocabulary(folder, str(path)))
        return cls(pipe, family, shape, prompts, guidance, economy, target, settings, loaded_from)

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike[str], **options: Any) -> Pipeline:
        """Loads a pipeline: `load` under the name that diffusers gives it."""
        return cls.load(path, **options)

    def to(self, device: str | torch.device) -> Pipeline:
        """Moves the network, the autoencoder and all later conditions to a device, in place; returns this pipeline.

        Text encoders, which are loaded only while new texts are encoded, run where they did.

        Raises:
            ValueError: no device of this machine, or weights that memory options keep elsewhere.
        """
        if self.economy.offload != "none":
            raise ValueError(
                f"an offloaded network moves itself, got offload={self.economy.offload}; load it with device={device!r}"
            )
        self.device = resolve_device(device)
        self.network.to(self.device)
        if self.family.latent:
            self.codec = VAECodec.of(self.pipe.vae.to(self.device), self.economy.recompute)
        return self

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

        def call_network(z: Tensor, timestep: Tensor) -> Tensor:
            own = z.to(self._network_dtype)
            with torch.set_grad_enabled(z.requires_grad):
                output = self.family.predict(self.pipe, own, timestep.float(), expanded, self.guidance)
            return output[:, : self.shape[0]].to(z)

        return self.reading.predict(call_network, z_t, alpha, sigma)

    def record_features(self) -> AbstractContextManager[list[FeatureMap]]:
        """Returns a context whose list gets the self-attention maps of each call, see `FeaturePrior`."""
        return record_self_attention(self.network, self.shape)

    def encode(self, texts: Sequence[str]) -> Cond:
        """Returns the conditions of texts, (len(texts), ...); no prior call, and no encoding of cached texts."""
        if isinstance(texts, str):
            raise TypeError(f"encode takes a list of texts, got one string {texts[:40]!r}; try [text]")
        return self._to_device(self.prompts.encode(texts))

    def conditions(self, texts: Sequence[str], negative: Sequence[str] | None = None) -> Conditions:
        """Returns the `Conditions` of guided priors: the texts, the empty text, and negative prompts if given."""
        return self.prompts.conditions(texts, negative).map(self._to_device)

    def unknown_words(self, texts: Sequence[str]) -> tuple[str, ...] | None:
        """Returns the words of texts that it was not trained on, each once; None if they are unknown.

        Known are those of the priors that ship with modeseek and of any folder with a `words.txt`, unless a LoRA was
        merged.
        """
        if isinstance(texts, str):
            raise TypeError(f"unknown_words takes a list of texts, got one string {texts[:40]!r}; try [text]")
        return self.prompts.unknown_words(texts)

    def place_phrases(self, prompt: str, phrases: Sequence[str], before: bool = False) -> list[str]:
        """Returns the prompt with each phrase, such as "front view", where its text encoders read the phrase.

        Args:
            prompt: prompt.
            phrases: phrases, one for each text.
            before: whether the phrase precedes the prompt; otherwise it follows, or, where the prompt is too long, the
                part of it that is read.

        Raises:
            ValueError: a phrase that is longer than any text encoder reads.
        """
        return self.prompts.readers.place(prompt, phrases, before)

    def _expanded(self, cond: Cond, n: int) -> Cond:
        return expand(self._to_device(self.prompts.null()) if cond is None else cond, n)

    def _to_device(self, cond: Cond) -> Cond:
        return map_tensors(lambda x: x.to(self.device, self._network_dtype if x.is_floating_point() else None), cond)


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
