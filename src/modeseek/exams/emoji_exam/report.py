"""HTML report of an emoji exam."""

from __future__ import annotations

from modeseek.exams.emoji_exam.emoji_exam import EmojiExamResult
from modeseek.exams.exam import Exam
from modeseek.reports.results_page import ImageSection, ResultsPage, TableSection, write_results_page
from modeseek.rundir.run_dir import Run

MEMORY = "Distance to the nearest drawing"
TITLES = {
    "re-drawn": "re-drawn drawings",
    "by luck": "shuffled names",
    "same name": "drawing to its namesake",
    "other set": "drawing to the other set",
}
_NOTE = (
    "In brackets: 95 % intervals by resampling names. In italics: drawings of the same names at random sizes, places "
    "and angles, the upper bound, and shuffled names, the chance level."
)
_MEMORY_NOTE = (
    "Re-drawn drawings: as in training, to the nearest drawing, which is nearly always their own. Namesake: from a "
    "drawing to that of the same name in the other set. Other set: from a drawing to the nearest of any name there. "
    "Recalled: share nearer than all but 5 % of these last."
)
_LOOK = "Left: sample; right: the nearest drawing. Framed in red: the nearest drawing has another name, given below."


def summarise(exam: Exam, result: EmojiExamResult) -> list[str]:
    """Summary of the tables, a sentence each."""
    rows = {row.name: row.values for row in result.table.rows}
    distances = {row.name: row.values for row in result.memory.rows}

    def shares_of(name: str) -> str:
        return f"the nearest drawing bears the name in {rows[name]['top1']:.1%}, one of the five nearest in " + (
            f"{rows[name]['top5']:.1%}"
        )

    lines = [
        f"{len(exam.captions)} names, one image each, sampled by diffusers in {exam.steps} steps at guidance scale "
        f"{exam.scale:g}: {shares_of('pipeline')}.",
        f"Drawings of the same names, re-drawn at random sizes, places and angles: {shares_of('re-drawn')}.",
    ]
    if "other set" in distances:
        samples, redrawn, other = (distances[name]["median"] for name in ("samples", "re-drawn", "other set"))
        near, near_redrawn = (distances[name]["nearer"] for name in ("samples", "re-drawn"))
        lines += [
            f"Median distance to the nearest drawing: samples {samples:.3f}, re-drawn drawings {redrawn:.3f}, drawings "
            f"of one set to those of the other {other:.3f}.",
            f"{near:.0%} of the samples (re-drawn drawings: {near_redrawn:.0%}) are nearer to a drawing than 95 % "
            "of the drawings are to any of the other set. A prior trained on these drawings draws what it remembers of "
            "them, not new designs.",
        ]
    return lines


def write_exam_report(run: Run, exam: Exam, result: EmojiExamResult, sheet: bytes, title: str) -> None:
    """Writes `report.html`.

    Args:
        run: run folder that receives the report.
        exam: settings of the exam.
        result: result of the exam.
        sheet: contact sheet, PNG bytes.
        title: title of the page.
    """
    page = ResultsPage(
        title=title,
        findings=summarise(exam, result),
        metrics=TableSection("Metrics", result.table, TITLES, [_NOTE], corner="Images of"),
        images=[ImageSection("Images", sheet, hint=_LOOK)],
        tables=[TableSection(MEMORY, result.memory, TITLES, [_MEMORY_NOTE], corner="Distance of")],
        sources=["guidance"] if exam.scale != 1 else [],
    )
    write_results_page(run, page)
