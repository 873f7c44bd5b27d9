"""Jobs of a sweep: the product of its axes, methods and seeds, each identified by the hash of its configuration."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from modeseek.config.config import Config, read_config
from modeseek.config.overrides import override
from modeseek.config.registry import REGISTRY
from modeseek.config.yaml import write_yaml
from modeseek.sweeps.spec import SweepSpec

MAX_JOBS = 10_000
_ID_LENGTH = 16  # hexadecimal digits: 64 bits

Configure = Callable[[dict[str, Any]], Config]


@dataclass(frozen=True)
class JobSpec:
    """Specification of one job.

    Attributes:
        labels: label of the chosen value on each axis.
        method: label of the chosen method.
        config: complete configuration of the run.
        id: hash of the configuration, 16 hexadecimal digits.
    """

    labels: tuple[str, ...]
    method: str
    config: Config
    id: str

    @property
    def group(self) -> str:
        """Title without the seed: jobs that differ only in their seed share it."""
        return " · ".join((*self.labels, self.method))

    @property
    def title(self) -> str:
        """Title for terminals and pages."""
        return f"{self.group} · seed {self.config.seed}"

    @property
    def folder_name(self) -> str:
        """Default name of the job's folder: readable, then the id."""
        slugs = [_slug(label, 28) for label in (*self.labels, self.method)]
        readable = "-".join(filter(None, slugs))[:80].strip("-")
        return f"{readable}-seed{self.config.seed}-{self.id}"


def job_specs(spec: SweepSpec, configure: Configure = read_config) -> tuple[JobSpec, ...]:
    """All jobs, validated. Seeds vary slowest, so that every setting has run once before any runs twice.

    Args:
        spec: specification of the sweep.
        configure: function that parses a configuration from plain data, and may complete it.

    Raises:
        ValueError: a configuration is invalid, two jobs are the same, or there are too many; one line.
    """
    if spec.size > MAX_JOBS:
        raise ValueError(f"a sweep must have at most {MAX_JOBS} jobs, got {spec.size}; try splitting it")
    grid = [
        (labels, method.label, configured(spec.base, settings, " · ".join((*labels, method.label)), configure))
        for labels, settings, method in _grid(spec)
    ]
    jobs: dict[str, JobSpec] = {}
    for seed in spec.seeds:
        for labels, method, config in grid:
            seeded = _checked(lambda c=config, s=seed: replace(c, seed=s), f"seed {seed}")
            job = JobSpec(labels, method, seeded, config_id(seeded))
            if job.id in jobs:
                raise ValueError(f"{jobs[job.id].title} and {job.title} are one and the same run; leave one out")
            jobs[job.id] = job
    return tuple(jobs.values())


def configured(
    base: Mapping[str, Any], settings: Mapping[str, Any], title: str, configure: Configure = read_config
) -> Config:
    """The base configuration with settings overridden.

    Args:
        base: plain data of the base configuration.
        settings: values by dotted path, as `--set` takes them.
        title: title of the job, for messages.
        configure: function that parses a configuration from plain data.

    Raises:
        ValueError: a setting is invalid; the line begins with the job's title.
    """

    def make() -> Config:
        plain = dict(base)
        for path, value in settings.items():
            plain = override(plain, f"{path}={write_yaml(value)}", REGISTRY, Config)
        return configure(plain)

    return _checked(make, title)


def config_id(config: Config) -> str:
    """Hash of all settings of a configuration, 16 hexadecimal digits."""
    text = json.dumps(config.to_dict(), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_LENGTH]


def _grid(spec: SweepSpec) -> Any:
    for choices in itertools.product(*(axis.choices for axis in spec.axes)):
        for method in spec.methods:
            settings: dict[str, Any] = {}
            for choice in (*choices, method):
                settings |= choice.settings
            yield tuple(choice.label for choice in choices), settings, method


def _checked(make: Callable[[], Config], title: str) -> Config:
    try:
        return make()
    except (ValueError, TypeError) as error:
        raise ValueError(f"{title}: {' '.join(str(error).split())}") from error


def _slug(text: str, max_length: int) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:max_length].strip("-")
