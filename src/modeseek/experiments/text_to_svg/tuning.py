"""Tuning of the learning rates of the text-to-SVG experiment on words and seeds of its own, kept in a file."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace

from modeseek.experiments.common.tuning import FILE, Trial, Tuned, read_tuning, write_tuning
from modeseek.experiments.text_to_svg.entries import FIT, DrawingEntry
from modeseek.experiments.text_to_svg.jobs import DrawingJob, JobOutput, MadeDrawings, SampleJob
from modeseek.experiments.text_to_svg.plan import DrawingTuning, TextToSvg
from modeseek.io.atomic import LineFile
from modeseek.io.progress import Progress
from modeseek.reports.table import Column, Row, Table
from modeseek.rundir.run_dir import Run
from modeseek.runs.jobs import JobContext, run_jobs

Score = Callable[[MadeDrawings], float]
"""Mean score of drawings; lower is better."""
_DISTANCE = "distance of the words of the tuning to their true drawings"
COLUMNS = (
    Column("tuned", "Distance", f"Mean {_DISTANCE} with the chosen settings.", ".4f", "low"),
    Column("default", "Distance, default", f"Mean {_DISTANCE} with the default settings.", ".4f"),
    Column("fit", "Distance, fit", f"Mean {_DISTANCE} of the fitted samples that methods start from.", ".4f"),
    Column("lr", "Rate", "Learning rate of Adam for points, chosen, canvas units of 2 for the longer side.", "g"),
    Column("fall", "Fall", "Final learning rate relative to the first, chosen; 1 is constant.", "g"),
    Column("default_lr", "Default rate", "Learning rate without tuning.", "g"),
    Column("default_fall", "Default fall", "Fall without tuning.", "g"),
)


@dataclass(frozen=True)
class TunedDrawing(Tuned):
    """Settings chosen for a method.

    Attributes:
        fit: score of the fitted samples.
    """

    fit: float


def tune_drawings(
    plan: TextToSvg, tuning: DrawingTuning, run: Run, context: JobContext, log: LineFile, score: Score
) -> Generator[Progress, None, dict[str, TunedDrawing]]:
    """Tunes every method of the plan that the file of the run does not hold yet; returns the settings by method.

    First every rate with the method's own fall, then the other falls with the best rate. A method all of whose runs
    fail has no settings, and is tuned again in the next session.

    Args:
        plan: the plan.
        tuning: settings that are tried.
        run: run folder of the experiment.
        context: context of the jobs.
        log: log of the experiment.
        score: mean score of drawings, lower is better.
    """
    path = run.path / FILE
    tuned = read_tuning(path, TunedDrawing)
    batches = plan.tuning_batches
    samples = [SampleJob(plan, batch, context) for batch in batches]
    starts, _ = yield from run_jobs(run, samples, log)
    fit = _mean(starts["sample"], FIT, score)
    for entry in (entry for entry in plan.entries if entry.name not in tuned):
        rates = dict.fromkeys((entry.lr, *tuning.rates))
        trials = yield from _try([replace(entry, lr=rate) for rate in rates], plan, run, context, log, score)
        if not trials:
            continue
        best = min(trials, key=lambda trial: trial.score)
        falls = [replace(entry, lr=best.lr, fall=fall) for fall in tuning.falls if fall != entry.fall]
        trials += yield from _try(falls, plan, run, context, log, score)
        default = [trial for trial in trials if (trial.lr, trial.fall) == (entry.lr, entry.fall)]
        ranked = tuple(sorted(trials, key=lambda trial: trial.score))
        tuned[entry.name] = TunedDrawing(ranked, default[0] if default else None, fit)
        write_tuning(path, tuned)
    return tuned


def drawing_tuning_table(tuned: Mapping[str, TunedDrawing]) -> Table:
    """Chosen settings and their scores beside those without tuning, a row per method."""
    rows = []
    for name, chosen in tuned.items():
        values = {"tuned": chosen.best.score, "fit": chosen.fit, "lr": chosen.best.lr, "fall": chosen.best.fall}
        if chosen.default is not None:
            default = chosen.default
            values |= {"default": default.score, "default_lr": default.lr, "default_fall": default.fall}
        rows.append(Row(name, values))
    return Table(COLUMNS, tuple(rows))


def _try(
    entries: Sequence[DrawingEntry], plan: TextToSvg, run: Run, context: JobContext, log: LineFile, score: Score
) -> Generator[Progress, None, list[Trial]]:
    """Trials of settings; those whose run fails are left out."""
    named = {f"tune-{entry.name}-lr{entry.lr:g}-fall{entry.fall:g}": entry for entry in entries}
    jobs = [
        DrawingJob(plan, replace(entry, name=name), batch, context)
        for name, entry in named.items()
        for batch in plan.tuning_batches
    ]
    found, _ = yield from run_jobs(run, jobs, log)
    return [Trial(named[name].lr, named[name].fall, _mean(own, name, score)) for name, own in found.items()]


def _mean(outputs: Sequence[JobOutput], entry: str, score: Score) -> float:
    """Mean score over batches, weighted by their drawings."""
    made = [output.made[entry] for output in outputs]
    return sum(score(drawings) * len(drawings.svgs) for drawings in made) / sum(len(d.svgs) for d in made)
