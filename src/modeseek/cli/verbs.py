"""Table of the verbs of `modeseek`, and the overview that `modeseek --help` prints without loading any of them."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple


class Verb(NamedTuple):
    """Row of the table of verbs.

    Attributes:
        module: module of `modeseek.cli` with the dataclass of the options.
        command: name of that dataclass, which has a method `run(argv)`.
        summary: one-line description in the overview.
        example: arguments in the overview.
        distributed: whether several processes can run the command together (torchrun).
    """

    module: str
    command: str
    summary: str
    example: str = ""
    distributed: bool = False

    def load(self) -> type:
        """Imports the dataclass of the options."""
        return getattr(import_module(f"modeseek.cli.{self.module}"), self.command)


GROUPS: dict[str, dict[str, Verb]] = {
    "Make": {
        "image": Verb("image", "ImageCommand", "text to image by optimisation", '"an owl" --prior emoji', True),
        "svg": Verb("svg", "SvgCommand", "text to vector graphics (SVG)", '"an owl"', True),
        "edit": Verb("edit", "EditCommand", "edits of an image by text", 'IMAGE "a cat" --source "a dog"', True),
        "restore": Verb("restore", "RestoreCommand", "a damaged image made whole", 'IMAGE "a cat" --mask MASK', True),
        "shape": Verb("shape", "ShapeCommand", "text to 3D: NeRF, mesh, turntable", '"a red cone"', True),
        "paint": Verb("paint", "PaintCommand", "texture of a given mesh", 'MESH "a red cone"', True),
        "sample": Verb("sample", "SampleCommand", "samples of a pipeline, to compare with", '"an owl"'),
    },
    "Runs": {
        "run": Verb("run", "RunCommand", "any prior, method, generator, optimizer", "--method sds", True),
        "resume": Verb("resume", "ResumeCommand", "continue after Ctrl-C or a crash", "[RUN]", True),
        "list": Verb("list", "ListCommand", "runs, methods, priors, presets, words", "runs"),
        "inspect": Verb("inspect", "InspectCommand", "status and checksums of a run", "[RUN]"),
        "view": Verb("view", "ViewCommand", "live 3D viewer in the browser", "[RUN]"),
        "export": Verb("export", "ExportCommand", "mesh or images at any size", "[RUN] --format glb"),
        "render": Verb("render", "RenderCommand", "turntable film or still images", "[RUN] --size 512"),
        "sweep": Verb("sweep", "SweepCommand", "prompts x methods x seeds, or on Ray", "sweep.yaml"),
    },
    "Compare": {
        "compare": Verb("compare", "CompareCommand", "runs side by side", "RUN RUN"),
        "benchmark": Verb("benchmark", "BenchmarkCommand", "all methods at equal calls", "--problem ring"),
        "methods": Verb("method_list", "MethodsCommand", "formula, cost and paper of each method"),
        "cite": Verb("cite", "CiteCommand", "BibTeX of a method", "msd"),
    },
    "Study": {
        "toy": Verb("toy", "ToyCommand", "methods on a 2-D density that is known"),
        "modes": Verb("modes", "ModesCommand", "modes and clusters of a point set", "points.csv"),
        "paper": Verb("paper", "PaperCommand", "experiments on images and in 3-D", "text-to-image"),
        "exam": Verb("exam", "ExamCommand", "prompt accuracy of a text-to-image model"),
    },
    "Tools": {"doctor": Verb("doctor", "DoctorCommand", "versions, devices, memory of a pipeline")},
}
_OF_COMPARE = ("--out", "--help")
VERBS: dict[str, Verb] = {name: verb for verbs in GROUPS.values() for name, verb in verbs.items()}


def overview() -> str:
    """Returns the text of `modeseek --help`: one line a verb, 80 columns."""
    lines = [
        "usage: modeseek COMMAND [options]        modeseek COMMAND --help has the options",
        "Text to images, SVG and 3D by distilling diffusion priors: MSD, SDS, SDI, VSD, ...",
    ]
    for group, verbs in GROUPS.items():
        lines.append(f"{group}:")
        lines += [f"  {f'{name} {verb.example}':<37} {verb.summary}".rstrip() for name, verb in verbs.items()]
    lines += [
        "modeseek --version; --tyro-print-completion bash|zsh. Exit codes: 0 done, 2 invalid",
        "options, 1 failed run, 75 stopped and resumable.",
    ]
    return "\n".join(lines)


def current_name(args: list[str]) -> str:
    """Returns the verb of arguments; earlier names lead to those of today.

    `compare-runs RUN RUN` is `compare`, and `compare` with options alone, as `compare --problem ring`, is `benchmark`.
    """
    verb, rest = args[0], args[1:]
    if verb == "compare-runs":
        return "compare"
    if verb == "compare" and rest and rest[0].startswith("--") and rest[0] not in _OF_COMPARE:
        return "benchmark"
    return verb
