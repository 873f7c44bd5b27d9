"""What one sees in the results, in sentences: by pairs of equal caption and seed, and intervals that leave 0 out."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from modeseek.experiments.text_to_3d.entries import Player
from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.experiments.text_to_3d.table import COLUMNS, Result
from modeseek.metrics.bootstrap import average

_COMPARED = ("iou", "right", "delta_e", "psnr", "saturation_error")
_FEWEST = 3


def find(plan: TextTo3D, results: Sequence[Result]) -> tuple[str, ...]:
    """The sentences, MSD's comparisons first; without MSD the first player's."""
    fronted = len(plan.fronted)
    told = [
        f"{len(plan.captions)} captions, {fronted} of them with a front, {plan.seeds} "
        f"seed{'s' * (plan.seeds > 1)} each; {plan.spend:,} prior calls a view for every method, {plan.views} views at "
        f"a time. Views are {plan.tellings[0].note}."
    ]
    players = [player for player in plan.players if any(one.play.player == player for one in results)]
    mine = next((player for player in players if player.name.startswith("msd")), players[0])
    told += [compare(plan, results, mine, rival) for rival in players if rival != mine]
    return (*told, *_fronts(plan, results, players))


def compare(plan: TextTo3D, results: Sequence[Result], a: Player, b: Player) -> str:
    """Player a against b, over the plays that both finished under the first way of telling views."""
    sides = [
        {
            (one.play.caption, one.play.seed): one.measures
            for one in results
            if one.play.player == player and one.play.telling == plan.tellings[0]
        }
        for player in (a, b)
    ]
    pairs = sorted(sides[0].keys() & sides[1].keys())
    better, worse, level = [], [], []
    for column in (c for key in _COMPARED for c in COLUMNS if c.key == key):
        apart = [
            sides[0][pair][column.key] - sides[1][pair][column.key]
            for pair in pairs
            if column.key in sides[0][pair] and column.key in sides[1][pair]
        ]
        if len(apart) < _FEWEST:
            continue
        mean = average(torch.tensor(apart, dtype=torch.float64), seed=plan.seed)
        low, high = mean.interval or (float("-inf"), float("inf"))
        words = f"{column.heading} by {abs(mean.value):.2g}"
        words += f" [{min(abs(low), abs(high)):.2g}, {max(abs(low), abs(high)):.2g}]"
        if low <= 0 <= high:
            level.append(column.heading)
        elif (mean.value > 0) == (column.best == "high"):
            better.append(words)
        else:
            worse.append(words)
    counted = f"{len(pairs)} pair{'s' * (len(pairs) != 1)} of equal caption, seed and prior calls"
    if not (better or worse or level):
        return f"{a.title} against {b.title}: {counted} are too few to tell them apart."
    parts = [f"{word} in {', '.join(some)}" for word, some in (("better", better), ("worse", worse)) if some]
    if level:
        parts.append(f"no difference beyond chance in {', '.join(level)}")
    return f"{a.title} against {b.title}, {counted}: {'; '.join(parts)}."


def _fronts(plan: TextTo3D, results: Sequence[Result], players: Sequence[Player]) -> list[str]:
    told = []
    for telling in plan.tellings:
        for key, by in (("one_front", "beside the truth"), ("one_front_judged", "by the judge")):
            parts = []
            for player in players:
                mine = [
                    one.measures[key]
                    for one in results
                    if (one.play.player, one.play.telling) == (player, telling) and key in one.measures
                ]
                if mine:
                    parts.append(f"{player.title} {sum(mine):.0f} of {len(mine)}")
            if parts:
                told.append(f"Exactly one front, counted {by}, where the prior is {telling.note}: {', '.join(parts)}.")
    return told
