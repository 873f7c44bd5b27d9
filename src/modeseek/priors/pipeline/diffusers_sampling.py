"""Sampling with diffusers' own scheduler and guidance, as a reference for modeseek's samplers."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.io.quiet import silence
from modeseek.priors.pipeline.bundled_table import bundled_prior
from modeseek.priors.pipeline.configurations import model_index
from modeseek.priors.pipeline.loading import find_pipeline, find_pipeline_folder, open_pipeline
from modeseek.rng import Streams

_KIND = "StableDiffusionPipeline"


def find_stable_diffusion(path: str | os.PathLike[str]) -> Path:
    """Returns a Stable Diffusion folder: of a bundled prior, `pipeline/` of a training in `path`, or `path` itself.

    Raises:
        ValueError: there is no pipeline, or one of another class.
    """
    trained, named = Path(path) / "pipeline", isinstance(path, str) and bundled_prior(path) is not None
    folder = trained if not named and (trained / "model_index.json").is_file() else find_pipeline_folder(path)
    kind = model_index(folder).get("_class_name")
    if kind != _KIND:
        raise ValueError(f"the pipeline must be a {_KIND}, got a {kind} in {folder}; try the path of another folder")
    return folder


def sample_with_diffusers(
    folder: Path, captions: Sequence[str], *, scale: float, steps: int, seed: int, batch: int = 25, device: str = "cpu"
) -> Generator[Float[Tensor, "b 3 h w"], None, None]:
    """Samples images with diffusers' `StableDiffusionPipeline`, one batch of captions at a time.

    Args:
        folder: folder of the pipeline.
        captions: captions, one per image.
        scale: guidance scale; 1 is none.
        steps: number of scheduler steps.
        seed: random seed; the noise of image i depends on the seed and i alone.
        batch: number of images per batch.
        device: device of the networks.

    Yields:
        Images in [0, 1], on the CPU.

    Raises:
        ValueError: the pipeline cannot be loaded, or diffusers cannot sample with its scheduler.
    """
    pipe = open_pipeline(find_pipeline(folder), torch.float32, ()).to(device)
    if not hasattr(pipe.scheduler, "init_noise_sigma"):
        raise ValueError(
            f"diffusers' {_KIND} cannot sample with the scheduler {type(pipe.scheduler).__name__} in {folder}; try "
            "DPMSolverMultistepScheduler with use_flow_sigmas and flow_prediction"
        )
    cpu = torch.device("cpu")
    for start in range(0, len(captions), batch):
        prompts = list(captions[start : start + batch])
        streams = Streams(seed, items=tuple(range(start, start + len(prompts))), use="stock")
        with torch.no_grad(), silence("diffusers", "transformers"):
            output = pipe(
                prompts,
                num_inference_steps=steps,
                guidance_scale=scale,
                generator=[streams.generator(index, cpu) for index in range(len(prompts))],
                output_type="pt",
            )
        yield output.images.float().cpu()
