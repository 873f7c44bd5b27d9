"""Summary of the tables of the experiment on restoration, a sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modeseek.experiments.restoration.plan import Restoration, RestorationCell
from modeseek.experiments.restoration.restorers import OURS, RESTORERS, Restorer
from modeseek.reports.table import Row, Table


def summarise(
    plan: Restoration, whole: Table, cells: Mapping[RestorationCell, Table], titles: Mapping[str, str]
) -> tuple[str, ...]:
    """Sentences on the best methods, and on where the mean of samples has a higher PSNR than the mode."""
    lines = [f"{plan.images} images, {plan.calls} prior calls per image and run, {len(cells)} cells."]
    rows = sorted((row for row in whole.rows if not row.reference), key=lambda row: -row.values["psnr"])
    if rows:
        best = ", then ".join(f"{titles[row.name]} with {row.values['psnr']:.2f}" for row in rows[:3])
        lines.append(f"Highest mean PSNR: {best} dB.")
    single = [row for row in rows if not RESTORERS[row.name].averages]
    if len(single) < len(rows) and single:
        lines.append(f"Highest at {plan.calls} calls: {titles[single[0].name]} with {single[0].values['psnr']:.2f} dB.")
    better, worse = [], []
    for cell, table in cells.items():
        row = _best_mean(table)
        if row is None or "gain_low" not in row.values:
            continue
        text = f"{cell.title} ({row.values['gain']:+.2f} dB, {titles[row.name]})"
        if row.values["gain_low"] > 0:
            better.append(text)
        elif row.values["gain_high"] < 0:
            worse.append(text)
    ours = titles.get(OURS, OURS)
    if better:
        lines.append(f"The mean of posterior samples has a higher PSNR than {ours} at: {'; '.join(better)}.")
    if worse:
        lines.append(f"{ours} has a higher PSNR than the mean of posterior samples at: {'; '.join(worse)}.")
    return tuple(lines)


def edges(entries: Sequence[Restorer], chosen: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    """Sentences on methods whose chosen setting is the lowest or highest tried in most cells.

    Args:
        entries: methods.
        chosen: chosen settings by method, of each cell.
    """
    lines = []
    for entry in entries:
        if len(entry.settings) < 2:
            continue
        for word, other, edge in (("lowest", "lower", min(entry.settings)), ("highest", "higher", max(entry.settings))):
            n = sum(settings.get(entry.name) == edge for settings in chosen)
            if 2 * n > len(chosen):
                lines.append(
                    f"The chosen setting of {entry.title} is the {word} tried ({edge:g}) in {n} of {len(chosen)} "
                    f"cells: a {other} one may be better."
                )
    return tuple(lines)


def _best_mean(table: Table) -> Row | None:
    """Row of a posterior mean with the highest PSNR."""
    means = [row for row in table.rows if RESTORERS[row.name].averages or row.name == "exact-mean"]
    return max(means, key=lambda row: row.values["psnr"], default=None)
