"""Run of an emoji exam: results, images and report in a run folder."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from modeseek.datasets.emoji import Icon
from modeseek.exams.emoji_exam.emoji_exam import EmojiExamResult, examine, facts
from modeseek.exams.emoji_exam.report import MEMORY, TITLES, summarise, write_exam_report
from modeseek.exams.exam import Exam, write_exam
from modeseek.io.progress import Progress
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.reports.results_files import ExperimentResult
from modeseek.rundir.run_dir import Run
from modeseek.runs.session import run_session

_SHOWN, _COLUMNS = 200, 8  # pairs on the contact sheet, and in each of its rows
_SIDE = 96  # of a tile, pixels


def run_emoji_exam(
    run: Run, exam: Exam, names: Sequence[str], icons: Sequence[Icon], title: str
) -> Generator[Progress, None, ExperimentResult]:
    """Runs the exam and writes `exports/` (results, images), `media/sheet.png`, `metrics.jsonl` and `report.html`.

    Raises:
        ValueError: the pipeline cannot be loaded, or another process holds the folder.
    """
    with run_session(run):
        result = yield from examine(exam, names, icons)
        found = ExperimentResult(
            run.path, result.table, tuple(summarise(exam, result)), TITLES, more={MEMORY: result.memory}
        )
        sheet = _sheet(exam, result, icons)
        png = write_exam(run, title, result.images, sheet, found, facts(exam, names, result, icons))
        write_exam_report(run, exam, result, png, title)
    return found


def _sheet(exam: Exam, result: EmojiExamResult, icons: Sequence[Icon]) -> ContactSheet:
    """Samples, each with its nearest drawing on its right."""
    pairs: list[tuple[Tile, Tile]] = []
    for i, caption in enumerate(exam.captions[:_SHOWN]):
        icon = icons[int(result.nearest.index[i, 0])]
        alarm = "" if result.right[i, 0] else f"taken for: {icon.name}"
        pairs.append(
            (Tile(result.images[i], caption=caption, alarm=alarm), Tile(result.drawings[i], caption=icon.style))
        )
    cells = [pairs[k : k + _COLUMNS] for k in range(0, len(pairs), _COLUMNS)]
    return ContactSheet(cells, side=_SIDE, across=2, font=12)
