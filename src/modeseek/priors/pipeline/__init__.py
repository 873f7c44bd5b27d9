"""Priors from diffusers' text-to-image pipelines: the only package that uses diffusers."""

from modeseek.priors.pipeline.lora import LoRA
from modeseek.priors.pipeline.memory_options import MemoryOptions
from modeseek.priors.pipeline.pipeline import Pipeline
from modeseek.priors.pipeline.textual_inversion import TextualInversion

__all__ = ["MemoryOptions", "LoRA", "Pipeline", "TextualInversion"]
