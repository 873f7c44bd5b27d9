"""YAML that holds data and nothing else: no tags, anchors or aliases, no key twice, bounded in size and depth."""

from __future__ import annotations

import re
from typing import Any

MAX_CHARACTERS = 100_000  # characters; a configuration has a few thousand, and this many are read within seconds
_DEEPEST = 40  # levels of brackets or indentation

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
    """What the text says: dicts, lists, strings, numbers, booleans and None.

    Raises:
        ValueError: not such YAML; one line that says where.
    """
    import yaml

    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{name} is no configuration: it has {len(text)} characters; the longest read is {MAX_CHARACTERS}")
    try:
        forbidden = _forbidden(yaml.parse(text, Loader=yaml.SafeLoader))
        if forbidden is None:
            return yaml.load(text, Loader=_loader())  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = "" if mark is None else f" line {mark.line + 1}, column {mark.column + 1}:"
        reason = " ".join(str(problem or error).split())[:200]
        raise ValueError(f"{name} is no YAML:{where} {reason}; mend it there") from error
    except ValueError as error:  # 0x_ and other numbers that are none
        raise ValueError(f"{name} is no configuration: {' '.join(str(error).split())[:200]}; mend it") from error
    raise ValueError(f"{name} {forbidden}")


def write_yaml(plain: Plain) -> str:
    """Block-style YAML that `read_yaml` reads back to equal data."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """No aliases: the same tuple twice is written twice. Text is quoted where any reader may take it otherwise."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def represent_str(self, data: str) -> Any:
            style = None if data.isprintable() else '"'  # PyYAML would fold some line breaks into others
            return self.represent_scalar("tag:yaml.org,2002:str", data, style)

    Dumper.add_representer(str, Dumper.represent_str)
    Dumper.add_implicit_resolver(*_NUMBERS[1])
    return yaml.dump(plain, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)


def _forbidden(events: Any) -> str | None:
    """What the text holds beyond data, and where."""
    import yaml

    depth = 0
    for event in events:
        if getattr(event, "anchor", None) is not None:
            return f"line {event.start_mark.line + 1} has an anchor or alias; write the value out"
        tag = getattr(event, "tag", None)
        if tag is not None and not isinstance(event, yaml.events.DocumentStartEvent) and tag != "!":
            return f"line {event.start_mark.line + 1} has the tag {tag[:60]!r}; leave tags out"
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            return f"line {event.start_mark.line + 1} is nested deeper than {_DEEPEST} levels; flatten it"
    return None


def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a key that stands twice, where YAML would silently take the last, and numbers beyond any use.

        Dates, times (1:30 is 90 in YAML 1.1) and merges (<<) are the text they look like; 1e-3 is a number.
        """

        yaml_implicit_resolvers = {
            first: [(tag, shape) for tag, shape in resolvers if tag.rsplit(":", 1)[1] in ("bool", "null")]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen: set[Any] = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if isinstance(key, list | dict):
                    raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
                if key in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", key_node.start_mark)
                seen.add(key)
            return super().construct_mapping(node, deep)

        def construct_yaml_int(self, node: Any) -> int:
            number = super().construct_yaml_int(node)
            if number.bit_length() > 1024:
                raise yaml.constructor.ConstructorError(None, None, "a number is beyond all use", node.start_mark)
            return number

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
    for resolver in _NUMBERS:
        Loader.add_implicit_resolver(*resolver)
    return Loader
