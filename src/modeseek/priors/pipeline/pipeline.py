"""Any text-to-image pipeline of diffusers as a prior."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.codec import Codec, Range
from modeseek.prediction import Prediction
from modeseek.prior import BasePrior, Conditions, positive
from modeseek.priors.pipeline.family import BY_CLASS, Encoded, Family
from modeseek.priors.pipeline.level import Kind, on_flow, on_levels
from modeseek.priors.pipeline.text import Texts, cache_folder, identity
from modeseek.priors.pipeline.vae import VAE
from modeseek.schedule import Discrete, Flow
from modeseek.tree import Cond, expand, map_tensors

_WORDS = ("text_encoder", "text_encoder_2", "text_encoder_3")
_UNUSED = ("safety_checker", "feature_extractor", "image_encoder", "watermarker")
_KINDS: dict[str, Kind] = {"epsilon": "eps", "v_prediction": "v", "sample": "z"}


class Pipeline(BasePrior):
    """A diffusers pipeline as a prior: `at` answers at every noise level, directions come in float32.

    Stable Diffusion 1 and 2 (eps, v, zero terminal SNR), SDXL, DeepFloyd IF stage I, Stable Diffusion 3, Flux and
    PixArt, chosen by what the folder's `model_index.json` says. One network call a row; guidance is `Guided`'s.
    cond is what `encode` gives; a `Conditions` of it is what `conditions` gives.

    Attributes:
        schedule: the levels it was trained on, or a flow shifted for its resolution.
        shape: of z: latents, or pixels in [-1, 1].
        codec: between pixels in [0, 1] and z.
        guidance: what models with embedded guidance (Flux) are told; others ignore it.
    """

    def __init__(self, pipe: Any, family: Family, shape: tuple[int, ...], texts: Texts, guidance: float = 3.5) -> None:
        self.pipe, self.family, self.shape, self._texts, self.guidance = pipe, family, shape, texts, guidance
        self.network = getattr(pipe, family.network).eval().requires_grad_(False)
        self.dtype, self.device = torch.float32, next(self.network.parameters()).device
        self.schedule, self._kind = (_flow(pipe, shape), "flow") if family.kind == "flow" else _levels(pipe)
        self.codec: Codec = Range(-1.0, 1.0)
        if family.latent:
            vae = pipe.vae.eval().requires_grad_(False)
            self.codec = VAE(vae, vae.config.scaling_factor, getattr(vae.config, "shift_factor", None) or 0.0)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        size: int | tuple[int, int] | None = None,
        guidance: float = 3.5,
        cache: str | os.PathLike[str] | None | bool = True,
    ) -> Pipeline:
        """Loads the network and the autoencoder; text encoders wait until a text is new.

        Args:
            path: a folder that `save_pretrained` wrote, or a repository's name on the hub.
            device: where the network and the autoencoder go.
            dtype: of the network; default bfloat16 on CUDA, else float32. With float16, which it overflows, the
                autoencoder stays in float32.
            size: pixels (height, width), or of a square; default what the model was trained on.
            guidance: for models with embedded guidance.
            cache: folder for encoded texts; True is the user's cache folder, None or False keeps them in memory.

        Raises:
            ValueError: no pipeline, one of an unknown class, pickled weights only, or a size that does not fit.
        """
        folder = _folder(path)
        family, name = _family(folder)
        kind = torch.device(device).type
        dtype = (torch.bfloat16 if kind == "cuda" else torch.float32) if dtype is None else dtype
        left_out = {part: None for part in (*_WORDS, *_UNUSED) if part in _index(folder)}
        pipe = _from_pretrained(folder, name, dtype, left_out).to(device)
        if family.latent and dtype == torch.float16:
            pipe.vae.to(torch.float32)
        shape = _shape(pipe, family, size)
        if cache is True:
            place: Path | None = cache_folder()
        else:
            place = None if cache is None or cache is False else Path(cache)

        def encode(texts: Sequence[str]) -> Encoded:
            parts = {part: None for part in (family.network, "vae", *_UNUSED) if part in _index(folder)}
            words = _from_pretrained(folder, name, dtype, parts | {family.network: None}).to(device)
            with torch.no_grad():
                return family.encode(words, texts)

        return cls(pipe, family, shape, Texts(encode, f"{name}:{dtype}:{identity(folder)}", place), guidance)

    def at(
        self,
        z_t: Float[Tensor, "b *d"],
        alpha: Float[Tensor, "b"],
        sigma: Float[Tensor, "b"],
        cond: Cond = None,
    ) -> Prediction:
        told = self._told(positive(cond), len(z_t))

        def ask(z: Tensor, time: Tensor) -> Tensor:
            own = z.to(self.network.dtype)
            with torch.set_grad_enabled(z.requires_grad):
                answer = self.family.ask(self.pipe, own, time.float(), told, self.guidance)
            return answer[:, : self.shape[0]].to(z)

        if isinstance(self.schedule, Flow):
            return on_flow(ask, z_t, alpha, sigma)
        return on_levels(ask, self._kind, self.schedule, z_t, alpha, sigma)

    def encode(self, texts: Sequence[str]) -> Cond:
        """Conditions of texts, (len(texts), ...); no prior call. Known texts cost nothing, see `Texts`."""
        if isinstance(texts, str):
            raise TypeError(f"encode takes a list of texts: got one string {texts[:40]!r}; write [text]")
        return self._moved(self._texts(list(texts)))

    def conditions(self, texts: Sequence[str], negative: Sequence[str] | None = None) -> Conditions:
        """What guided priors are told: the texts, no text, and what to move away from."""
        return Conditions(
            self.encode(texts),
            null=self._moved(self._texts.null()),
            negative=None if negative is None else self.encode(negative),
        )

    def _told(self, cond: Cond, n: int) -> Cond:
        return expand(self._moved(self._texts.null()) if cond is None else cond, n)

    def _moved(self, cond: Cond) -> Cond:
        dtype = self.network.dtype
        return map_tensors(lambda x: x.to(self.device, dtype if x.is_floating_point() else None), cond)


def _folder(path: str | os.PathLike[str]) -> Path:
    """The folder itself, or where the hub's copy was put."""
    folder = Path(path)
    if folder.is_dir():
        return folder
    if os.fspath(path).count("/") != 1 or folder.is_absolute():
        raise ValueError(
            f"there is no pipeline {path}: name a folder that save_pretrained wrote, or owner/name on the hub"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        kept = ["*.json", "*.safetensors", "*.txt", "*.model"]
        return Path(snapshot_download(os.fspath(path), allow_patterns=kept))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"{path} is neither a folder here nor reachable on the hub: {reason}") from error


def _index(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise ValueError("it holds no table")
        return told
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120]
        raise ValueError(f"{folder} is no diffusers pipeline: model_index.json: {reason}; save one there") from error


def _family(folder: Path) -> tuple[Family, str]:
    name = _index(folder).get("_class_name")
    if name not in BY_CLASS:
        raise ValueError(
            f"{folder} is a {name}, which is not known here: known are {', '.join(BY_CLASS)}; use one of them"
        )
    return BY_CLASS[name], name


def _from_pretrained(folder: Path, name: str, dtype: torch.dtype, parts: dict[str, Any]) -> Any:
    import diffusers
    from safetensors import SafetensorError

    try:
        with _quietly():
            pipe = getattr(diffusers, name).from_pretrained(
                folder, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False, **parts
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:240]
        raise ValueError(f"{folder} cannot be loaded as a {name}: {reason}; save it again with safetensors") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


@contextmanager
def _quietly() -> Generator[None]:
    """No progress bars of the libraries below, nor what they say of processors that are not used: callers tell."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    switches = [logs for logs in (of_diffusers, of_transformers) if logs.is_progress_bar_enabled()]
    for logs in switches:
        logs.disable_progress_bar()
    loudness = of_transformers.get_verbosity()
    of_transformers.set_verbosity_error()
    try:
        yield
    finally:
        of_transformers.set_verbosity(loudness)
        for logs in switches:
            logs.enable_progress_bar()


def _levels(pipe: Any) -> tuple[Discrete, Kind]:
    """The levels of the scheduler, whichever it is, -inf where it ends at zero signal; and what is predicted there."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    kind = pipe.scheduler.config.get("prediction_type", "epsilon")
    if kind not in _KINDS:
        raise ValueError(f"the scheduler predicts {kind!r}: known are {', '.join(_KINDS)}; mend scheduler_config.json")
    scheduler: Any = DDIMScheduler.from_config(pipe.scheduler.config)
    return Discrete.from_alphas_cumprod(scheduler.alphas_cumprod), _KINDS[kind]


def _flow(pipe: Any, shape: tuple[int, ...]) -> Flow:
    """The scheduler's shift, which may grow with the number of tokens."""
    config = pipe.scheduler.config
    if not config.get("use_dynamic_shifting", False):
        return Flow(config.get("shift", 1.0))
    tokens = shape[1] * shape[2] // 4
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return Flow(math.exp(low + (high - low) * (tokens - few) / (many - few)))


def _shape(pipe: Any, family: Family, size: int | tuple[int, int] | None) -> tuple[int, ...]:
    config = getattr(pipe, family.network).config
    factor = 2 ** (len(pipe.vae.config.block_out_channels) - 1) if family.latent else 1
    if size is None:
        own = config.get("sample_size") or getattr(pipe, "default_sample_size", 64)
        height, width = (factor * side for side in ((own, own) if isinstance(own, int) else own))
    else:
        height, width = (size, size) if isinstance(size, int) else size
    step = factor * family.multiple
    if height < step or width < step or height % step or width % step:
        raise ValueError(f"this pipeline's sides are multiples of {step} pixels: got {height} x {width}; choose others")
    channels = pipe.vae.config.latent_channels if family.latent else config["in_channels"]
    return (channels, height // factor, width // factor)
