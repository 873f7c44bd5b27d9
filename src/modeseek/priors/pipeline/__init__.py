"""Priors from diffusers' text-to-image pipelines: the only room that knows diffusers."""

from modeseek.priors.pipeline.pipeline import Pipeline

__all__ = ["Pipeline"]
