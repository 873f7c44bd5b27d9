"""Method of a run, given by its name or as an object."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modeseek.config.lookup import look_up
from modeseek.config.registry import ALL_METHODS
from modeseek.methods.base import Method, check_method


def follow_auxiliary(given: Method, default: Method | None) -> Method:
    """Returns a given method with auxiliary and camera of the default one, where its own are those of its class.

    So a second score that was not chosen follows prior and generator: a LoRA on pipelines, a small network elsewhere,
    conditioned on the camera in 3-D.

    Args:
        given: method with its own settings.
        default: method of the same name with the default settings under a prior and a generator; None: of its class.
    """
    names = [name for name in ("auxiliary", "camera") if name in vars(given)]
    if default is None or "auxiliary" not in names:
        return given
    first: dict[str, Any] = vars(type(given)())
    if any(vars(given)[name] != first[name] for name in names):
        return given
    return replace(given, **{name: vars(default)[name] for name in names})  # pyright: ignore[reportArgumentType]


def choose_method(method: str | Method | None) -> tuple[str, Method | None]:
    """Returns the registered name of a method, msd by default, and the method itself where it was given as an object.

    Raises:
        ValueError: an unknown name.
        TypeError: neither a name nor a method, or a method that no name and no import path leads to.
    """
    if method is None:
        return "msd", None
    if isinstance(method, str):
        look_up("method", method, ALL_METHODS)
        return method, None
    check_method(method, "a name or an object such as ms.SDS()")
    name = ALL_METHODS.name_of(method)
    if name is None:
        kind = type(method)
        raise TypeError(
            f"a run stores its method by name, and {kind.__qualname__} of {kind.__module__} can be imported by none; "
            "make it a dataclass in a module, or use ms.distill"
        )
    return name, method
