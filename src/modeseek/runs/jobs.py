"""Jobs of an experiment: finished ones are loaded, unfinished ones resume, failed ones are left out and named."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

from modeseek.config.config import Config
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.paths import with_absolute_paths
from modeseek.config.priors import PriorConfig
from modeseek.io.atomic import LineFile
from modeseek.io.errors import one_line
from modeseek.io.progress import Progress, relay
from modeseek.priors.pipeline import Pipeline
from modeseek.rundir.prior_identity import changed_prior
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed


@runtime_checkable
class JobResult(Protocol):
    """Result of a finished job.

    Attributes:
        calls: prior calls of the job, sum over its items.
        seconds: run time of the job.
    """

    @property
    def calls(self) -> int: ...

    @property
    def seconds(self) -> float: ...


Result = TypeVar("Result", bound=JobResult)


class PriorCache:
    """Loader of priors that caches the last one."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._cached: tuple[PriorConfig, LoadedPrior] | None = None

    def load(self, config: PriorConfig) -> LoadedPrior:
        """Loads the prior of a configuration.

        Raises:
            ValueError: there is no such prior.
        """
        if self._cached is None or self._cached[0] != config:
            self._cached = (config, config.load(self._device))
        return self._cached[1]

    def pipeline(self, config: PriorConfig) -> Pipeline:
        """Loads the prior of a configuration of a pipeline.

        Raises:
            ValueError: there is no such prior.
            TypeError: it is no pipeline.
        """
        prior = self.load(config).prior
        if not isinstance(prior, Pipeline):
            raise TypeError(
                f"text needs a pipeline, got {config.title}, a {type(prior).__name__} prior; change --prior"
            )
        return prior


@dataclass(frozen=True)
class JobContext:
    """Context shared by all jobs of an experiment.

    Attributes:
        folder: parent of the jobs' run folders.
        priors: cache of loaded priors.
        command: command line as typed.
    """

    folder: Path
    priors: PriorCache
    command: Sequence[str]

    def find_run(self, config: Config) -> Run | None:
        """The run of an earlier session in the folder of a job's name, or None.

        Raises:
            ValueError: the folder holds a run of other settings.
        """
        path = self.folder / config.name
        if not (path / "status.json").is_file():
            return None
        run = Run(path)
        if run.config != with_absolute_paths(config.with_device()):
            raise ValueError(f"{path} holds a run of other settings; remove it or choose another --out")
        return run

    def open_run(self, config: Config) -> Run:
        """The run of an earlier session, or a new one.

        Raises:
            ValueError: the folder holds a run of other settings or of another prior.
        """
        run, loaded, title = self.find_run(config), self.priors.load(config.prior), config.prior.title
        if run is None:
            return Run.create_for(config.with_device(), loaded, self.command, self.folder / config.name)
        change = changed_prior(run.environment.get("prior", {}), loaded.record(title))
        if change is not None:
            raise ValueError(
                f"{run.path} was begun with another {title} ({change}); restore that one or remove the run"
            )
        return run


class Job(ABC, Generic[Result]):
    """Work of an experiment with a run folder of its own."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the run folder."""

    @property
    @abstractmethod
    def group(self) -> str:
        """Name of all that is left out of the results if the job fails."""

    @abstractmethod
    def load(self) -> Result | None:
        """Result of an earlier session; None unless the job is finished and all its files exist."""

    @abstractmethod
    def run(self) -> Generator[Progress, None, Result]:
        """Runs the job, from its newest checkpoint if it has one.

        Raises:
            ValueError: the folder holds a job of other settings, or another process holds it.
            modeseek.runs.interrupts.RunInterrupted: stopped on request; resumable.
            modeseek.runs.interrupts.RunFailed: a direction is not finite, or memory ran out.
        """


def run_jobs(
    run: Run, jobs: Sequence[Job[Result]], log: LineFile, total: int = 0
) -> Generator[Progress, None, tuple[dict[str, list[Result]], tuple[str, ...]]]:
    """Runs all unfinished jobs; returns the results by group, and a line for each group that failed.

    A failed job is retried in the next session. The status of the run counts finished jobs and their prior calls.

    Args:
        run: run folder of the experiment.
        jobs: all jobs, in order.
        log: log of the experiment.
        total: number of jobs of the whole experiment, for the status, if it runs them in several parts.
    """
    results = {job.name: result for job in jobs if (result := job.load()) is not None}
    failures: dict[str, str] = {}
    for number, job in enumerate(jobs):
        yield Progress("jobs", number, len(jobs), job.name)
        if job.name not in results and job.group not in failures:
            try:
                result = yield from relay(job.run(), lambda progress, stage=job.name: replace(progress, stage=stage))
                results[job.name] = result
                log.append(f"{job.name}: {result.calls} calls, {result.seconds:.1f} s")
            except RunFailed as error:
                failures[job.group] = f"{job.group} is left out, its run failed: {one_line(error, 300)}"
                log.append(failures[job.group])
        calls = sum(result.calls for result in results.values())
        replace(run.status, step=len(results), steps=max(len(jobs), total), calls=calls).write(run.path)
    yield Progress("jobs", len(jobs), len(jobs))
    groups: dict[str, list[Result]] = {job.group: [] for job in jobs if job.group not in failures}
    for job in jobs:
        if job.group in groups:
            groups[job.group].append(results[job.name])
    return groups, tuple(failures.values())
