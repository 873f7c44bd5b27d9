"""Fit of a LoRA file to a pipeline: which of its layers are layers of the network and of the text encoders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from modeseek.io.quiet import silence
from modeseek.io.remarks import add_remark
from modeseek.priors.pipeline.lora_files import LoRAFile, LoRALayer, group_layers, split_factors

_SHOWN = 3  # names of layers in a message
# Prefixes of layer names in files -> component; the longer ones first. None: the network.
_PREFIXES: tuple[tuple[str, str | None], ...] = (
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te3_", "text_encoder_3"),
    ("lora_te_", "text_encoder"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder_3.", "text_encoder_3"),
    ("text_encoder.", "text_encoder"),
    ("lora_unet_", None),
    ("lora_transformer_", None),
    ("unet.", None),
    ("transformer.", None),
)
_WRAPPERS = ("base_model.model.", "diffusion_model.")  # around names: of peft, of ComfyUI
_OLD_NAMES = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}  # of text encoders


@dataclass(frozen=True)
class LayerUpdate:
    """Update of one weight: `W + scale factor B A`, and `bias + scale factor_bias` where the file trains it.

    Attributes:
        down: A, (r, inputs), or (r, inputs, height, width) of a convolution.
        up: B, (outputs, r), or (outputs, r, 1, 1).
        factor: alpha / r.
        bias: update of the bias, (outputs,); None if there is none.
    """

    down: Tensor
    up: Tensor
    factor: float
    bias: Tensor | None = None

    def fits(self, module: Any) -> bool:
        """Whether the factors have the shapes of this module's weight."""
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if weight is None or weight.ndim not in (2, 4):
            return False
        a, b = self.down.flatten(1).shape, self.up.flatten(1).shape
        shapes = (b[0], a[1], b[1]) == (weight.shape[0], math.prod(weight.shape[1:]), a[0])
        return shapes and (self.bias is None or (bias is not None and bias.shape == self.bias.shape))


@dataclass(frozen=True)
class FittedLoRA:
    """Layers of a LoRA file that a pipeline has.

    Attributes:
        path: path of the file, as it was given.
        sha256: SHA-256 of the file.
        scale: multiplier of all updates.
        updates: updates by component and name of its module; a module may have several.
    """

    path: str
    sha256: str
    scale: float
    updates: Mapping[str, Sequence[tuple[str, LayerUpdate]]]

    def without(self, component: str) -> FittedLoRA:
        """Returns it without the updates of a component, which are merged already."""
        return replace(self, updates={name: rows for name, rows in self.updates.items() if name != component})

    def merge(self, component: str, module: Any) -> None:
        """Merges the updates of a component into its weights, computed in float32.

        Raises:
            ValueError: a weight that would not be finite.
        """
        for name, layer in self.updates.get(component, ()):
            target = module.get_submodule(name)
            change = (layer.up.float().flatten(1) @ layer.down.float().flatten(1)) * (self.scale * layer.factor)
            merged = (target.weight.float() + change.reshape(target.weight.shape).to(target.weight.device)).to(
                target.weight.dtype
            )
            if not bool(merged.isfinite().all()):
                raise ValueError(
                    f"merged weights must be finite, got others from {self.path} at scale {self.scale:g} in {name}; "
                    "try a smaller scale, or bfloat16"
                )
            target.weight.data.copy_(merged)
            if layer.bias is not None:
                target.bias.data.add_((self.scale * layer.bias.float()).to(target.bias))


def fit_lora(file: LoRAFile, path: str, scale: float, parts: Mapping[str, Any], network: str, pipe: Any) -> FittedLoRA:
    """Fits a file to a pipeline; a remark names layers that are left out.

    Names are compared with those of the modules, in every trainer's spelling; the rest go through diffusers' own
    conversions, one layer at a time.

    Args:
        file: content of the file.
        path: its path, for messages.
        scale: multiplier of all updates.
        parts: modules of the pipeline by component: network and text encoders; their weights may be on meta.
        network: component of the network: unet or transformer.
        pipe: pipeline of diffusers, for its conversions.

    Raises:
        ValueError: most layers, or most layers for the network, do not fit.
    """
    spellings = {name: _spellings(part) for name, part in parts.items()}
    updates: dict[str, list[tuple[str, LayerUpdate]]] = {}
    unfit = sorted({name.rpartition(".")[0] or name for name in file.others})
    fitting, of_network = 0, [0, 0]
    for layer in file.layers:
        found = _find(layer, parts, spellings, network) or _convert(layer, parts, spellings, network, pipe)
        component, _ = _component(layer.name, network)
        if component == network:
            of_network[0 if found else 1] += 1
        fitting += bool(found)
        if not found:
            unfit.append(layer.name)
        for part, name, update in found:
            updates.setdefault(part, []).append((name, update))
    total = fitting + len(unfit)
    if unfit:
        _judge(path, file.base, fitting, total, of_network, unfit, pipe)
    return FittedLoRA(path, file.sha256, scale, updates)


def _judge(
    path: str, base: str, fitting: int, total: int, of_network: Sequence[int], unfit: Sequence[str], pipe: Any
) -> None:
    """Refuses a file most of whose layers do not fit, or adds a remark on the others."""
    names = ", ".join(unfit[:_SHOWN]) + (f" and {len(unfit) - _SHOWN} more" if len(unfit) > _SHOWN else "")
    trained, pipeline = f" (trained on {base})" if base else "", type(pipe).__name__
    known = "" if hasattr(pipe, "lora_state_dict") else f" (diffusers has no LoRA loader for {pipeline})"
    if 2 * fitting < total or of_network[1] > of_network[0]:
        raise ValueError(
            f"{path}{trained} does not fit this {pipeline}: {fitting} of {total} layers of the file are its own; not "
            f"{names}{known}; use one trained for it"
        )
    add_remark(f"{path}{trained}: {fitting} of {total} layers are merged, the others are no layers of this {pipeline} "
               f"and left out: {names}")  # fmt: skip


def _component(name: str, network: str) -> tuple[str, str]:
    """Returns the component that a layer's name says, the network where it says none, and the rest of the name."""
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    for prefix, component in _PREFIXES:
        if name.startswith(prefix):
            return component or network, name.removeprefix(prefix)
    return network, name


def _spellings(part: Any) -> dict[str, str]:
    """Returns the modules of a component with weights, by their names with underscores for dots."""
    return {
        name.replace(".", "_"): name
        for name, module in part.named_modules()
        if getattr(module, "weight", None) is not None
    }


def _find(
    layer: LoRALayer, parts: Mapping[str, Any], spellings: Mapping[str, Mapping[str, str]], network: str
) -> list[tuple[str, str, LayerUpdate]]:
    """Returns component, module and update of a layer that is named as a module, in any spelling; empty if none is."""
    component, name = _component(layer.name, network)
    if component == "text_encoder_3" not in parts:
        component = "text_encoder_2"  # kohya's name of T5, also where it is the second
    update = _update(layer)
    if component not in parts or update is None:
        return []
    for candidate in _candidates(name, component == network):
        module = spellings[component].get(candidate)
        if module is not None and update.fits(parts[component].get_submodule(module)):
            return [(component, module, update)]
    return []


def _candidates(name: str, of_network: bool) -> list[str]:
    """Returns the names, with underscores, that a layer of this name may have in the component."""
    flat = name.replace(".", "_")
    if of_network:
        plain = flat.replace("_processor_", "_")
        return [flat, plain, f"{plain}_0"] if plain.endswith("_to_out") else [flat, plain]
    start, _, end = flat.partition("_self_attn_")
    names = [flat] + ([f"{start}_self_attn_{_OLD_NAMES[end]}"] if end in _OLD_NAMES else [])
    return [spelling for each in names for spelling in (each, each.removeprefix("text_model_"), f"text_model_{each}")]


def _update(layer: LoRALayer) -> LayerUpdate | None:
    """Returns the update of a layer; None where a factor is missing."""
    factors = dict(split_factors(layer.tensors))
    if "A" not in factors or "B" not in factors:
        return None
    return LayerUpdate(factors["A"], factors["B"], layer.factor, factors.get("bias"))


def _convert(
    layer: LoRALayer, parts: Mapping[str, Any], spellings: Mapping[str, Mapping[str, str]], network: str, pipe: Any
) -> list[tuple[str, str, LayerUpdate]]:
    """Returns the modules and updates of a layer in another model's naming, by diffusers' conversion of it alone."""
    if not hasattr(pipe, "lora_state_dict"):
        return []
    options: dict[str, Any] = {"unet_config": pipe.unet.config} if network == "unet" else {}
    with silence("diffusers"):
        try:
            state, *_ = pipe.lora_state_dict(dict(layer.tensors), return_lora_metadata=True, **options)
        except (ValueError, KeyError, IndexError, RuntimeError, AttributeError, TypeError, AssertionError):
            return []  # no layer of a model that the conversion knows: it counts as one that does not fit
    found: list[tuple[str, str, LayerUpdate]] = []
    for name, tensors in group_layers(state).items():
        updates = _find(LoRALayer(name, tensors, layer.factor), parts, spellings, network)
        if not updates:
            return []
        found += updates
    return found
