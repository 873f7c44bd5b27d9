"""`modeseek sample`: samples of a text-to-image pipeline, as a baseline for optimised images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from modeseek.cli import options
from modeseek.cli.options import option
from modeseek.cli.terminal import print_report_path
from modeseek.config.defaults import DEFAULT_PRIOR, default_sampler_steps, default_scale
from modeseek.config.loaded_prior import identified
from modeseek.config.paths import absolute_paths
from modeseek.config.pipeline_options import pipeline_config
from modeseek.config.prompts import clean_prompt
from modeseek.config.registry import REGISTRY
from modeseek.device import AUTO, resolve_device
from modeseek.io.progress_bars import run_with_progress
from modeseek.io.remarks import collect_remarks
from modeseek.rundir.run_dir import Run
from modeseek.runs.sampling import MAX_SAMPLES, SamplingConfig, sample_to_run
from modeseek.sampling.samplers import ddim, heun


@dataclass(frozen=True)
class SampleCommand:
    """Sample images from a text-to-image pipeline, as a baseline for optimised images.

    Examples:
      modeseek sample "a red cone on a blue cube" --copies 4

      modeseek sample "an owl" "a red apple" --prior emoji

      modeseek sample "a cat" --prior pipelines/mine
    """

    prompts: options.Prompts = ()
    prior: options.TextPrior = DEFAULT_PRIOR
    sampler: Annotated[
        Literal["ddim", "heun"],
        option("ddim|heun", "Sampler: ddim (default; one evaluation of the prior per step) or heun (two)."),
    ] = "ddim"
    steps: Annotated[int | None, option("N", "Number of sampler steps. Default: 25 under scenes, else 50.")] = None
    scale: Annotated[
        float | None,
        option(
            "SCALE",
            "Classifier-free guidance scale (--guidance-scale); 1 is none. Default: 3 under scenes and emoji, else "
            "7.5.",
        ),
    ] = None
    negative: options.Negative = ""
    copies: Annotated[
        int, option("N", "Number of images of each prompt; one row each on the contact sheet. Default: 1.")
    ] = 1
    seed: options.Seed = 0
    size: options.ImageSize = None
    device: options.Device = AUTO
    lora: options.Loras = ()
    embedding: options.Embeddings = ()
    long_prompts: options.LongPromptsOption = "cut"
    out: options.Out = None

    def run(self, argv: Sequence[str]) -> None:
        """Samples the images and prints their paths."""
        if not self.prompts or not all(prompt.strip() for prompt in self.prompts):
            raise ValueError(f'prompts must not be empty, got {list(self.prompts)}; try modeseek sample "a red cone"')
        steps = default_sampler_steps(self.prior) if self.steps is None else self.steps
        if self.copies < 1 or steps < 1:
            raise ValueError(f"--copies and --steps must be at least 1, got {self.copies} and {steps}")
        prompts, negative = tuple(map(clean_prompt, self.prompts)), clean_prompt(self.negative)
        source = pipeline_config(self.prior, self.size, self.lora, self.embedding, self.long_prompts)
        if self.copies > MAX_SAMPLES:
            raise ValueError(f"--copies must be at most {MAX_SAMPLES:,}, got {self.copies}")
        n = self.copies * len(prompts)
        texts = [prompts[item % len(prompts)] for item in range(n)]
        device = str(resolve_device(self.device))
        with collect_remarks() as remarks:
            prior = source.pipeline(device)
            conditions = prior.conditions(texts, [negative] * n if negative else None)
        title = f"Samples of {prompts[0]!r}" + (f" and {len(prompts) - 1} more" if prompts[1:] else "")
        sampler = {"ddim": ddim, "heun": heun}[self.sampler]
        scale = default_scale(self.prior) if self.scale is None else self.scale
        columns = None if 1 in (self.copies, len(self.prompts)) else len(self.prompts)  # one row per copy
        drawing = SamplingConfig(
            prior, conditions, n, scale, steps, sampler, self.seed, title, columns, tuple(remarks),
            prompts=tuple(texts), negative=negative,
        )  # fmt: skip
        settings = replace(self, prompts=prompts, negative=negative, out=None, scale=scale, steps=steps)
        run = Run.create(
            {"verb": "sample", **absolute_paths(REGISTRY.serialize_fields(settings, "config"), hint=SampleCommand)},
            name_parts=["sample", prompts[0]],
            command=argv,
            prior=identified(prior).record(source.title),
            device=device,
            out=self.out,
        )
        calls = run_with_progress(sample_to_run(run, drawing))
        print(f"{n} images, {calls} prior calls: {run.path / 'exports'}")
        print_report_path(run, self.out)
