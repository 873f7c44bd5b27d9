"""The jobs of a sweep: a product, each with a configuration and an id that is its hash."""

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

MOST = 10_000
_LETTERS = 16  # of an id: 64 bits

Configure = Callable[[dict[str, Any]], Config]


@dataclass(frozen=True)
class JobSpec:
    """One job.

    Attributes:
        labels: its choice on each axis.
        method: its choice of method.
        config: all that fixes it.
        id: hash of the configuration.
    """

    labels: tuple[str, ...]
    method: str
    config: Config
    id: str

    @property
    def group(self) -> str:
        """What its seeds have in common, for tables."""
        return " · ".join((*self.labels, self.method))

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.group} · seed {self.config.seed}"

    @property
    def folder_name(self) -> str:
        """Name of its folder: readable, then the id."""
        words = [_slug(word, 28) for word in (*self.labels, self.method)]
        readable = "-".join(filter(None, words))[:80].strip("-")
        return f"{readable}-seed{self.config.seed}-{self.id}"


def job_specs(spec: SweepSpec, configure: Configure = read_config) -> tuple[JobSpec, ...]:
    """All jobs, each checked: seed by seed, so that the whole grid is seen once before it is seen twice.

    Args:
        spec: what is varied.
        configure: makes a configuration of plain data, and completes it where it can.

    Raises:
        ValueError: a configuration does not fit, two jobs are the same, or there are too many; one line.
    """
    if spec.size > MOST:
        raise ValueError(f"a sweep has at most {MOST} jobs: got {spec.size}; split it")
    grid = [
        (labels, method.label, configured(spec.base, settings, " · ".join((*labels, method.label)), configure))
        for labels, settings, method in _grid(spec)
    ]
    found: dict[str, JobSpec] = {}
    for seed in spec.seeds:
        for labels, method, config in grid:
            seeded = _checked(lambda c=config, s=seed: replace(c, seed=s), f"seed {seed}")
            entry = JobSpec(labels, method, seeded, config_id(seeded))
            if entry.id in found:
                raise ValueError(f"{found[entry.id].title} and {entry.title} are one and the same run; leave one out")
            found[entry.id] = entry
    return tuple(found.values())


def configured(
    base: Mapping[str, Any], settings: Mapping[str, Any], title: str, configure: Configure = read_config
) -> Config:
    """The base with settings put in at their places.

    Raises:
        ValueError: they do not fit; the line begins with the job's title.
    """

    def make() -> Config:
        plain = dict(base)
        for place, value in settings.items():
            plain = override(plain, f"{place}={write_yaml(value)}", REGISTRY, Config)
        return configure(plain)

    return _checked(make, title)


def config_id(config: Config) -> str:
    """Hash of all that a configuration says."""
    told = json.dumps(config.to_dict(), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:_LETTERS]


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


def _slug(text: str, most: int) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:most].strip("-")
