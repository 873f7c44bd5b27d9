"""Serialization of nested states as JSON and tensors, without pickle.

Numbers, strings, None, tuples, lists, dicts and frozen dataclasses are written by value; modules, optimizers and random
generators are written as their state and loaded into the object at the same path of a template.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from modeseek.config.serialization import UNIONS
from modeseek.io.errors import one_line

Plain = Any

_OBJECTS = {"module": nn.Module, "optimizer": torch.optim.Optimizer, "rng": torch.Generator}
_DTYPES = {  # dtypes that every release of safetensors supports
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16),
    *(torch.float32, torch.float64, torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2),
}


def pack(value: Any, tensors: dict[str, Tensor], path: str = "state") -> Plain:
    """JSON data for `value`; its tensors are added to `tensors` under their path.

    Raises:
        TypeError: the value at the named path cannot be saved.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, Tensor):
        return _pack_tensor(value, tensors, path)
    if isinstance(value, nn.Module):
        return {"module": pack(dict(value.state_dict()), tensors, path)}
    if isinstance(value, torch.optim.Optimizer):
        return {"optimizer": pack(value.state_dict(), tensors, path), "kind": type(value).__name__}
    if isinstance(value, torch.Generator):
        return {"rng": pack(value.get_state(), tensors, path), "device": str(value.device)}
    if isinstance(value, tuple) and not hasattr(value, "_fields"):  # a named tuple would lose its field names
        return {"tuple": [pack(part, tensors, f"{path}.{i}") for i, part in enumerate(value)]}
    if isinstance(value, list):
        return [pack(part, tensors, f"{path}.{i}") for i, part in enumerate(value)]
    if isinstance(value, Mapping):
        return {"dict": [[_pack_key(k, path), pack(v, tensors, f"{path}.{k}")] for k, v in value.items()]}
    if is_dataclass(value) and not isinstance(value, type):
        values = {f.name: pack(getattr(value, f.name), tensors, f"{path}.{f.name}") for f in fields(value) if f.init}
        return {"type": type(value).__name__, "fields": values}
    raise TypeError(f"a checkpoint cannot save {path}: got a {type(value).__name__}; use tensors, numbers or modules")


def _pack_tensor(value: Tensor, tensors: dict[str, Tensor], path: str) -> Plain:
    if isinstance(value, nn.Parameter):  # an optimizer would keep updating that of the template
        raise TypeError(
            f"a checkpoint cannot save {path}: got a parameter by itself; save the module that it belongs to"
        )
    if value.dtype not in _DTYPES or value.layout is not torch.strided or value.is_nested or value.is_meta:
        kind = f"{value.dtype}, {value.layout}, on {value.device.type}"
        raise TypeError(f"a checkpoint cannot save {path}: got a tensor of {kind}; use dense real numbers")
    key = path
    while key in tensors:  # {"a.b": x, "a": {"b": y}} has this path twice
        key += "'"
    tensors[key] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
    return {"tensor": key, "cpu": value.device.type == "cpu"}


def _pack_key(key: Any, path: str) -> Plain:
    if not (key is None or isinstance(key, bool | int | float | str | tuple)):
        raise TypeError(f"a checkpoint cannot save a key of {path}: got a {type(key).__name__}; use text or numbers")
    if isinstance(key, tuple):
        return {"tuple": [_pack_key(part, path) for part in key]}
    return pack(key, {}, path)


def unpack(
    plain: Plain,
    tensors: Mapping[str, Tensor],
    template: Any,
    device: torch.device | str = "cpu",
    path: str = "state",
    hint: Any = None,
) -> Any:
    """Inverse of `pack`; `template` holds modules, optimizers and dataclass types at the same paths.

    Raises:
        ValueError: the state at the named path does not fit the template.
    """
    for key, kind in _OBJECTS.items():
        if isinstance(template, kind) and not (isinstance(plain, dict) and key in plain):
            raise ValueError(
                f"{path} is a {type(template).__name__} now and was none; resume with the version that wrote it"
            )
    if isinstance(plain, list):
        return [unpack(p, tensors, _at(template, i), device, f"{path}.{i}") for i, p in enumerate(plain)]
    if not isinstance(plain, dict):
        return plain
    if "float" in plain:
        return float(plain["float"])
    if "tensor" in plain:
        if plain["tensor"] not in tensors:
            raise ValueError(f"{path} has no tensor in the file")
        tensor = tensors[plain["tensor"]].clone()
        return tensor if plain["cpu"] else tensor.to(device)
    if "tuple" in plain:
        return tuple(unpack(p, tensors, _at(template, i), device, f"{path}.{i}") for i, p in enumerate(plain["tuple"]))
    if "dict" in plain:
        pairs = [(unpack(k, tensors, None), v) for k, v in plain["dict"]]
        values = {k: unpack(v, tensors, _at(template, k), device, f"{path}.{k}") for k, v in pairs}
        for key, object_ in template.items() if isinstance(template, Mapping) else ():
            if key not in values and isinstance(object_, tuple(_OBJECTS.values())):
                raise ValueError(f"{path}.{key} is a {type(object_).__name__} now and was not saved")
        return values
    if "type" in plain:
        return _unpack_dataclass(plain, tensors, template, device, path, hint)
    return _load_object(plain, tensors, template, device, path)


def _unpack_dataclass(
    plain: Plain, tensors: Mapping[str, Tensor], template: Any, device: torch.device | str, path: str, hint: Any
) -> Any:
    kind = _type(plain["type"], template, hint, path)
    try:
        hints = get_type_hints(kind)
    except NameError:  # a class inside a function or behind TYPE_CHECKING: only the template is left
        hints = {}
    values = {
        name: unpack(p, tensors, getattr(template, name, None), device, f"{path}.{name}", hints.get(name))
        for name, p in plain["fields"].items()
    }
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is another {kind.__name__} now: {one_line(error)}") from error


def _load_object(
    plain: Plain, tensors: Mapping[str, Tensor], template: Any, device: torch.device | str, path: str
) -> Any:
    """The object of the template, with the saved state loaded into it."""
    if "rng" in plain:
        try:
            rng = template if isinstance(template, torch.Generator) else torch.Generator(plain["device"])
            rng.set_state(unpack(plain["rng"], tensors, None, device, path))
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"{path} does not fit: {one_line(error)}") from error
        return rng
    for key, kind in (("module", nn.Module), ("optimizer", torch.optim.Optimizer)):
        if key in plain:
            if not isinstance(template, kind):
                raise ValueError(f"{path} was a {key} and is none now: got {type(template).__name__}")
            if plain.get("kind", name := type(template).__name__) != name:
                raise ValueError(f"{path} was a {plain['kind']}, got {name}; resume with the version that wrote it")
            try:
                state = unpack(plain[key], tensors, None, device, path)
                if isinstance(template, nn.Module):
                    _check_dtypes(state, template, path)
                template.load_state_dict(state)
            except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
                raise ValueError(f"{path} does not fit: {one_line(error)}") from error
            return template
    raise ValueError(f"{path} has an unknown encoding: got {sorted(plain)}")


def _check_dtypes(state: Any, module: nn.Module, path: str) -> None:
    """Raises ValueError where load_state_dict would silently convert the dtype."""
    for name, current in module.state_dict().items():
        saved = state.get(name)
        if isinstance(saved, Tensor) and isinstance(current, Tensor) and saved.dtype != current.dtype:
            raise ValueError(f"{path}.{name} was of {saved.dtype} and is of {current.dtype}")


def _type(name: str, template: Any, hint: Any, path: str) -> type:
    """Dataclass of that name: that of the template, or one that the type hint of the field allows."""
    candidates = [k for k in (type(template), *_members(hint)) if isinstance(k, type) and is_dataclass(k)]
    for kind in candidates:
        if kind.__name__ == name:
            return kind
    expected = ", ".join(k.__name__ for k in candidates) or "no dataclass"
    raise ValueError(f"{path} was a {name}, expected {expected}; resume with the method that wrote it")


def _members(hint: Any) -> list[Any]:
    return list(get_args(hint)) if get_origin(hint) in UNIONS else [hint]


def _at(template: Any, key: Any) -> Any:
    if isinstance(template, Mapping):
        return template.get(key)
    if isinstance(template, tuple | list) and isinstance(key, int) and key < len(template):
        return template[key]
    return None
