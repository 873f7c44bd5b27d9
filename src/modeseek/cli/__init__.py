"""The command line: one file a verb, and one place where a user's mistake becomes one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from modeseek.cli.modes import ModesCommand
from modeseek.cli.toy import ToyCommand

_ABOUT = """Mode seeking with diffusion priors: mean-shift distillation (MSD), score distillation and their relatives.

modeseek toy                              the fractal, with its ideal denoiser: figures and a table
modeseek toy --problem digits --label 3   modes of handwritten threes under a prior trained here
modeseek modes points.csv --bandwidth 0.5 modes and labels of your own points

modeseek COMMAND --help explains each; modeseek --version tells the version."""

Command = (
    Annotated[ToyCommand, tyro.conf.subcommand("toy", description=ToyCommand.__doc__)]
    | Annotated[ModesCommand, tyro.conf.subcommand("modes", description=ModesCommand.__doc__)]
)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command. A user's mistake ends with one line on stderr and exit code 2."""
    args = list(sys.argv[1:] if argv is None else argv)
    if args in (["--version"], ["-V"]):
        from modeseek import __version__

        print(f"modeseek {__version__}")
        return
    try:
        command = tyro.cli(
            Command,
            prog="modeseek",
            description=_ABOUT,
            args=args or ["--help"],
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagConversionOff),
        )
        command.run(["modeseek", *args])
    except KeyboardInterrupt:
        print("modeseek: stopped; nothing was written", file=sys.stderr)
        sys.exit(130)
    except (ValueError, TypeError, FloatingPointError, OSError) as error:
        print(f"modeseek: error: {one_line(error)}", file=sys.stderr)
        sys.exit(2)


def one_line(error: Exception) -> str:
    """What to tell of a mistake."""
    if isinstance(error, OSError) and error.strerror:
        place = f" {error.filename}" if error.filename else ""
        return f"cannot read or write{place}: {error.strerror}; choose another place"
    return " ".join(str(error).split())
