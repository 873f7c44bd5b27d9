"""Jobs of an experiment: finished ones are not run again, failed groups are left out, the status counts."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modeseek.config.priors import ToyPriorConfig
from modeseek.experiments.common.entries import Entry, affordable_steps, check_least
from modeseek.experiments.text_to_3d.entries import ENTRIES as ENTRIES_3D
from modeseek.experiments.text_to_3d.jobs import ShapeJobResult, ShapeResults
from modeseek.experiments.text_to_3d.plan import TextTo3DJob
from modeseek.experiments.text_to_3d.representations import Variant
from modeseek.experiments.text_to_3d.view_conditioning import VIEW_CONDITIONINGS
from modeseek.experiments.text_to_image.entries import ENTRIES
from modeseek.io.progress import Progress
from modeseek.metrics.bootstrap import Estimate
from modeseek.reports.metric import Metric, evaluate
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed, RunInterrupted
from modeseek.runs.jobs import Job, PriorCache, run_jobs
from modeseek.runs.session import run_session


@dataclass(frozen=True)
class FakeResult:
    name: str
    calls: int
    seconds: float = 1.5


@dataclass
class FakeJob(Job[FakeResult]):
    """Takes two steps; `disk` holds what is finished."""

    folder: str
    disk: dict[str, FakeResult]
    error: Exception | None = None
    log: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.folder

    @property
    def group(self) -> str:
        return self.folder.split("-")[0]

    def load(self) -> FakeResult | None:
        return self.disk.get(self.name)

    def run(self) -> Generator[Progress, None, FakeResult]:
        self.log.append(self.name)
        yield Progress("optimising", 1, 2, "note")
        if self.error is not None:
            raise self.error
        yield Progress("optimising", 2, 2)
        self.disk[self.name] = FakeResult(self.name, 10)
        return self.disk[self.name]


def run_all(
    folder: Path, jobs: list[FakeJob]
) -> tuple[list[Progress], dict[str, list[FakeResult]], tuple[str, ...], Run]:
    run = Run(folder)
    if not folder.exists():
        run = Run.create({"verb": "x"}, name_parts=["a"], command=["x"], prior={}, out=folder)
    seen = []
    with run_session(run, resumable=True) as log:
        steps = run_jobs(run, jobs, log)
        while True:
            try:
                seen.append(next(steps))
            except StopIteration as end:
                return seen, *end.value, run


def test_only_unfinished_jobs_run(tmp_path: Path) -> None:
    disk = {"a-1": FakeResult("a-1", 7)}
    jobs = [FakeJob(name, disk) for name in ("a-0", "a-1", "b-0")]
    seen, results, failures, run = run_all(tmp_path / "run", jobs)
    assert [job.log for job in jobs] == [["a-0"], [], ["b-0"]] and not failures
    assert {group: [r.name for r in found] for group, found in results.items()} == {"a": ["a-0", "a-1"], "b": ["b-0"]}
    assert (run.status.step, run.status.steps, run.status.calls) == (3, 3, 27)
    assert [p for p in seen if p.stage == "a-0"] == [Progress("a-0", 1, 2, "note"), Progress("a-0", 2, 2)]
    assert [p.done for p in seen if p.stage == "jobs"] == [0, 1, 2, 3]
    assert "a-0: 10 calls, 1.5 s" in (run.path / "log.txt").read_text()


def test_a_failed_job_leaves_out_its_group_and_is_tried_again(tmp_path: Path) -> None:
    disk: dict[str, FakeResult] = {}
    broken = RunFailed("not\n finite")
    jobs = [FakeJob("a-0", disk), FakeJob("a-1", disk, broken), FakeJob("a-2", disk), FakeJob("b-0", disk)]
    _, results, failures, run = run_all(tmp_path / "run", jobs)
    assert list(results) == ["b"] and failures == ("a is left out, its run failed: not finite",)
    assert not jobs[2].log and failures[0] in (run.path / "log.txt").read_text()
    assert (run.status.step, run.status.calls) == (2, 20) and run.status.state == "finished"
    again = [FakeJob(job.name, disk) for job in jobs]
    _, results, failures, run = run_all(tmp_path / "run", again)
    assert [job.log for job in again] == [[], ["a-1"], ["a-2"], []] and not failures
    assert [r.name for r in results["a"]] == ["a-0", "a-1", "a-2"] and run.status.step == 4


@pytest.mark.parametrize("error", [ValueError("other settings"), RunInterrupted("SIGINT after step 1")])
def test_other_errors_end_the_experiment(error: Exception, tmp_path: Path) -> None:
    jobs = [FakeJob("a-0", {}, error), FakeJob("b-0", {})]
    with pytest.raises(type(error), match=str(error)):
        run_all(tmp_path / "run", jobs)
    assert not jobs[1].log and Run(tmp_path / "run").status.step == 0


def test_a_prior_is_loaded_once_until_another_is_needed() -> None:
    cache = PriorCache("cpu")
    ring = cache.load(ToyPriorConfig("ring"))
    assert cache.load(ToyPriorConfig("ring")) is ring
    assert cache.load(ToyPriorConfig("grid")) is not ring and cache.load(ToyPriorConfig("ring")) is not ring
    with pytest.raises(TypeError, match="text needs a pipeline, got ring"):
        cache.pipeline(ToyPriorConfig("ring"))


def test_entries_carry_the_facts_of_their_methods() -> None:
    guides = {name for entries in (ENTRIES, ENTRIES_3D) for name, entry in entries.items() if entry.guides}
    assert guides == {"sdi", "sdi-negative", "vsd"}
    assert ENTRIES["msd-product"].references == (*ENTRIES["msd"].references, "edm")
    assert ENTRIES["ddim"].references == ("ddim",) and set(ENTRIES_3D["sds-debiased"].references) == {"debiased", "sds"}
    assert ENTRIES["ddim"].calls(1.0) == (0, 1) and ENTRIES["ddim"].calls(3.0) == (0, 2)
    assert ENTRIES["sds"].calls(1.0) == (0, 1) and ENTRIES["sds"].calls(3.0) == (0, 2)
    with pytest.raises(ValueError, match="ddim samples"):
        ENTRIES["ddim"].method(1.0)


def test_budgets_buy_whole_steps() -> None:
    entry = Entry("e", "E", "Note.", None)
    assert affordable_steps(entry, 23, (3, 10)) == 2 and affordable_steps(entry, 32, (3, 10)) == 2
    with pytest.raises(ValueError, match="22 prior calls.*two steps of e take 23"):
        affordable_steps(entry, 22, (3, 10))
    check_least(2, steps=2, size=None)
    with pytest.raises(ValueError, match="steps must be at least 2, got 1"):
        check_least(2, size=5, steps=1)


def test_metrics_that_do_not_apply_are_left_out() -> None:
    share = Metric("s", "S", "A share.", unit="share", evaluate=lambda x: Estimate(x))
    absent = Metric("a", "A", "Absent below 1.", evaluate=lambda x: Estimate(x) if x >= 1 else None)
    assert evaluate([share, absent], 0.5) == {"s": Estimate(0.5)}
    assert evaluate([share, absent], 1.0).keys() == {"s", "a"}


def test_means_over_runs_have_intervals_where_values_differ() -> None:
    def metric(**options: object) -> Metric[float]:
        return Metric("m", "M", "A number.", evaluate=Estimate, **options)  # type: ignore[arg-type]

    values = [1.5, 0.5, 1.25, 0.75]  # no shares, so that the interval has to be clipped
    mean = metric().mean(values, seed=0)
    assert mean.value == 1 and mean.interval is not None and mean.interval[1] > 1
    share = metric(unit="share").mean(values, seed=0)
    assert share.interval is not None and share.interval == (mean.interval[0], 1.0)
    assert metric().mean([2.0, 2.0, 2.0], seed=0) == Estimate(2.0)
    assert metric(resampled=False).mean([1.0, 2.0, 3.0], seed=0) == Estimate(2.0)
    assert metric().mean([1.0, 2.0], seed=0) == Estimate(1.5)


def test_results_are_found_by_entry_views_and_seed() -> None:
    results = ShapeResults(
        ShapeJobResult(
            TextTo3DJob(ENTRIES_3D[name], VIEW_CONDITIONINGS[views], 0, seed, name + views + str(seed)), values
        )
        for name in ("sds", "msd")
        for views in ("fine", "none")
        for seed, values in ((0, {"iou": 0.5}), (1, {}))
    )

    def names(found: ShapeResults) -> list[str]:
        return [result.job.name for result in found]

    assert names(results.where(variant=Variant(ENTRIES_3D["msd"]), views=VIEW_CONDITIONINGS["none"])) == [
        "msdnone0",
        "msdnone1",
    ]
    assert names(results.where(views=VIEW_CONDITIONINGS["fine"], seed=0)) == ["sdsfine0", "msdfine0"]
    assert results.where() == results and results.where(variant=Variant(ENTRIES_3D["sds"])).values("iou") == [0.5, 0.5]
