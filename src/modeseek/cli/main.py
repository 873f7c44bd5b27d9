"""`modeseek COMMAND`: the table of verbs, and the entry point."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from modeseek.cli.cite import CiteCommand
from modeseek.cli.compare import CompareCommand
from modeseek.cli.compare_runs import CompareRunsCommand
from modeseek.cli.doctor import DoctorCommand
from modeseek.cli.errors import exit_on_error
from modeseek.cli.exam import ExamCommand
from modeseek.cli.image import ImageCommand
from modeseek.cli.inspect import InspectCommand
from modeseek.cli.list import ListCommand
from modeseek.cli.lookup import look_up
from modeseek.cli.method_list import MethodsCommand
from modeseek.cli.modes import ModesCommand
from modeseek.cli.paper import EXPERIMENTS, PaperCommand
from modeseek.cli.resume import ResumeCommand
from modeseek.cli.run import RunCommand
from modeseek.cli.sample import SampleCommand
from modeseek.cli.shape import ShapeCommand
from modeseek.cli.sweep import SweepCommand
from modeseek.cli.toy import ToyCommand
from modeseek.cli.view import ViewCommand
from modeseek.runs.process_group import init_process_group

_ABOUT = """Mode seeking with diffusion priors: mean-shift distillation (MSD), score distillation and their relatives.

- modeseek toy                              methods against each other on the fractal: figures and a table
- modeseek run --prior ring --method msd    one run: checkpoints, metrics, pictures, a report
- modeseek image "a red cone" --prior PATH  pictures under a diffusers pipeline
- modeseek shape "a red cone on a blue cube" a thing to turn: volume, mesh, turntable, page
- modeseek paper text-to-image --prior ...  the paper's comparison of methods, in numbers and pictures
- modeseek resume RUN                       go on with it after Ctrl-C, a crash or a full disk
- modeseek view RUN                         a run in the browser, live: turn it, go back in time, cut it open
- modeseek sweep sweep.yaml                 prompts or settings x methods x seeds, here or on a Ray cluster
- modeseek compare --problem ring           every method at the same number of prior calls
- modeseek methods                          what there is: formula, cost, paper; modeseek cite NAME prints BibTeX
- modeseek modes points.csv --bandwidth 0.5 modes and labels of your own points

modeseek COMMAND --help explains each; modeseek --version tells the version; modeseek --tyro-print-completion bash
(or zsh) prints completions for your shell. Exit codes: 0 done, 2 a mistake in what was asked, 1 a run that
went wrong, 75 stopped and resumable."""

_VERBS = {
    "toy": ToyCommand,
    "run": RunCommand,
    "image": ImageCommand,
    "shape": ShapeCommand,
    "sample": SampleCommand,
    "resume": ResumeCommand,
    "list": ListCommand,
    "inspect": InspectCommand,
    "compare": CompareCommand,
    "compare-runs": CompareRunsCommand,
    "sweep": SweepCommand,
    "view": ViewCommand,
    "methods": MethodsCommand,
    "cite": CiteCommand,
    "modes": ModesCommand,
    "paper": PaperCommand,
    "exam": ExamCommand,
    "doctor": DoctorCommand,
}
_SHARED = (RunCommand, ResumeCommand, ImageCommand, ShapeCommand)  # what several processes can work on
Command = (
    Annotated[ToyCommand, tyro.conf.subcommand("toy", description=ToyCommand.__doc__)]
    | Annotated[RunCommand, tyro.conf.subcommand("run", description=RunCommand.__doc__)]
    | Annotated[ImageCommand, tyro.conf.subcommand("image", description=ImageCommand.__doc__)]
    | Annotated[ShapeCommand, tyro.conf.subcommand("shape", description=ShapeCommand.__doc__)]
    | Annotated[SampleCommand, tyro.conf.subcommand("sample", description=SampleCommand.__doc__)]
    | Annotated[ResumeCommand, tyro.conf.subcommand("resume", description=ResumeCommand.__doc__)]
    | Annotated[ListCommand, tyro.conf.subcommand("list", description=ListCommand.__doc__)]
    | Annotated[InspectCommand, tyro.conf.subcommand("inspect", description=InspectCommand.__doc__)]
    | Annotated[CompareCommand, tyro.conf.subcommand("compare", description=CompareCommand.__doc__)]
    | Annotated[MethodsCommand, tyro.conf.subcommand("methods", description=MethodsCommand.__doc__)]
    | Annotated[CiteCommand, tyro.conf.subcommand("cite", description=CiteCommand.__doc__)]
    | Annotated[CompareRunsCommand, tyro.conf.subcommand("compare-runs", description=CompareRunsCommand.__doc__)]
    | Annotated[ModesCommand, tyro.conf.subcommand("modes", description=ModesCommand.__doc__)]
    | Annotated[PaperCommand, tyro.conf.subcommand("paper", description=PaperCommand.__doc__)]
    | Annotated[ExamCommand, tyro.conf.subcommand("exam", description=ExamCommand.__doc__)]
    | Annotated[SweepCommand, tyro.conf.subcommand("sweep", description=SweepCommand.__doc__)]
    | Annotated[ViewCommand, tyro.conf.subcommand("view", description=ViewCommand.__doc__)]
    | Annotated[DoctorCommand, tyro.conf.subcommand("doctor", description=DoctorCommand.__doc__)]
)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command. A user's mistake ends with one line on stderr and exit code 2."""
    args = _together(list(sys.argv[1:] if argv is None else argv))
    if args in (["--version"], ["-V"]):
        from modeseek import __version__

        print(f"modeseek {__version__}")
        return
    with exit_on_error():
        if args and not args[0].startswith("-"):
            look_up("command", args[0], _VERBS)
            if args[0] == "paper" and args[1:] and not args[1].startswith("-"):
                look_up("experiment", args[1], EXPERIMENTS)
        command = tyro.cli(
            Command,
            prog="modeseek",
            description=_ABOUT,
            args=args or ["--help"],
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        )
        with init_process_group() as crew, exit_on_error(), crew.propagate_errors():
            if crew.distributed.size > 1 and not isinstance(command, _SHARED):
                raise ValueError(f"modeseek {args[0]} works in one process: got {crew.distributed.size}; start it by itself")
            command.run(["modeseek", *args])


def _together(args: list[str]) -> list[str]:
    """`--set a=1 --set b=2` as `--set a=1 b=2`: said again, an option would forget what it was told before."""
    places = [i for i, arg in enumerate(args) if arg == "--set"]
    if len(places) < 2:
        return args
    ends = [next((j for j in range(i + 1, len(args)) if args[j].startswith("--")), len(args)) for i in places]
    told = [arg for i, end in zip(places, ends, strict=True) for arg in args[i + 1 : end]]
    rest = [arg for j, arg in enumerate(args) if not any(i <= j < end for i, end in zip(places, ends, strict=True))]
    return [*rest, "--set", *told]
