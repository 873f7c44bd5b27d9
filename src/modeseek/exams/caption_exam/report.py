"""HTML report of a caption exam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modeseek.exams.caption_exam.caption_exam import ExamResult
from modeseek.exams.exam import Exam
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.results_page import ImageSection, ResultsPage, TableSection, write_results_page
from modeseek.reports.table import Row
from modeseek.rundir.run_dir import Run

TITLES = {"by luck": "shuffled captions"}
_NOTE = (
    "In brackets: 95 % intervals by resampling captions. In italics: renders of the same captions, the upper bound, "
    "and shuffled captions, the chance level."
)
_LOOK = "Framed in red: images with a wrong attribute, which is named below."
_PAIRS = "Images of the pipeline", "Renders: mistakes of the classifier itself"


def summarise(exam: Exam, result: ExamResult) -> list[str]:
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
    run: Run, exam: Exam, result: ExamResult, classifier: SceneClassifier, sheet: bytes, title: str
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
    page = ResultsPage(
        title=title,
        findings=summarise(exam, result),
        metrics=TableSection("Metrics", result.table, TITLES, [_NOTE], corner="Images of"),
        images=[ImageSection("Images", sheet, hint=_LOOK)],
        sources=["guidance"] if exam.scale != 1 else [],
    )
    mistakes = map(_pairs, (result.mistakes, result.classifier_mistakes))
    accuracy = [(name, f"{share:.1%}") for name, share in classifier.accuracy.items()]
    confusions = list(zip(_PAIRS, mistakes, strict=True))
    write_results_page(run, page, "caption_exam", confusions=confusions, classifier_accuracy=accuracy)


def _pairs(mistakes: Mapping[str, Sequence[tuple[str, str, int]]]) -> list[tuple[str, str]]:
    """Name and confusion pairs of each attribute."""

    def line(pairs: Sequence[tuple[str, str, int]]) -> str:
        return ", ".join(f"{truth} → {seen}" + (f" ({count})" if count > 1 else "") for truth, seen, count in pairs)

    return [("object" if name == "thing" else name, line(pairs) or "none") for name, pairs in mistakes.items()]
