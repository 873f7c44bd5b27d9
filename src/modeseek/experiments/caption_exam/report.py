"""The report of an examination: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from modeseek.experiments.caption_exam.caption_exam import CaptionExam, ExamResult
from modeseek.experiments.common.metric_table import html_table, used_columns
from modeseek.io.atomic import write_atomic
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.html import code, data_uri, details, hint, page, safe, section, small, sources, terms
from modeseek.reports.table import Row
from modeseek.rundir.environment import describe_machine, package_versions
from modeseek.rundir.run_dir import Run


def summarise(exam: CaptionExam, result: ExamResult) -> list[str]:
    """What one sees, in sentences that quote the table."""
    columns = {column.key: column for column in result.table.columns}
    rows = {row.name: row for row in result.table.rows}

    def told(row: Row) -> str:
        shares = ("object", "colour", "relation", "view", "all")
        return ", ".join(f"{key} {row.values[key]:.1%}" for key in shares if key in row.values)

    lines = [
        f"{len(exam.captions)} held-out captions, one picture each, drawn by diffusers in {exam.steps} steps under "
        f"guidance {exam.scale:g}: {told(rows['pipeline'])}.",
        f"The judge itself, on renders of the same captions: {told(rows['renders'])}.",
    ]
    if "kid" in rows["pipeline"].values:
        lines.append(
            f"KID to renders {result.table.text(rows['pipeline'], columns['kid'])}; of renders to other renders "
            f"{result.table.text(rows['renders'], columns['kid'])}."
        )
    return lines


def write_exam_report(
    run: Run, exam: CaptionExam, result: ExamResult, classifier: SceneClassifier, sheet: bytes, title: str
) -> None:
    """Writes `report.html`.

    Args:
        run: in whose folder.
        exam: what was asked.
        done: what came out.
        judge: who judged.
        sheet: PNG.
        title: of the page.
    """
    figure = f"<figure><img src='{data_uri(sheet, 'image/png')}' alt='pictures with their captions'></figure>"
    made = ", ".join(f"{name} {number}" for name, number in package_versions().items())
    here = describe_machine()
    parts = [
        f"<header><p class='kicker'>modeseek</p><h1>{safe(title)}</h1>",
        *(f"<p class='lead'>{safe(line)}</p>" for line in summarise(exam, result)),
        "</header>",
        _numbers(result),
        section("Pictures", hint("Framed in red: pictures that lack something, and what the judge misses."), figure),
        section(
            "What was taken for what",
            _mistakes("In the pipeline's pictures", result.mistakes),
            _mistakes("In renders: the judge's own mistakes", result.classifier_mistakes),
        ),
        section(
            "The judge",
            small(
                "A small convolutional network, trained on renders of combinations that are not held out, blurred, "
                "noisy and out of place. Sizes are not judged. Azimuths from which all things of a caption look the "
                "same count as one; a lone ball has no view."
            ),
            terms(((name, f"{share:.1%}") for name, share in classifier.accuracy.items()), tight=True),
            small("Its accuracy on held-out renders when it was made."),
        ),
        section("Configuration", code((run.path / "config.yaml").read_text(encoding="utf-8"))),
        section("Run it again", code(run.command), small(f"{made}; {here['system']} {here['architecture']}.")),
        sources(["kid", *(["guidance"] if exam.scale != 1 else [])]),
    ]
    write_atomic(run.path / "report.html", page(title, parts))


def _numbers(result: ExamResult) -> str:
    return section(
        "Numbers",
        f"<div class='scroll'>{html_table(result.table, {}, 'Pictures of')}</div>",
        small(
            "In brackets 95 % intervals by resampling captions. Renders of the same captions are what to reach; by "
            "luck: renders under captions of one another."
        ),
        details("What the columns mean", terms((c.heading, c.meaning) for c in used_columns(result.table))),
    )


def _mistakes(heading: str, told: dict[str, list[tuple[str, str, int]]]) -> str:
    def line(found: Sequence[tuple[str, str, int]]) -> str:
        return ", ".join(f"{asked} → {seen}" + (f" ({times})" if times > 1 else "") for asked, seen, times in found)

    pairs = [(name, line(found) or "none") for name, found in told.items()]
    return f"<h3>{safe(heading)}</h3>{terms(pairs, tight=True)}"
