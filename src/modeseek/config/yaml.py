"""Safe YAML subset: plain data without tags, anchors, aliases or duplicate keys, bounded in size and depth."""

from __future__ import annotations

import re
from typing import Any

from modeseek.io.errors import one_line

MAX_CHARACTERS = 100_000  # a configuration has a few thousand; this many are parsed within seconds
_MAX_DEPTH = 40  # levels of brackets or indentation

Plain = Any

_NUMBERS = (
    (
        "tag:yaml.org,2002:int",
        re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)\Z"),
        list("-+0123456789"),
    ),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"(?:[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+"
            r"|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN))\Z"
        ),
        list("-+0123456789."),
    ),
)


def read_yaml(text: str, name: str) -> Plain:
    """Plain data of YAML text: dicts, lists, strings, numbers, booleans and None.

    Raises:
        ValueError: the text is outside the subset; the one-line message names `name`, line and column.
    """
    import yaml

    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{name} must have at most {MAX_CHARACTERS} characters, got {len(text)}")
    try:
        forbidden = _forbidden(yaml.parse(text, Loader=yaml.SafeLoader))
        if forbidden is None:
            return yaml.load(text, Loader=_loader())  # a SafeLoader
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        position = "" if mark is None else f" line {mark.line + 1}, column {mark.column + 1}:"
        reason = one_line(problem or error, 200)
        raise ValueError(f"{name} is not valid YAML:{position} {reason}") from error
    except ValueError as error:  # such as the malformed number 0x_
        raise ValueError(f"{name} is not valid YAML: {one_line(error, 200)}") from error
    raise ValueError(f"{name} {forbidden}")


def write_yaml(plain: Plain) -> str:
    """Block-style YAML text from which `read_yaml` restores equal data."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Dumper without aliases, that quotes every string which another YAML parser may read as something else."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def represent_str(self, data: str) -> Any:
            style = None if data.isprintable() else '"'  # PyYAML would fold special line breaks
            return self.represent_scalar("tag:yaml.org,2002:str", data, style)

    Dumper.add_representer(str, Dumper.represent_str)
    Dumper.add_implicit_resolver(*_NUMBERS[1])
    return yaml.dump(plain, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)


def _forbidden(events: Any) -> str | None:
    """First construct outside the subset, with its line; None if there is none."""
    import yaml

    depth = 0
    for event in events:
        if getattr(event, "anchor", None) is not None:
            return f"line {event.start_mark.line + 1} has an anchor or alias; write the value out"
        tag = getattr(event, "tag", None)
        if tag is not None and not isinstance(event, yaml.events.DocumentStartEvent) and tag != "!":
            return f"line {event.start_mark.line + 1} has the tag {tag[:60]!r}; remove the tag"
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            return f"line {event.start_mark.line + 1} is nested deeper than {_MAX_DEPTH} levels; flatten it"
    return None


def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Loader that refuses duplicate keys, where YAML silently takes the last, and integers above 1024 bits.

        Dates, times (1:30 is 90 in YAML 1.1) and merges (<<) are read as text; 1e-3 is a number.
        """

        yaml_implicit_resolvers = {
            first: [(tag, shape) for tag, shape in resolvers if tag.rsplit(":", 1)[1] in ("bool", "null")]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys: set[Any] = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if isinstance(key, list | dict):
                    raise yaml.constructor.ConstructorError(None, None, "a key must be a scalar", key_node.start_mark)
                if key in keys:
                    raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", key_node.start_mark)
                keys.add(key)
            return super().construct_mapping(node, deep)

        def construct_yaml_int(self, node: Any) -> int:
            number = super().construct_yaml_int(node)
            if number.bit_length() > 1024:
                raise yaml.constructor.ConstructorError(None, None, "number out of range", node.start_mark)
            return number

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
    for resolver in _NUMBERS:
        Loader.add_implicit_resolver(*resolver)
    return Loader
