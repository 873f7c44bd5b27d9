"""Headline of a run's page: what was made, and under it how."""

from __future__ import annotations

from modeseek.config.config import Config


def headline(config: Config) -> str:
    """Prompts of a run, or its method and subject if it has none."""
    if config.prompts:
        more = f" and {len(config.prompts) - 1} more" if config.prompts[1:] else ""
        return f"{config.prompts[0]}{more}"
    label = "" if config.label is None else f", class {config.label}"
    return f"{config.method_name.upper()} on {config.name or config.prior.title}{label}"


def subtitle(config: Config) -> str:
    """Method, prior, guidance scale and seed of a run, such as `MSD, scenes prior, guidance 3, seed 0`."""
    title = config.prior.title
    parts = [config.method_name.upper(), f"prior of {title}" if " " in title else f"{title} prior"]
    scale = guidance_scale(config)
    parts += [] if scale == 1 else [f"guidance {scale:g}"]
    parts += [f"negative prompt {config.negative!r}"] if config.negative else []
    return ", ".join([*parts, f"seed {config.seed}"])


def guidance_scale(config: Config) -> float:
    """Guidance scale of a run, by its method if that guides by itself; 1 is none, as without conditions."""
    conditional = config.label is not None or bool(config.prompts)
    if config.scale == 1 and conditional and config.method.guides:
        return float(vars(config.method)["scale"])
    return config.scale
