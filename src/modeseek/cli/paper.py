"""`modeseek paper`: experiments on text priors, those of the mean-shift distillation paper and further ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from modeseek.cli.paper_quality import QualityCommand
from modeseek.cli.paper_restoration import RestorationCommand
from modeseek.cli.paper_text_to_3d import TextTo3DCommand
from modeseek.cli.paper_text_to_image import TextToImageCommand
from modeseek.cli.paper_text_to_svg import TextToSvgCommand

EXPERIMENTS = {
    "text-to-image": TextToImageCommand,
    "text-to-3d": TextTo3DCommand,
    "text-to-svg": TextToSvgCommand,
    "quality": QualityCommand,
    "restoration": RestorationCommand,
}


@dataclass(frozen=True)
class PaperCommand:
    """Run an experiment of the mean-shift distillation paper (arXiv 2502.15989), or measure quality.

    The 2-D experiment is modeseek toy.
    """

    experiment: (
        Annotated[
            TextToImageCommand,
            tyro.conf.subcommand("text-to-image", description=TextToImageCommand.__doc__, prefix_name=False),
        ]
        | Annotated[
            TextTo3DCommand,
            tyro.conf.subcommand("text-to-3d", description=TextTo3DCommand.__doc__, prefix_name=False),
        ]
        | Annotated[
            TextToSvgCommand,
            tyro.conf.subcommand("text-to-svg", description=TextToSvgCommand.__doc__, prefix_name=False),
        ]
        | Annotated[
            QualityCommand,
            tyro.conf.subcommand("quality", description=QualityCommand.__doc__, prefix_name=False),
        ]
        | Annotated[
            RestorationCommand,
            tyro.conf.subcommand("restoration", description=RestorationCommand.__doc__, prefix_name=False),
        ]
    )

    def run(self, argv: Sequence[str]) -> None:
        """Runs the experiment."""
        self.experiment.run(argv)
