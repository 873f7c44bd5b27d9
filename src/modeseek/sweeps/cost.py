"""Prior calls of sweep jobs, estimated before they run."""

from __future__ import annotations

from collections.abc import Sequence

from modeseek.config.config import Config
from modeseek.config.generators import FieldConfig, GridStart, LatentConfig, NoiseStart, PixelsConfig, PointsConfig
from modeseek.config.generators3d import MeshConfig, NeRFConfig
from modeseek.runs.count_calls import count_prior_calls


def rows_per_step(config: Config) -> int | None:
    """Number of rows on which the prior is evaluated at each step; None where only a data file determines it."""
    generator = config.generator
    if isinstance(generator, PointsConfig):
        start = generator.start
        return start.n if isinstance(start, NoiseStart) else start.side**2 if isinstance(start, GridStart) else None
    if isinstance(generator, PixelsConfig | LatentConfig | FieldConfig):
        return generator.n
    return generator.views if isinstance(generator, NeRFConfig | MeshConfig) else None


def prior_calls(config: Config) -> int | None:
    """Prior calls of the whole run, counted on a small stand-in prior; None where they cannot be known in advance."""
    n = rows_per_step(config)
    if n is None:
        return None
    conditional = config.label is not None or bool(config.prompts)
    own_scale = hasattr(config.method, "scale")
    try:
        if conditional:
            first, each = count_prior_calls(config.method, config.scale, not own_scale)
        else:
            first, each = count_prior_calls(config.method, config.scale, not own_scale, None)
    except (ValueError, TypeError):  # the method needs a pipeline, a source or a camera, which the stand-in lacks
        return None
    return n * (first + each * config.steps)


def total_prior_calls(configs: Sequence[Config]) -> tuple[int, int]:
    """Sum of the known call counts, and the number of runs whose count is unknown; equal methods are counted once."""
    cache: dict[str, int | None] = {}
    counts = []
    for config in configs:
        key = repr((config.method, config.generator, config.steps, config.scale, config.label, config.prompts[:1]))
        if key not in cache:
            cache[key] = prior_calls(config)
        counts.append(cache[key])
    return sum(count for count in counts if count is not None), sum(count is None for count in counts)
