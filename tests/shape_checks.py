"""Checks of annotated shapes that are made once for arguments and results of the same types, shapes and dtypes.

`jaxtyping.jaxtyped` checks every call, and its checks take three quarters of the time of the tests. What they decide
depends on types, shapes and dtypes alone, and on values where an annotation lists them (`Literal`): a call like one
that passed is not checked again, unless chance had a part in it. The checks of a function are built when it is first
called.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
import typing
from collections.abc import Callable, Hashable
from types import FunctionType
from typing import Any

import jaxtyping
import numpy
import torch

JAXTYPED = jaxtyping.jaxtyped
ITEMS = 16  # of a container that are looked at

PASSED: dict[int, Passed] = {}  # by the id of the code

Look = Callable[[Any], Hashable]


class Uncertain(Exception):
    """What the checks decide depends on chance: of many or unlike items the type checker looks at one."""


def jaxtyped(fn: Any = None, *, typechecker: Any) -> Any:
    """What the import hook puts before every function and class, in place of `jaxtyping.jaxtyped`."""
    if fn is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    if not isinstance(fn, type):
        return check_once(fn, typechecker)
    if dataclasses.is_dataclass(fn) and not hasattr(fn.__init__, "checked_once"):
        fn.__init__ = check_once(fn.__init__, typechecker)
    return fn


class Passed:
    """What passed the checks of one piece of code, whichever closures it is made into."""

    def __init__(self, fn: Callable[..., Any], typechecker: Any) -> None:
        self.fn = fn  # held, so that no other code gets the id of its code
        self.typechecker = typechecker
        self.arguments: set[Hashable] = set()
        self.results: set[Hashable] = set()
        self._held = threading.local()

    @functools.cached_property
    def look(self) -> Look:
        """What the checks see of an argument or a result; annotations are read at the first call."""
        text = annotations(self.fn)
        return looking(values="Literal" in text, variadic=", ...]" in text)

    @functools.cached_property
    def _deliver(self) -> Callable[..., Any]:
        """Takes the arguments of fn and returns the result that is held, both checked."""
        held = self._held

        def deliver(*args: Any, **kwargs: Any) -> Any:
            return held.result

        # Annotations are read in the module of fn.
        stub = FunctionType(deliver.__code__, self.fn.__globals__, closure=deliver.__closure__)
        return JAXTYPED(functools.update_wrapper(stub, self.fn), typechecker=self.typechecker)

    def check_result(self, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Checks what was returned for these arguments."""
        self._held.result = result
        try:
            self._deliver(*args, **kwargs)
        finally:
            del self._held.result


def check_once(fn: Callable[..., Any], typechecker: Any) -> Callable[..., Any]:
    """Returns fn, checked by jaxtyping at each call that is unlike all that passed."""
    passed = PASSED.get(id(fn.__code__)) or PASSED.setdefault(id(fn.__code__), Passed(fn, typechecker))
    whole = None

    @functools.wraps(fn)
    def checked(*args: Any, **kwargs: Any) -> Any:
        nonlocal whole
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return fn(*args, **kwargs)
        look = passed.look
        try:
            given: Hashable = (
                (*map(look, args), *kwargs, *map(look, kwargs.values())) if kwargs else (*map(look, args),)
            )
        except Uncertain:
            given = None
        known = given is not None and given in passed.arguments
        if known:
            result = fn(*args, **kwargs)
        else:
            whole = whole or JAXTYPED(fn, typechecker=typechecker)
            result = whole(*args, **kwargs)
        if given is None:
            return result
        try:
            both = given, look(result)
        except Uncertain:
            both = None
        if both not in passed.results:
            if known:
                passed.check_result(result, args, kwargs)
            passed.arguments.add(given)
            if both is not None:
                passed.results.add(both)
        return result

    checked.checked_once = True
    return checked


def annotations(fn: Callable[..., Any]) -> str:
    """Annotations of a function as text; of those that cannot be read, all that matters."""
    try:
        return repr(typing.get_type_hints(fn, include_extras=True))
    except Exception:  # a name that only type checkers import
        return "Literal, ...]"


@functools.cache
def looking(values: bool, variadic: bool) -> Look:
    """Returns a function from an object to what the checks see of it.

    Args:
        values: an annotation lists values, so that texts and integers are seen themselves.
        variadic: of the items of a tuple the checks may look at one, as of those of a list.
    """
    looks: dict[type, Look | None] = {}  # None: the type alone

    def look(x: Any) -> Hashable:
        kind = type(x)
        try:
            at = looks[kind]
        except KeyError:
            at = looks[kind] = choose(kind)
        return kind if at is None else at(x)

    def array(x: Any) -> Hashable:
        return type(x), x.shape, x.dtype

    def items(x: Any) -> Hashable:
        kinds = set(map(look, x)) if len(x) <= ITEMS else ()
        if len(kinds) != min(len(x), 1):
            raise Uncertain
        return type(x), len(x), *kinds

    def parts(x: Any) -> Hashable:
        return items(x) if variadic or len(x) > ITEMS else (type(x), *map(look, x))

    def pairs(x: Any) -> Hashable:
        if len(x) > ITEMS:
            raise Uncertain
        return type(x), *map(look, x), *map(look, x.values())

    def itself(x: Any) -> Hashable:
        return type(x), x

    def choose(kind: type) -> Look | None:
        if issubclass(kind, (torch.Tensor, numpy.ndarray)):
            return array
        if issubclass(kind, tuple):
            return parts
        if issubclass(kind, (list, set, frozenset)):
            return items
        if issubclass(kind, dict):
            return pairs
        return itself if issubclass(kind, type) or (values and issubclass(kind, (str, int, bytes))) else None

    return look
