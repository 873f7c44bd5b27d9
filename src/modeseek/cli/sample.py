"""`modeseek sample`: plain samples of a pipeline, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from modeseek.cli.terminal import run_with_progress
from modeseek.config.priors import BUNDLED, PipelinePriorConfig, network_digest, default_scale
from modeseek.config.registry import REGISTRY
from modeseek.rundir.environment import collect_environment
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status
from modeseek.runs.sampling import SamplingConfig, sample_to_run
from modeseek.sampling.samplers import ddim, heun


@dataclass(frozen=True)
class SampleCommand:
    """Draw pictures from a text-to-image pipeline in the plain way, to compare optimised ones with.

    Examples:
      modeseek sample "a red cone on a blue cube" --copies 4

      modeseek sample "a cat" --prior pipelines/mine
    """

    prompts: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="PROMPT [PROMPT ...]")]]
    """What the pictures shall show."""
    prior: Annotated[str, tyro.conf.arg(metavar="FOLDER|OWNER/NAME")] = BUNDLED
    """A diffusers pipeline: a folder that save_pretrained wrote, or its name on the hub. By default the one that comes
    with modeseek."""
    sampler: Literal["ddim", "heun"] = "ddim"
    """ddim asks once a step, heun twice."""
    steps: int = 50
    """Of the sampler."""
    scale: float | None = None
    """Classifier-free guidance: 1 is none. By default 3 under the bundled prior, else 7.5."""
    negative: str = ""
    """Words to move away from."""
    copies: int = 1
    """Pictures of each prompt; on the sheet a row of all prompts' pictures each."""
    seed: int = 0
    """Of the starting noise."""
    size: tuple[int, int] | None = None
    """Height and width in pixels; what the model was trained on by default."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """cpu, cuda, cuda:1 or mps."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder to make, by default runs/sample-WORDS-TIME-ID."""

    def run(self, argv: Sequence[str]) -> None:
        """Samples, and says where the pictures are."""
        if not self.prompts or not all(prompt.strip() for prompt in self.prompts):
            raise ValueError(f'a picture needs words: got {list(self.prompts)}; write modeseek sample "a red cone"')
        if self.copies < 1 or self.steps < 1:
            raise ValueError(f"copies and steps are at least 1: got {self.copies} and {self.steps}; raise them")
        source = PipelinePriorConfig(self.prior, self.size)
        prior = source.pipeline(self.device)
        n = self.copies * len(self.prompts)
        texts = [self.prompts[item % len(self.prompts)] for item in range(n)]
        conditions = prior.conditions(texts, [self.negative] * n if self.negative else None)
        title = f"Samples of {self.prompts[0]!r}" + (f" and {len(self.prompts) - 1} more" if self.prompts[1:] else "")
        walk = {"ddim": ddim, "heun": heun}[self.sampler]
        scale = default_scale(self.prior) if self.scale is None else self.scale
        columns = None if 1 in (self.copies, len(self.prompts)) else len(self.prompts)  # a row a copy
        drawing = SamplingConfig(prior, conditions, n, scale, self.steps, walk, self.seed, title, columns)
        run = Run.create(
            {"verb": "sample", **REGISTRY.serialize_fields(replace(self, out=None, scale=scale), "config")},
            name_parts=["sample", self.prompts[0]],
            command=argv,
            environment=collect_environment(self.device, {"title": source.title, "sha256": network_digest(prior)}),
            status=Status("created"),
            out=self.out,
        )
        calls = run_with_progress(sample_to_run(run, drawing))
        if self.out is not None and run.path != self.out:
            print(f"{self.out} exists and was kept; this run is in {run.path.name}.")
        print(f"{n} pictures, {calls} prior calls: {run.path / 'exports'}\nReport: {run.path / 'report.html'}")
