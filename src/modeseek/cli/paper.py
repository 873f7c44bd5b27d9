"""`modeseek paper`: the experiments of the mean-shift distillation paper, each as one command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from modeseek.cli.text_to_image import TextToImageCommand

EXPERIMENTS = {"text-to-image": TextToImageCommand}


@dataclass(frozen=True)
class PaperCommand:
    """Repeat an experiment of the mean-shift distillation paper (arXiv 2502.15989). Its 2-D one is modeseek toy."""

    experiment: (
        Annotated[
            TextToImageCommand,
            tyro.conf.subcommand("text-to-image", description=TextToImageCommand.__doc__, prefix_name=False),
        ]
        | Annotated[None, tyro.conf.Suppress]  # a choice needs two arms
    )

    def run(self, argv: Sequence[str]) -> None:
        """Runs it."""
        if self.experiment is None:
            raise ValueError(f"no experiment was named: known are {', '.join(EXPERIMENTS)}; modeseek paper --help")
        self.experiment.run(argv)
