"""Identity of a pipeline beside its network's weights: all configuration that may change numbers, field by field."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeseek.io.checksums import sha256_of
from modeseek.io.errors import reason
from modeseek.priors.pipeline.architectures import PipelineFamily
from modeseek.priors.pipeline.configurations import model_index, read_object
from modeseek.priors.pipeline.loading import UNUSED_COMPONENTS

# Fields that name a version, a path or a precision of the file, and parts that change no number of the prior.
_VOLATILE = ("transformers_version", "torch_dtype", "dtype", "name_or_path", "architectures", "is_local")
_UNUSED = (*UNUSED_COMPONENTS, "requires_safety_checker", "add_watermarker", "watermark")
_LONGEST = 200  # characters of a value that is kept as it is; a longer one is kept as its SHA-256


def read_configuration(folder: Path, family: PipelineFamily, pipe: Any) -> dict[str, Any]:
    """Reads all configuration of a loaded pipeline: "part/field" -> value.

    Fields of diffusers' components that have their default are left out, so that a folder which is saved again by
    another version remains the same. The version, paths and precisions of files do not count.

    Args:
        folder: folder of the pipeline.
        family: its family.
        pipe: the loaded pipeline, at least its scheduler, network and autoencoder.

    Raises:
        ValueError: a file cannot be read.
    """
    parts = text_configuration(folder)
    for name in ("scheduler", family.network, *(("vae",) if family.latent else ())):
        component = getattr(pipe, name)
        parts[name] = {"_class_name": type(component).__name__, **_changed(component)}
    return {f"{part}/{field}": _short(value) for part, fields in parts.items() for field, value in fields.items()}


def text_configuration(folder: Path) -> dict[str, dict[str, Any]]:
    """Reads the configuration that texts are encoded by: classes, text encoders and tokenizers, by file.

    Raises:
        ValueError: a file cannot be read.
    """
    index = {name: value for name, value in model_index(folder).items() if name not in _UNUSED}
    parts = {"model_index": _lasting(index)}
    for path in sorted((*folder.glob("text_encoder*/config.json"), *folder.glob("tokenizer*/*"))):
        if path.is_file() and not path.name.startswith("."):
            name = path.parent.name if path.name == "config.json" else path.relative_to(folder).as_posix()
            parts[name] = _read(path)
    return parts


def describe_changes(before: Mapping[str, Any], after: Mapping[str, Any], limit: int = 3) -> str:
    """Returns a phrase on the fields that differ between two configurations, at most `limit` of them; empty if none."""
    changed = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    phrases = [
        f"{name} changed"
        if _is_hash(before.get(name)) and _is_hash(after.get(name))
        else f"{name} was {_shown(before, name)} and is {_shown(after, name)}"
        for name in changed[:limit]
    ]
    return ", ".join(phrases) + (f", and {len(changed) - limit} more" if len(changed) > limit else "")


def _changed(component: Any) -> dict[str, Any]:
    """Returns the fields of a component of diffusers that differ from the defaults of its class."""
    defaults = {name: p.default for name, p in inspect.signature(type(component).__init__).parameters.items()}
    fields = _lasting(dict(component.config))
    return {
        name: value for name, value in fields.items() if value != _plain(defaults.get(name, inspect.Parameter.empty))
    }


def _lasting(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns fields without those that do not count, as JSON holds them."""
    kept = {name: value for name, value in fields.items() if name == "_class_name" or not name.startswith("_")}
    return {name: _plain(value) for name, value in sorted(kept.items()) if name not in _VOLATILE}


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=repr))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".json" and path.stem in ("config", "tokenizer_config", "special_tokens_map"):
            return _lasting(read_object(path))
        return {"sha256": sha256_of(path)}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {reason(error)}; save it again") from error


def _short(value: Any) -> Any:
    text = json.dumps(value)
    return value if len(text) <= _LONGEST else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value.removeprefix("sha256:")) == 64


def _shown(fields: Mapping[str, Any], name: str) -> str:
    text = json.dumps(fields[name]) if name in fields else "its default"
    return text if len(text) <= 40 else f"{text[:37]}..."
