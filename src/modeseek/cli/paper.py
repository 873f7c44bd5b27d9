"""`modeseek paper`: experiments of the mean-shift distillation paper, one subcommand each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from modeseek.cli.paper_text_to_3d import TextTo3DCommand
from modeseek.cli.paper_text_to_image import TextToImageCommand

EXPERIMENTS = {"text-to-image": TextToImageCommand, "text-to-3d": TextTo3DCommand}


@dataclass(frozen=True)
class PaperCommand:
    """Reproduce an experiment of the mean-shift distillation paper (arXiv 2502.15989); the 2-D one is modeseek toy."""

    experiment: (
        Annotated[
            TextToImageCommand,
            tyro.conf.subcommand("text-to-image", description=TextToImageCommand.__doc__, prefix_name=False),
        ]
        | Annotated[
            TextTo3DCommand,
            tyro.conf.subcommand("text-to-3d", description=TextTo3DCommand.__doc__, prefix_name=False),
        ]
    )

    def run(self, argv: Sequence[str]) -> None:
        """Runs the experiment."""
        self.experiment.run(argv)
