"""The text-to-3-D experiment from its first play to its report."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from modeseek.experiments.common.outcome import write_rows
from modeseek.experiments.common.results_files import Record, write_numbers
from modeseek.experiments.text_to_3d.contact_sheet import Wall
from modeseek.experiments.text_to_3d.findings import find
from modeseek.experiments.text_to_3d.jobs import Place, Shelf, done, run_job, thing_of
from modeseek.experiments.text_to_3d.measure import TURN, kept, measure, measure_truth
from modeseek.experiments.text_to_3d.plan import Job3D, TextTo3D
from modeseek.experiments.text_to_3d.report import Shown, write_page
from modeseek.experiments.text_to_3d.table import TRUTH, Result, fronts_table, main_table
from modeseek.experiments.text_to_image.measure import Measured
from modeseek.io.atomic import Lines, write_whole
from modeseek.io.progress import Progress
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.rundir.run_dir import Run
from modeseek.runs.experiment_folder import standing
from modeseek.runs.interrupts import RunFailed

PLAYS = "plays"
_TRUTHS = Path("media") / "truth"


@dataclass(frozen=True)
class Outcome:
    """What the experiment leaves.

    Attributes:
        folder: where its files lie.
        shown: its numbers, sentences and pictures.
    """

    folder: Path
    shown: Shown


def run_text_to_3d(
    plan: TextTo3D, run: Run, judge: SceneClassifier, shelf: Shelf
) -> Generator[Progress, None, Outcome]:
    """Works through all plays that are not done, measures each, then draws and writes.

    A play that fails is left out of the tables and named; it is tried again in the next call.

    Args:
        plan: what to do.
        run: the folder.
        judge: of scenes.
        shelf: of priors.

    Raises:
        modeseek.runs.interrupts.Stopped: asked to stop; a second call goes on.
        modeseek.runs.interrupts.Failed: no play finished.
        ValueError: something does not fit, or another process works there.
    """
    with standing(run) as log:
        folder = run.path / PLAYS
        folder.mkdir(exist_ok=True)
        place = Place(folder, shelf, shlex.split(run.command))
        plays = plan.plays()
        results: list[Result] = []
        failures: list[str] = []
        for number, play in enumerate(plays):
            yield Progress("things", number, len(plays), play.name)
            try:
                results.append((yield from _one(plan, play, place, judge, log)))
            except RunFailed as error:
                failures.append(f"{play.name} is left out, its run failed: {' '.join(str(error).split())[:300]}")
                log.add(failures[-1])
            calls = sum(int(one.measures["calls"]) for one in results)
            replace(run.status, step=len(results), steps=len(plays), calls=calls).write(run.path)
        yield Progress("things", len(plays), len(plays))
        if not results:
            raise RunFailed(f"no play finished: {failures[0]}")
        truth = _truths(plan, run, judge)
        shown = _shown(plan, run, results, truth, failures)
        _write(plan, run, shown, truth)
    return Outcome(run.path, shown)


def titles(plan: TextTo3D) -> dict[str, str]:
    """Of all rows, for people."""
    told = {TRUTH: "Truth"} | {player.name: player.title for player in plan.players}
    for player in plan.players:
        told |= {f"{player.name}@{one.name}": f"{player.title}, {one.name}" for one in plan.tellings}
    return told


def _one(
    plan: TextTo3D, play: Job3D, place: Place, judge: SceneClassifier, log: Lines
) -> Generator[Progress, None, Result]:
    """One play, worked out and measured, unless it was before."""
    fresh = done(place.folder, play) is None
    with closing(run_job(plan, play, place)) as walk:
        while True:
            try:
                now = next(walk)
            except StopIteration as end:
                run: Run = end.value
                break
            yield replace(now, stage=play.name)
    measures = None if fresh else kept(run)
    if measures is None:
        nerf = thing_of(run, place.shelf)
        measures = measure(run, nerf, plan.stills[play.caption], judge, not play.telling.told)
        log.add(f"{play.name}: {run.status.calls} calls, {run.status.seconds:.1f} s, IoU {measures['iou']:.3f}")
    return Result(play, measures)


def _truths(plan: TextTo3D, run: Run, judge: SceneClassifier) -> dict[int, dict[str, float]]:
    """What perfect things would get; their strips of views, each under the number of its caption."""
    (run.path / _TRUTHS).mkdir(exist_ok=True)
    return {
        number: measure_truth(run.path / _TRUTHS / f"{number:02d}.png", still, judge)
        for number, still in enumerate(plan.stills)
    }


def _shown(
    plan: TextTo3D, run: Run, results: list[Result], truth: dict[int, dict[str, float]], failures: list[str]
) -> Shown:
    table, fronts, names = main_table(plan, results, truth), fronts_table(plan, results), titles(plan)
    wall = _wall(plan, run, results)
    lacking = [*failures, *_remarks(plan, results, table)]
    return Shown(table, fronts, names, find(plan, results), lacking, results, wall.sheet(), wall.film())


def _wall(plan: TextTo3D, run: Run, results: list[Result]) -> Wall:
    """The truth, then whoever played, under the first way of telling views and then the others; the first seed."""
    columns = [
        (player, telling)
        for telling in plan.tellings
        for player in plan.players
        if any((one.play.player, one.play.telling) == (player, telling) for one in results)
    ]
    strips = {(row, 0): run.path / _TRUTHS / f"{row:02d}.png" for row in range(len(plan.captions))}
    for one in results:
        if one.play.seed == 0:
            column = 1 + columns.index((one.play.player, one.play.telling))
            strips[one.play.caption, column] = run.path / PLAYS / one.play.name / TURN
    first = plan.tellings[0]
    heads = [player.title if one == first else f"{player.title} ({one.name})" for player, one in columns]
    return Wall(plan.captions, ["Truth", *heads], strips)


def _remarks(plan: TextTo3D, results: list[Result], table: Measured) -> list[str]:
    told = []
    if any("watertight" not in one.measures for one in results):
        told.append(
            "Meshes are missing where the package scikit-image is: pip install 'modeseek[mesh]', then another --out."
        )
    played = {row.name: row.values["plays"] for row in table.rows if "plays" in row.values}
    if len(set(played.values())) > 1:
        told.append(
            "Not all methods played the same things ("
            + ", ".join(f"{name} {number:.0f}" for name, number in played.items())
            + "): their rows do not compare, the paired sentences do."
        )
    if min(played.values(), default=0) < 3:
        told.append("Below three things a method there is nothing to resample: such rows have no intervals.")
    if not plan.fronted:
        told.append("No caption has a front, so fronts are not counted.")
    return told


def _write(plan: TextTo3D, run: Run, shown: Shown, truth: dict[int, dict[str, float]]) -> None:
    exports, media = run.path / "exports", run.path / "media"
    write_whole(media / "sheet.png", shown.sheet)
    write_whole(media / "turntables.gif", shown.film)
    facts = {
        "captions": list(plan.captions),
        "findings": list(shown.findings),
        "lacking": list(shown.lacking),
        "fronts": {row.name: row.values for row in shown.fronts.rows},
        "truth": {plan.captions[number]: values for number, values in truth.items()},
        "things": {one.play.name: dict(one.measures) for one in shown.results},
    }
    record = Record(f"Text to 3-D under {plan.prior}", run.command, run.settings)
    write_rows(run, shown.table)
    write_numbers(exports, record, shown.table, facts)
    write_whole(exports / "fronts.csv", shown.fronts.csv())
    told = [shown.table.markdown(shown.titles)]
    if shown.fronts.rows:
        told.append(shown.fronts.markdown(shown.titles))
    write_whole(exports / "table.md", "\n".join([*told, *(f"- {line}" for line in shown.findings)]) + "\n")
    write_page(run, plan, shown)
