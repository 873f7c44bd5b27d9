"""`modeseek sample`: samples of a text-to-image pipeline, as a baseline for optimised images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from modeseek.cli.pipeline_options import pipeline_config
from modeseek.cli.terminal import print_report_path, run_with_progress
from modeseek.config.defaults import DEFAULT_PRIOR, default_sampler_steps, default_scale
from modeseek.config.loaded_prior import identified
from modeseek.config.paths import absolute_paths
from modeseek.config.prompts import clean_prompt
from modeseek.config.registry import REGISTRY
from modeseek.io.paths import PATH_OR_NAME
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

    prompts: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="PROMPT [PROMPT ...]")]]
    """Text prompts."""
    prior: Annotated[str, tyro.conf.arg(metavar="scenes|emoji|FOLDER|FILE|OWNER/NAME"), PATH_OR_NAME] = DEFAULT_PRIOR
    """Text-to-image prior: scenes or emoji, which ship with modeseek; or a diffusers pipeline: a folder written by
    save_pretrained (./emoji if so named), or owner/name on the hub."""
    sampler: Literal["ddim", "heun"] = "ddim"
    """Sampler: ddim (one evaluation of the prior per step) or heun (two)."""
    steps: int | None = None
    """Number of sampler steps. Default: 25 under scenes, else 50."""
    scale: float | None = None
    """Classifier-free guidance scale; 1 is none. Default: 3 under scenes and emoji, else 7.5."""
    negative: str = ""
    """Negative prompt."""
    copies: int = 1
    """Number of images of each prompt; one row each on the contact sheet."""
    seed: int = 0
    """Random seed of the initial noise."""
    size: tuple[int, int] | None = None
    """Image height and width, pixels; default: the training size of the model."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """Device: cpu, cuda, cuda:1 or mps."""
    lora: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE[=SCALE]")] = ()
    """LoRA weights to merge into the pipeline (LoRA, DreamBooth LoRA), safetensors; scale 1 is full strength."""
    embedding: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE[=TOKEN]")] = ()
    """Textual inversions, safetensors; prompts write the token, by default the one in the file, or the file's name."""
    long_prompts: Literal["cut", "chunk"] = "cut"
    """Prompts that are longer than the text encoders read: cut (a warning says what), or encoded in chunks of 75 tokens
    (Stable Diffusion 1, 2 and XL)."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Run folder to create; default runs/sample-PROMPT-TIME-ID."""

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
        with collect_remarks() as remarks:
            prior = source.pipeline(self.device)
            conditions = prior.conditions(texts, [negative] * n if negative else None)
        title = f"Samples of {prompts[0]!r}" + (f" and {len(prompts) - 1} more" if prompts[1:] else "")
        sampler = {"ddim": ddim, "heun": heun}[self.sampler]
        scale = default_scale(self.prior) if self.scale is None else self.scale
        columns = None if 1 in (self.copies, len(self.prompts)) else len(self.prompts)  # one row per copy
        drawing = SamplingConfig(prior, conditions, n, scale, steps, sampler, self.seed, title, columns, tuple(remarks))
        settings = replace(self, prompts=prompts, negative=negative, out=None, scale=scale, steps=steps)
        run = Run.create(
            {"verb": "sample", **absolute_paths(REGISTRY.serialize_fields(settings, "config"), hint=SampleCommand)},
            name_parts=["sample", prompts[0]],
            command=argv,
            prior=identified(prior).record(source.title),
            device=self.device,
            out=self.out,
        )
        calls = run_with_progress(sample_to_run(run, drawing))
        print(f"{n} images, {calls} prior calls: {run.path / 'exports'}")
        print_report_path(run, self.out)
