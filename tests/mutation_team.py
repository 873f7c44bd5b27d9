"""Planted faults of work in several processes; see `mutation`."""

from __future__ import annotations

# What is wrong, where in src/modeseek, text found exactly once, what replaces it, the tests that should notice.
TEAM_FAULTS: list[tuple[str, str, str, str, str]] = [
    ("gradients stay at home", "team.py", "                dist.all_reduce(flat)\n", "                pass\n", "team"),
    (
        "shares are not whole blocks",
        "team.py",
        "(block * (rank * blocks // self.size)",
        "(rank * n // self.size",
        "team",
    ),
    (
        "gradients where there are none",
        "team.py",
        "strict=True) if any_]",
        "strict=True)]",
        "team",
    ),
    ("phi learns alone", "team.py", "self.sum_gradients(parameters_of(moved))", "pass", "team"),
    ("phi's shares count double", "team.py", "p.grad = p.grad * share", "p.grad = p.grad * 1.0", "team"),
    ("penalties count once a process", "distill.py", "name: share * r(rendering", "name: r(rendering", "team"),
    ("every process renders all", "distill.py", "view if team.size == 1 else view.part(mine)", "view", "team"),
    ("a step tells its own items alone", "distill.py", "team.among(value, mine, n)", "value", "team"),
    (
        "cameras of others",
        "generators/nerf/view.py",
        "cameras = self.cameras.only(rows)",
        "cameras = self.cameras",
        "team",
    ),
    (
        "pictures of others",
        "generators/image.py",
        "else rows[list(view.items)]",
        "else rows[: len(view.items)]",
        "team",
    ),
    (
        "a state of the first rows",
        "runs/store/rows.py",
        "lambda x: x[rows].clone()",
        "lambda x: x[: rows.stop - rows.start]",
        "team",
    ),
    (
        "what others hold is lost",
        "runs/store/rows.py",
        "for part in reversed(held) for",
        "for part in held[:1] for",
        "team",
    ),
    (
        "calls of the first alone",
        "runs/optimise.py",
        "place.calls = round(calls)",
        "place.calls = before + job.counting.calls",
        "crew",
    ),
    ("a wish stays unheard", "runs/optimise.py", "asked = wished and", "asked = wish.signal and", "crew"),
    ("a failure without words", "runs/crew.py", "self.store.set(_LAST_WORDS, f", "str(f", "crew"),
    (
        "all speak",
        "runs/crew.py",
        "if not crew.first:\n                nowhere",
        "if False:\n                nowhere",
        "crew",
    ),
    (
        "any command is shared",
        "cli/__init__.py",
        "crew.team.size > 1 and not isinstance(command, _SHARED)",
        "False",
        "crew",
    ),
    (
        "noise of others forgotten",
        "runs/place.py",
        "method = taken(method, work.mine, job.batch, items[work.mine])",
        "pass",
        "crew",
    ),
    ("one leaves before all have met", "runs/crew.py", '        store.wait(["modeseek/all"], _WAIT)\n', "", "crew"),
]
