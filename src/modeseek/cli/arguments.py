"""Arguments as people type them: names of other tools, repeated options, sizes such as 512 and 512x512."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import tyro

_ALIASES = {
    "--guidance-scale": "--scale",
    "--negative-prompt": "--negative",
    "--num-inference-steps": "--steps",
    "--num-images-per-prompt": "--copies",
    "--resolution": "--size",
    "--learning-rate": "--lr",
    "--output-dir": "--out",
    "--output": "--out",
    "--model": "--prior",
}  # of diffusers and its training scripts
_TRACKERS = ("--wandb", "--tensorboard", "--trackio")
_PROMPTS = {"--prompt", "--prompts"}
_POSITIONAL = set(get_args(tyro.conf.Positional[int])[1:])  # the marker of tyro
_SIZE = re.compile(r"(\d+)[x×](\d+)")


def normalize(args: list[str], command: type) -> list[str]:
    """Returns arguments of a command with the names of its own options.

    `--guidance-scale 7.5` is `--scale 7.5`, `--prompt "a cat"` a positional prompt, `--size 512` and `--size 512x512`
    are `--size 512 512`, `--wandb` is `--tracker wandb`, and a repeated option that takes several values gets them all.

    Args:
        args: arguments after the verb.
        command: dataclass of the options.
    """
    hints = get_type_hints(command, include_extras=True)
    typed = {f"--{f.name.replace('_', '-')}": hints[f.name] for f in fields(command)}
    positional = {name for name, hint in typed.items() if _POSITIONAL <= set(get_args(hint)[1:])}
    known = {name: _bare(hint) for name, hint in typed.items()}
    args, literal = _split_at_end(args)
    renamed: list[str] = []
    trackers: list[str] = []
    for arg in args:
        name, equals, value = arg.partition("=")
        if not name.startswith("--"):
            renamed.append(arg)
            continue
        name = name.replace("_", "-")
        if name in _TRACKERS and "--tracker" in known:
            trackers += ["--tracker", name[2:]]
            continue
        name = _ALIASES[name] if name not in known and _ALIASES.get(name) in known else name
        renamed += [f"{name}={value}"] if value.startswith("-") else [name, value] if equals else [name]
    if positional & _PROMPTS:
        order = [name for name in typed if name in positional]
        renamed = _prompts_first(renamed, min(order.index(name) for name in positional & _PROMPTS))
    several = {name for name, hint in known.items() if _is_several(hint) and name not in positional}
    if "--size" in known:
        renamed = _with_sizes(renamed, pair=_is_pair(known["--size"]))
    return [*_merged([*renamed, *trackers], several), *literal]


def _split_at_end(args: list[str]) -> tuple[list[str], list[str]]:
    """Arguments before `--`, and those from it on, which are no options."""
    end = args.index("--") if "--" in args else len(args)
    return args[:end], args[end:]


def _prompts_first(args: list[str], before: int) -> list[str]:
    """Arguments with the values of `--prompt` and `--prompts` after the first `before` ones, positional too."""
    prompts: list[str] = []
    others: list[str] = []
    taking = others
    for arg in args:
        if arg in _PROMPTS:
            taking = prompts
            continue
        taking = others if arg.startswith("--") else taking
        taking.append(arg)
    return [*others[:before], *prompts, *others[before:]]


def _merged(args: list[str], several: set[str]) -> list[str]:
    """Arguments with one occurrence of each option that takes several values: a second one would replace the first."""
    values: dict[str, list[str]] = {}
    others, name = [], ""
    for arg in args:
        if arg.startswith("--"):
            name = arg if arg in several else ""
            if name:
                values.setdefault(name, [])
                continue
        (values[name] if name else others).append(arg)
    return [*others, *(part for name, given in values.items() for part in (name, *given))]


def _with_sizes(args: list[str], pair: bool) -> list[str]:
    """Arguments in which `--size` has height and width, or one side; what follows is positional and comes first."""
    result: list[str] = []
    first: list[str] = []
    index = 0
    while index < len(args):
        result.append(args[index])
        index += 1
        if result[-1] != "--size":
            continue
        given = [number for arg in args[index : index + 1] for number in _SIZE.findall(arg)]
        sides = list(given[0]) if given else [arg for arg in args[index : index + 2] if arg.isdigit()]
        index += 1 if given else len(sides)
        sides = (sides * 2)[:2] if pair else sides[:1] if len(set(sides)) == 1 else sides
        result += sides
        while sides and index < len(args) and not args[index].startswith("-"):
            first.append(args[index])
            index += 1
    return [*first, *result]


def _bare(hint: Any) -> Any:
    """A type without its annotations."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _is_several(hint: Any) -> bool:
    """Whether an option takes any number of values."""
    return get_origin(hint) is tuple and get_args(hint)[-1:] == (Ellipsis,)


def _is_pair(hint: Any) -> bool:
    """Whether an option takes two numbers."""
    return any(get_args(part) == (int, int) for part in get_args(hint))
