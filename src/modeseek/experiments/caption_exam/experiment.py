"""An examination kept as a run: its numbers, pictures and report in a folder of their own."""

from __future__ import annotations

from collections.abc import Generator

from modeseek.experiments.caption_exam.caption_exam import Exam, Examined, examine, facts
from modeseek.experiments.caption_exam.contact_sheet import exam_sheet
from modeseek.experiments.caption_exam.report import write_exam_page
from modeseek.experiments.common.outcome import write_rows
from modeseek.experiments.common.results_files import Record, write_numbers
from modeseek.io.atomic import write_whole
from modeseek.io.images import picture
from modeseek.io.progress import Progress
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.rundir.run_dir import Run
from modeseek.runs.session import working

_SHOWN = 64  # pictures on the sheet


def run_exam(run: Run, exam: Exam, judge: SceneClassifier, title: str) -> Generator[Progress, None, Examined]:
    """Examines, and writes `exports/` (results, pictures), `media/sheet.png`, `metrics.jsonl` and `report.html`.

    Raises:
        ValueError: the pipeline cannot be loaded, or another process works on the folder.
    """
    with working(run):
        done = yield from examine(exam, judge)
        for index, image in enumerate(done.images):
            write_whole(run.path / "exports" / f"image-{index:03d}.png", picture(image))
        wrong = [done.scores.wrong(i) for i in range(len(exam.captions))]
        sheet = exam_sheet(done.images[:_SHOWN], exam.captions[:_SHOWN], wrong[:_SHOWN])
        write_whole(run.path / "media" / "sheet.png", sheet)
        write_rows(run, done.table)
        record = Record(title, run.command, run.settings)
        write_numbers(run.path / "exports", record, done.table, facts(exam, done, judge))
        write_exam_page(run, exam, done, judge, sheet, title)
    return done
