"""Run of a caption exam: results, images and report in a run folder."""

from __future__ import annotations

from collections.abc import Generator

from modeseek.experiments.caption_exam.caption_exam import CaptionExam, ExamResult, examine, facts
from modeseek.experiments.caption_exam.contact_sheet import exam_sheet
from modeseek.experiments.caption_exam.report import write_exam_report
from modeseek.experiments.common.results_files import RunRecord, write_metrics, write_results
from modeseek.io.atomic import write_atomic
from modeseek.io.images import encode_png
from modeseek.io.progress import Progress
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.rundir.run_dir import Run
from modeseek.runs.session import run_session

_SHOWN = 64  # images on the contact sheet


def run_exam(
    run: Run, exam: CaptionExam, classifier: SceneClassifier, title: str
) -> Generator[Progress, None, ExamResult]:
    """Runs the exam and writes `exports/` (results, images), `media/sheet.png`, `metrics.jsonl` and `report.html`.

    Raises:
        ValueError: the pipeline cannot be loaded, or another process holds the folder.
    """
    with run_session(run):
        result = yield from examine(exam, classifier)
        for index, image in enumerate(result.images):
            write_atomic(run.path / "exports" / f"image-{index:03d}.png", encode_png(image))
        wrong = [result.scores.wrong_attributes(i) for i in range(len(exam.captions))]
        sheet = exam_sheet(result.images[:_SHOWN], exam.captions[:_SHOWN], wrong[:_SHOWN])
        write_atomic(run.path / "media" / "sheet.png", sheet)
        write_metrics(run, result.table)
        record = RunRecord(title, run.command, run.settings)
        write_results(run.path / "exports", record, result.table, facts(exam, result, classifier))
        write_exam_report(run, exam, result, classifier, sheet, title)
    return result
