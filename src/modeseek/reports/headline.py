"""Headline of a run's page: what was made, and under it how."""

from __future__ import annotations

from modeseek.config.config import Config


def headline(config: Config) -> str:
    """Prompts of a run, or its method and subject if it has none."""
    if config.prompts:
        return f"{config.prompts[0]}{config.more_prompts}"
    return f"{config.method_title} on {config.subject}"


def subtitle(config: Config) -> str:
    """Method, prior, guidance scale and seed of a run, such as `MSD, scenes prior, guidance 3, seed 0`."""
    title = config.prior.title
    parts = [config.method_title, f"prior of {title}" if " " in title else f"{title} prior"]
    parts += [] if config.guidance == 1 else [f"guidance {config.guidance:g}"]
    parts += [f"negative prompt {config.negative!r}"] if config.negative else []
    return ", ".join([*parts, f"seed {config.seed}"])
