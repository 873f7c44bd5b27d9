"""Checks of a pipeline's configuration: what changes numbers is honoured elsewhere, or refused here by its name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modeseek.priors.pipeline.architectures import PipelineFamily
from modeseek.priors.pipeline.configurations import is_number, model_index, read_config
from modeseek.priors.pipeline.schedulers import NetworkFacts, open_scheduler, read_scheduler

_AUTOENCODERS = ("AutoencoderKL", "AutoencoderTiny")


def check_configuration(folder: Path, family: PipelineFamily, kind: str) -> None:
    """Checks the configurations of a pipeline's scheduler, network and autoencoder; reads no weights.

    Args:
        folder: folder of the pipeline.
        family: its family.
        kind: its class name in diffusers.

    Raises:
        ValueError: a file that cannot be read, or a field that is not supported; the message names it.
    """
    index = model_index(folder)
    if index.get("requires_aesthetics_score"):
        raise ValueError(f"{folder} is a refiner (requires_aesthetics_score), not supported; try its base model")
    read_scheduler(open_scheduler(folder), NetworkFacts(family, kind, tokens=1))
    network = read_config(folder / family.network)
    check = _check_unet if family.network == "unet" else _check_transformer
    checks = [(family.network, check(network, family, kind, folder))]
    if family.latent:
        checks.append(("vae", _check_autoencoder(read_config(folder / "vae"), family, kind)))
    for part, problems in checks:
        for problem in problems:
            raise ValueError(f"{folder / part / 'config.json'} is not supported: {problem}")


def _check_unet(config: Mapping[str, Any], family: PipelineFamily, kind: str, folder: Path) -> Iterator[str]:
    for field in ("class_embed_type", "num_class_embeds"):
        if config.get(field) is not None:
            yield f"got {field} {config[field]!r}; a {kind} gives its network no classes"
    added = config.get("addition_embed_type")
    if added not in family.embeds:
        known = " or ".join(map(str, family.embeds))
        yield f"a {kind} needs addition_embed_type {known}, got {added!r}; the network is of another pipeline"
    if config.get("encoder_hid_dim_type") not in (None, "text_proj"):
        yield f"got encoder_hid_dim_type {config['encoder_hid_dim_type']!r}; only text can be given"
    if config.get("attention_type", "default") != "default":
        yield f"got attention_type {config['attention_type']!r}; only 'default' is supported"
    if added == "text_time":
        width = config.get("projection_class_embeddings_input_dim")
        pooled = read_config(folder / "text_encoder_2").get("projection_dim", 512)  # default of CLIPTextConfig
        numbers = (width - pooled) / config["addition_time_embed_dim"] if isinstance(width, int) else 0
        if numbers != 6:
            yield (
                f"it takes {numbers:g} numbers of size and crop (projection_class_embeddings_input_dim {width}), a "
                f"{kind} gives 6; a refiner takes 5 and is not supported"
            )
    yield from _check_channels(config, (1, 2))


def _check_transformer(config: Mapping[str, Any], family: PipelineFamily, kind: str, folder: Path) -> Iterator[str]:
    if config.get("patch_size", family.patch) != family.patch:
        yield f"got patch_size {config['patch_size']}; a {kind} has {family.patch}"
    yield from _check_channels(config, (1,) if family.kind == "flow" else (1, 2))


def _check_channels(config: Mapping[str, Any], multiples: tuple[int, ...]) -> Iterator[str]:
    """A network may predict a variance too, in further channels, which are left out."""
    taken = config.get("in_channels", 4)
    given = config.get("out_channels", taken)
    if given is not None and given not in [multiple * taken for multiple in multiples]:
        yield f"got out_channels {given} for in_channels {taken}; it predicts something else than its input"


def _check_autoencoder(config: Mapping[str, Any], family: PipelineFamily, kind: str) -> Iterator[str]:
    name = config.get("_class_name")
    if name not in _AUTOENCODERS:
        yield f"the autoencoder is a {name}; supported are {' and '.join(_AUTOENCODERS)}"
    scale, shift = config.get("scaling_factor", 1.0), config.get("shift_factor")
    if not _is_finite(scale) or scale <= 0:
        yield f"scaling_factor must be a number above 0, got {scale!r}"
    if shift is not None and not _is_finite(shift):
        yield f"shift_factor must be a number, got {shift!r}"
    elif shift and not family.uses_shift:
        yield f"got shift_factor {shift:g}, which a {kind} does not use; set it to null"
    elif shift is None and family.uses_shift and name == "AutoencoderKL":
        yield f"a {kind} needs a shift_factor, got none; set that of the training, or 0"
    mean, std = config.get("latents_mean"), config.get("latents_std")
    if mean is None and std is None:
        return
    if not family.uses_statistics:
        yield f"got latents_mean {mean} and latents_std {std}, which a {kind} does not use; set both to null"
    elif not (_are_statistics(mean, config, -math.inf) and _are_statistics(std, config, 0.0)):
        yield f"latents_mean and latents_std must both have a number per channel, got {mean} and {std}"


def _are_statistics(values: Any, config: Mapping[str, Any], lowest: float) -> bool:
    if not isinstance(values, list) or len(values) != config.get("latent_channels", 4):
        return False
    return all(_is_finite(value) and value > lowest for value in values)


def _is_finite(value: Any) -> bool:
    return is_number(value) and math.isfinite(value)
