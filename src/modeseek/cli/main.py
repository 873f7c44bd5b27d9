"""`modeseek COMMAND`: table of verbs and entry point."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Annotated, Any, NamedTuple

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
from modeseek.cli.path_options import PATH_OPTIONS
from modeseek.cli.resume import ResumeCommand
from modeseek.cli.run import RunCommand
from modeseek.cli.sample import SampleCommand
from modeseek.cli.shape import ShapeCommand
from modeseek.cli.sweep import SweepCommand
from modeseek.cli.toy import ToyCommand
from modeseek.cli.view import ViewCommand
from modeseek.io.remarks import plain_remarks
from modeseek.runs.process_group import init_process_group


class Verb(NamedTuple):
    """Row of the table of verbs.

    Attributes:
        command: dataclass of the options, with a method `run(argv)`.
        example: arguments of the example in the overview.
        summary: one-line description in the overview; verbs without one are not listed there.
        distributed: whether several processes can run the command together (torchrun).
    """

    command: type
    example: str = ""
    summary: str = ""
    distributed: bool = False


VERBS = {
    "toy": Verb(ToyCommand, summary="comparison of methods on a 2-D fractal: figures and a table"),
    "run": Verb(
        RunCommand, "--prior ring --method msd", "one run: checkpoints, metrics, images, HTML report", distributed=True
    ),
    "image": Verb(
        ImageCommand, '"an owl" --prior emoji', "text to image under scenes, emoji or a pipeline", distributed=True
    ),
    "shape": Verb(
        ShapeCommand,
        '"a red cone on a blue cube"',
        "text to 3D: NeRF, mesh, turntable video, HTML report",
        distributed=True,
    ),
    "sample": Verb(SampleCommand),
    "resume": Verb(
        ResumeCommand, "RUN", "continuation of a run after Ctrl-C, a crash or a full disk", distributed=True
    ),
    "list": Verb(ListCommand),
    "inspect": Verb(InspectCommand),
    "compare": Verb(CompareCommand, "--problem ring", "benchmark of all methods at equal prior calls"),
    "methods": Verb(MethodsCommand, summary="list of methods: formula, cost, paper; modeseek cite NAME prints BibTeX"),
    "cite": Verb(CiteCommand),
    "compare-runs": Verb(CompareRunsCommand),
    "modes": Verb(ModesCommand, "points.csv --bandwidth 0.5", "modes and cluster labels of a point set"),
    "paper": Verb(PaperCommand, "text-to-image --prior ...", "experiments of the paper: metrics and images per method"),
    "exam": Verb(ExamCommand),
    "sweep": Verb(SweepCommand, "sweep.yaml", "prompts or settings x methods x seeds, locally or on a Ray cluster"),
    "view": Verb(ViewCommand, "RUN", "live 3D viewer of a run in the browser"),
    "doctor": Verb(DoctorCommand),
}
Command: Any = reduce(
    or_,
    (
        Annotated[verb.command, tyro.conf.subcommand(name, description=verb.command.__doc__)]
        for name, verb in VERBS.items()
    ),
)
_DISTRIBUTED = tuple(verb.command for verb in VERBS.values() if verb.distributed)
_OVERVIEW = "\n".join(
    f"- {f'modeseek {name} {verb.example}':<43} {verb.summary}" for name, verb in VERBS.items() if verb.summary
)
_ABOUT = f"""Mode seeking with diffusion priors: mean-shift distillation (MSD), score distillation and related methods.

{_OVERVIEW}

modeseek COMMAND --help shows the options of a command, modeseek --version the version; modeseek
--tyro-print-completion bash (or zsh) prints shell completions. Exit codes: 0 success, 2 invalid options or settings,
1 failed run, 75 stopped and resumable."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command; an invalid option ends with one line on stderr and exit code 2."""
    args = _merge_set_options(list(sys.argv[1:] if argv is None else argv))
    if args in (["--version"], ["-V"]):
        from modeseek import __version__

        print(f"modeseek {__version__}")
        return
    with exit_on_error():
        if args and not args[0].startswith("-"):
            look_up("command", args[0], VERBS)
            if args[0] == "paper" and args[1:] and not args[1].startswith("-"):
                look_up("experiment", args[1], EXPERIMENTS)
        with PATH_OPTIONS:
            command = tyro.cli(
                Command,
                prog="modeseek",
                description=_ABOUT,
                args=args or ["--help"],
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
            )
        with (
            init_process_group() as group,
            exit_on_error(),
            group.propagate_errors(),
            plain_remarks(group.is_main_process),
        ):
            n_processes = group.distributed.size
            if n_processes > 1 and not isinstance(command, _DISTRIBUTED):
                raise ValueError(
                    f"modeseek {args[0]} must run in one process, got {n_processes}; try it without torchrun"
                )
            command.run(["modeseek", *args])


def _merge_set_options(args: list[str]) -> list[str]:
    """Merges `--set a=1 --set b=2` into `--set a=1 b=2`: a repeated option would replace its earlier values."""
    starts = [i for i, arg in enumerate(args) if arg == "--set"]
    if len(starts) < 2:
        return args
    ends = [next((j for j in range(i + 1, len(args)) if args[j].startswith("--")), len(args)) for i in starts]
    settings = [arg for i, end in zip(starts, ends, strict=True) for arg in args[i + 1 : end]]
    others = [arg for j, arg in enumerate(args) if not any(i <= j < end for i, end in zip(starts, ends, strict=True))]
    return [*others, "--set", *settings]
