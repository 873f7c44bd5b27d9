"""Plain sampling by diffusers itself, none of our samplers in between: what others get from a pipeline."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.priors.pipeline.loading import check_tokenizers, find_pipeline_folder, model_index, open_pipeline, silence_libraries
from modeseek.rng import Streams

_KIND = "StableDiffusionPipeline"


def find_stable_diffusion(path: str | os.PathLike[str]) -> Path:
    """The folder of a Stable Diffusion pipeline: that one, the `pipeline/` of a training in it, or what `find` finds.

    Raises:
        ValueError: there is none, or a pipeline of another kind; one line.
    """
    trained = Path(path) / "pipeline"
    folder = trained if (trained / "model_index.json").is_file() else find_pipeline_folder(path)
    kind = model_index(folder).get("_class_name")
    if kind != _KIND:
        raise ValueError(f"{folder} is a {kind}: scenes are drawn by a {_KIND}; name a folder of one")
    return folder


def sample_with_diffusers(
    folder: Path,
    captions: Sequence[str],
    *,
    scale: float,
    steps: int,
    seed: int,
    batch: int = 25,
    device: str = "cpu",
) -> Generator[Float[Tensor, "b 3 h w"], None, None]:
    """diffusers' own `StableDiffusionPipeline`, its own scheduler and guidance, some captions at a time.

    Args:
        folder: of the pipeline.
        captions: one a picture.
        scale: of guidance, 1 is none.
        steps: of the scheduler.
        seed: picture i has its own stream of noise, whatever the others are.
        batch: pictures at a time.
        device: of the networks.

    Yields:
        Pictures in [0, 1], on the CPU.

    Raises:
        ValueError: the pipeline cannot be loaded.
    """
    pipe = open_pipeline(folder, _KIND, torch.float32, {"safety_checker": None, "feature_extractor": None}).to(device)
    check_tokenizers(pipe, folder)
    cpu = torch.device("cpu")
    for at in range(0, len(captions), batch):
        words = list(captions[at : at + batch])
        streams = Streams(seed, items=tuple(range(at, at + len(words))), use="stock")
        with torch.no_grad(), silence_libraries():
            drawn = pipe(
                words,
                num_inference_steps=steps,
                guidance_scale=scale,
                generator=[streams.generator(slot, cpu) for slot in range(len(words))],
                output_type="pt",
            )
        yield drawn.images.float().cpu()
