"""Method of a run, given by its name or as an object."""

from __future__ import annotations

from modeseek.config.lookup import look_up
from modeseek.config.registry import ALL_METHODS
from modeseek.methods.base import Method, check_method


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
