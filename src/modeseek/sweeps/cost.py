"""Prior calls of sweep jobs, estimated before they run."""

from __future__ import annotations

from collections.abc import Sequence

from modeseek.config.config import Config
from modeseek.runs.count_calls import STAND_IN_CONDITIONS, count_prior_calls


def prior_calls(config: Config) -> int | None:
    """Prior calls of the whole run, counted on a small stand-in prior; None where they cannot be known in advance."""
    n, guided = config.generator.rows, not config.method.guides
    if n is None:
        return None
    conditions = STAND_IN_CONDITIONS if config.label is not None or config.prompts else None
    try:
        first, each = count_prior_calls(config.method, config.scale, guided, conditions)
    except (ValueError, TypeError):  # the method needs a pipeline, a source or a camera, which the stand-in lacks
        return None
    return n * config.accumulate * (first + each * config.steps)


def total_prior_calls(configs: Sequence[Config]) -> tuple[int, int]:
    """Sum of the known call counts, and the number of runs whose count is unknown; equal methods are counted once."""
    cache: dict[str, int | None] = {}
    counts = []
    for config in configs:
        run = (config.method, config.generator, config.steps, config.accumulate)
        key = repr((*run, config.scale, config.label, config.prompts[:1]))
        if key not in cache:
            cache[key] = prior_calls(config)
        counts.append(cache[key])
    return sum(count for count in counts if count is not None), sum(count is None for count in counts)
