"""Run of a caption exam: results, images and report in a run folder."""

from __future__ import annotations

from collections.abc import Generator

from modeseek.exams.caption_exam.caption_exam import examine, facts
from modeseek.exams.caption_exam.report import TITLES, summarise, write_exam_report
from modeseek.exams.exam import Exam, write_exam
from modeseek.io.progress import Progress
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.reports.results_files import ExperimentResult
from modeseek.rundir.run_dir import Run
from modeseek.runs.session import run_session

_SHOWN, _COLUMNS = 64, 8  # images on the contact sheet, and in each of its rows


def run_exam(
    run: Run, exam: Exam, classifier: SceneClassifier, title: str
) -> Generator[Progress, None, ExperimentResult]:
    """Runs the exam and writes `exports/` (results, images), `media/sheet.png`, `metrics.jsonl` and `report.html`.

    Raises:
        ValueError: the pipeline cannot be loaded, or another process holds the folder.
    """
    with run_session(run):
        result = yield from examine(exam, classifier)
        wrong = [result.scores.wrong_attributes(i) for i in range(len(exam.captions))]
        tiles = [
            Tile(image, caption=caption, alarm=f"wrong: {', '.join(attributes)}" if attributes else "")
            for image, caption, attributes in zip(result.images, exam.captions, wrong, strict=True)
        ]
        found = ExperimentResult(run.path, result.table, tuple(summarise(exam, result)), TITLES)
        sheet = ContactSheet.grid(tiles[:_SHOWN], _COLUMNS, font=13)
        png = write_exam(run, title, result.images, sheet, found, facts(exam, result, classifier))
        write_exam_report(run, exam, result, classifier, png, title)
    return found
