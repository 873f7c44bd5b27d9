"""`modeseek COMMAND`: entry point. Only the command that was typed is imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Annotated, Any

from modeseek.cli.verbs import VERBS, current_name, overview

_COMPLETION = "--tyro-print-completion"


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command; an invalid option ends with one line on stderr and exit code 2."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("--help", "-h", "help"):
        print(overview())
        return
    if args in (["--version"], ["-V"]):
        from modeseek import __version__

        print(f"modeseek {__version__}")
        return
    args[0] = current_name(args)
    from modeseek.cli.errors import exit_on_error
    from modeseek.io.remarks import plain_remarks
    from modeseek.runs.process_group import init_process_group

    with exit_on_error():
        command = _parse(args)
        with (
            init_process_group() as group,
            exit_on_error(),
            group.propagate_errors(),
            plain_remarks(group.is_main_process),
        ):
            n_processes = group.distributed.size
            if n_processes > 1 and not VERBS[args[0]].distributed:
                raise ValueError(
                    f"modeseek {args[0]} must run in one process, got {n_processes}; try it without torchrun"
                )
            command.run(["modeseek", *args])


def _parse(args: list[str]) -> Any:
    """Options of the command that was typed, as its dataclass; exits on an invalid option, and after `--help`."""
    import tyro

    from modeseek.cli.arguments import normalize
    from modeseek.cli.path_options import PATH_OPTIONS
    from modeseek.config.lookup import look_up

    config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    with PATH_OPTIONS:
        if args[0].startswith("-"):
            return tyro.cli(_all_commands(), prog="modeseek", args=args, config=config)
        command, rest, prog = look_up("command", args[0], VERBS).load(), args[1:], f"modeseek {args[0]}"
        if args[0] == "paper" and rest and not rest[0].startswith("-"):
            from modeseek.cli.paper import EXPERIMENTS

            rest = [rest[0], *normalize(rest[1:], look_up("experiment", rest[0], EXPERIMENTS))]
        else:
            rest = normalize(rest, command)
        about = _dense(command.__doc__ or "")
        return tyro.cli(command, prog=prog, description=about, args=rest, config=config)


def _all_commands() -> Any:
    """Union of all commands, for shell completion."""
    import tyro

    commands = (Annotated[verb.load(), tyro.conf.subcommand(name)] for name, verb in VERBS.items())
    return reduce(or_, commands)


def _dense(doc: str) -> str:
    """A docstring as help text: its indentation removed, and its examples on lines without blank ones between."""
    import inspect

    text, heading, examples = inspect.cleandoc(doc).partition("Examples:\n")
    lines = [line for line in examples.split("\n") if line.strip()]
    return text + heading + "\n".join(lines)
