"""What jobs will cost, where that is known before they run."""

from __future__ import annotations

from collections.abc import Sequence

from modeseek.config.config import Config
from modeseek.config.generators import FieldConfig, GridStart, LatentConfig, NoiseStart, PixelsConfig, PointsConfig
from modeseek.config.generators3d import MeshConfig, NeRFConfig
from modeseek.runs.count_calls import count_prior_calls


def rows_per_step(config: Config) -> int | None:
    """Rows that the prior is asked about at each step; None where only a file tells."""
    made = config.generator
    if isinstance(made, PointsConfig):
        start = made.start
        return start.n if isinstance(start, NoiseStart) else start.side**2 if isinstance(start, GridStart) else None
    if isinstance(made, PixelsConfig | LatentConfig | FieldConfig):
        return made.n
    return made.views if isinstance(made, NeRFConfig | MeshConfig) else None


def prior_calls(config: Config) -> int | None:
    """Prior calls of the whole run, as counted on a small prior; None where that cannot be told."""
    n = rows_per_step(config)
    if n is None:
        return None
    told = config.label is not None or bool(config.prompts)
    own = hasattr(config.method, "scale")
    try:
        if told:
            first, each = count_prior_calls(config.method, config.scale, not own)
        else:
            first, each = count_prior_calls(config.method, config.scale, not own, None)
    except (ValueError, TypeError):  # it needs a pipeline, a source or a camera, which the small prior lacks
        return None
    return n * (first + each * config.steps)


def total_prior_calls(configs: Sequence[Config]) -> tuple[int, int]:
    """Sum of the calls that are known, and how many of the runs are not; like methods are counted once."""
    known: dict[str, int | None] = {}
    counts = []
    for config in configs:
        key = repr((config.method, config.generator, config.steps, config.scale, config.label, config.prompts[:1]))
        if key not in known:
            known[key] = prior_calls(config)
        counts.append(known[key])
    return sum(count for count in counts if count is not None), sum(count is None for count in counts)
