"""Jobs of a sweep: the product of its axes, methods and seeds, each identified by the hash of its configuration."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from modeseek.config.config import Config
from modeseek.config.defaults import configure
from modeseek.config.yaml import write_yaml
from modeseek.io.errors import one_line
from modeseek.io.paths import slug
from modeseek.sweeps.spec import SweepSpec

MAX_JOBS = 10_000
_ID_LENGTH = 16  # hexadecimal digits: 64 bits


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
        slugs = [slug(label, 28) for label in (*self.labels, self.method)]
        readable = "-".join(filter(None, slugs))[:80].strip("-")
        return f"{readable}-seed{self.config.seed}-{self.id}"


def job_specs(spec: SweepSpec) -> tuple[JobSpec, ...]:
    """All jobs, validated. Seeds vary slowest, so that every setting has run once before any runs twice.

    Raises:
        ValueError: a configuration is invalid, two jobs are the same, or there are too many; one line that begins with
            the job's title.
    """
    if spec.size > MAX_JOBS:
        raise ValueError(f"a sweep must have at most {MAX_JOBS} jobs, got {spec.size}; try splitting it")
    grid: list[tuple[tuple[str, ...], str, Config]] = []
    for *choices, method in itertools.product(*spec.axes.values(), spec.methods):
        labels, settings = tuple(choice.label for choice in choices), {}
        for choice in (*choices, method):
            settings |= choice.settings
        overrides = [f"{path}={write_yaml(value)}" for path, value in settings.items()]
        config = _checked(partial(configure, dict(spec.base), overrides), " · ".join((*labels, method.label)))
        grid.append((labels, method.label, config))
    jobs: dict[str, JobSpec] = {}
    for seed in spec.seeds:
        for labels, method, config in grid:
            seeded = _checked(partial(replace, config, seed=seed), f"seed {seed}")
            job = JobSpec(labels, method, seeded, config_id(seeded))
            if job.id in jobs:
                raise ValueError(f"{jobs[job.id].title} and {job.title} are the same run; remove one")
            jobs[job.id] = job
    return tuple(jobs.values())


def config_id(config: Config) -> str:
    """Hash of all settings of a configuration but its device, 16 hexadecimal digits."""
    plain = {key: value for key, value in config.to_dict().items() if key != "device"}
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_LENGTH]


def _checked(make: Callable[[], Config], title: str) -> Config:
    try:
        return make()
    except (ValueError, TypeError) as error:
        raise ValueError(f"{title}: {one_line(error)}") from error
