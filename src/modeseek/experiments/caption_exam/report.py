"""HTML report of a caption exam, self-contained."""

from __future__ import annotations

from collections.abc import Sequence

from modeseek.experiments.caption_exam.caption_exam import CaptionExam, ExamResult
from modeseek.experiments.common.metric_table import html_table, used_columns
from modeseek.experiments.common.results_files import environment_line
from modeseek.io.atomic import write_atomic
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.html import code, data_uri, details, hint, page, safe, section, small, sources, terms
from modeseek.reports.table import Row
from modeseek.rundir.run_dir import Run

_TITLES = {"by luck": "shuffled captions"}


def summarise(exam: CaptionExam, result: ExamResult) -> list[str]:
    """Summary of the table, a sentence each."""
    columns = {column.key: column for column in result.table.columns}
    rows = {row.name: row for row in result.table.rows}

    def shares_of(row: Row) -> str:
        shares = ("object", "colour", "relation", "view", "all")
        return ", ".join(f"{key} {row.values[key]:.1%}" for key in shares if key in row.values)

    lines = [
        f"{len(exam.captions)} held-out captions, one image each, sampled by diffusers in {exam.steps} steps at "
        f"guidance scale {exam.scale:g}: {shares_of(rows['pipeline'])}.",
        f"The scene classifier itself, on renders of the same captions: {shares_of(rows['renders'])}.",
    ]
    if "kid" in rows["pipeline"].values:
        lines.append(
            f"KID to renders {result.table.text(rows['pipeline'], columns['kid'])}; from renders to other renders "
            f"{result.table.text(rows['renders'], columns['kid'])}."
        )
    return lines


def write_exam_report(
    run: Run, exam: CaptionExam, result: ExamResult, classifier: SceneClassifier, sheet: bytes, title: str
) -> None:
    """Writes `report.html`.

    Args:
        run: run folder that receives the report.
        exam: settings of the exam.
        result: result of the exam.
        classifier: scene classifier that scored the images.
        sheet: contact sheet, PNG bytes.
        title: title of the page.
    """
    figure = f"<figure><img src='{data_uri(sheet, 'image/png')}' alt='images with their captions'></figure>"
    parts = [
        f"<header><p class='kicker'>modeseek</p><h1>{safe(title)}</h1>",
        *(f"<p class='lead'>{safe(line)}</p>" for line in summarise(exam, result)),
        "</header>",
        _numbers(result),
        section("Images", hint("Framed in red: images with a wrong attribute, which is named below."), figure),
        section(
            "Confusion pairs",
            _mistakes("Images of the pipeline", result.mistakes),
            _mistakes("Renders: mistakes of the classifier itself", result.classifier_mistakes),
        ),
        section(
            "Scene classifier",
            small(
                "A small convolutional network, trained on renders of combinations that are not held out, with blur, "
                "noise and shifts. Sizes are not scored. Azimuths from which all objects of a caption look the same "
                "count as one; a lone ball has no viewpoint."
            ),
            terms(((name, f"{share:.1%}") for name, share in classifier.accuracy.items()), tight=True),
            small("Accuracy on held-out renders at training time."),
        ),
        section("Configuration", code((run.path / "config.yaml").read_text(encoding="utf-8"))),
        section("Reproduce", code(run.command), small(environment_line())),
        sources(["kid", *(["guidance"] if exam.scale != 1 else [])]),
    ]
    write_atomic(run.path / "report.html", page(title, parts))


def _numbers(result: ExamResult) -> str:
    return section(
        "Numbers",
        f"<div class='scroll'>{html_table(result.table, _TITLES, 'Images of')}</div>",
        small(
            "In brackets: 95 % intervals by resampling captions. Renders of the same captions are the upper bound; "
            "shuffled captions are the chance level."
        ),
        details("What the columns mean", terms((c.heading, c.meaning) for c in used_columns(result.table))),
    )


def _mistakes(heading: str, mistakes: dict[str, list[tuple[str, str, int]]]) -> str:
    def line(pairs: Sequence[tuple[str, str, int]]) -> str:
        return ", ".join(f"{asked} → {seen}" + (f" ({count})" if count > 1 else "") for asked, seen, count in pairs)

    lines = [(name, line(pairs) or "none") for name, pairs in mistakes.items()]
    return f"<h3>{safe(heading)}</h3>{terms(lines, tight=True)}"
