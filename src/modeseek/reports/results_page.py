"""HTML report of an experiment, sweep or sampling run: metrics, images, methods and how to reproduce them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from modeseek.io.atomic import write_atomic
from modeseek.reports.page import render_page
from modeseek.reports.table import Table
from modeseek.rundir.environment import describe_machine, package_versions
from modeseek.rundir.run_dir import Run


@runtime_checkable
class MethodEntry(Protocol):
    """Method of an experiment: its name on the command line, display title, description and BibTeX keys."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def note(self) -> str: ...
    @property
    def references(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class TableSection:
    """Section with a table.

    Attributes:
        heading: heading of the section.
        table: the numbers.
        titles: display titles of rows by name; rows without one keep their name.
        notes: remarks below the table.
        corner: heading of the first column.
        folded: whether the table is folded under its number of rows.
    """

    heading: str
    table: Table
    titles: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    corner: str = "Method"
    folded: bool = False


@dataclass(frozen=True)
class ImageSection:
    """Section with an image.

    Attributes:
        heading: heading of the section.
        data: PNG or GIF file; None shows the caption only.
        caption: caption below the image.
        hint: how to read the image, above it.
        kind: type of the image, png or gif.
    """

    heading: str
    data: bytes | None
    caption: str = ""
    hint: str = ""
    kind: str = "png"

    @classmethod
    def read(cls, path: Path, heading: str, caption: str) -> ImageSection:
        """The section of a PNG or GIF file."""
        return cls(heading, path.read_bytes(), caption, kind=path.suffix[1:])


@dataclass(frozen=True)
class ResultsPage:
    """Content of a report.

    Attributes:
        title: title of the page.
        findings: summary of the results, a sentence each.
        metrics: metrics, with the definitions of their columns; None without.
        images: images.
        caveats: missing results and caveats, a sentence each.
        tables: further tables, below the images.
        entries: methods.
        prompts: prompts, in order.
        note: how to resume.
        sources: BibTeX keys beside those of the methods and metrics.
    """

    title: str
    findings: Sequence[str]
    metrics: TableSection | None = None
    images: Sequence[ImageSection] = ()
    caveats: Sequence[str] = ()
    tables: Sequence[TableSection] = ()
    entries: Sequence[MethodEntry] = ()
    prompts: Sequence[str] = ()
    note: str = ""
    sources: Iterable[str] = ()


def write_results_page(run: Run, page: ResultsPage, template: str = "results", **context: Any) -> None:
    """Writes `report.html` into the run's folder, atomically.

    Args:
        run: run folder that receives the report.
        page: content.
        template: template, `results` or one that extends it.
        context: further values that the template shows.
    """
    packages, host = ", ".join(f"{name} {number}" for name, number in package_versions().items()), describe_machine()
    text = render_page(
        template,
        title=page.title,
        page=page,
        config=(run.path / "config.yaml").read_text(encoding="utf-8"),
        command=run.command,
        environment=f"{packages}; {host['system']} {host['architecture']}, {host['cores']} cores.",
        sources=_citation_keys(page),
        **context,
    )
    write_atomic(run.path / "report.html", text)


def _citation_keys(page: ResultsPage) -> list[str]:
    columns = [] if page.metrics is None else page.metrics.table.used_columns
    return [*(key for cited in (*page.entries, *columns) for key in cited.references), *page.sources]
