"""Planted faults of work in several processes; see `mutation`."""

from __future__ import annotations

# What is wrong, where in src/modeseek, text found exactly once, what replaces it, the tests that should notice.
TEAM_FAULTS: list[tuple[str, str, str, str, str]] = [
    (
        "gradients stay at home",
        "distributed.py",
        "                dist.all_reduce(flat)\n",
        "                pass\n",
        "distributed",
    ),
    (
        "shares are not whole blocks",
        "distributed.py",
        "(block * (rank * blocks // self.size)",
        "(rank * n // self.size",
        "distributed",
    ),
    (
        "gradients where there are none",
        "distributed.py",
        "strict=True) if any_]",
        "strict=True)]",
        "distributed",
    ),
    ("phi learns alone", "distributed.py", "self.sum_gradients(parameters_of(moved))", "pass", "distributed"),
    ("phi's shares count double", "distributed.py", "p.grad = p.grad * share", "p.grad = p.grad * 1.0", "distributed"),
    ("penalties count once a process", "distill.py", "name: share * r(rendering", "name: r(rendering", "distributed"),
    ("every process renders all", "distill.py", "view if team.size == 1 else view.part(mine)", "view", "distributed"),
    ("a step tells its own items alone", "distill.py", "team.scatter_rows(value, mine, n)", "value", "distributed"),
    (
        "cameras of others",
        "generators/nerf/view.py",
        "cameras = self.cameras.only(rows)",
        "cameras = self.cameras",
        "distributed",
    ),
    (
        "pictures of others",
        "generators/image.py",
        "else rows[list(view.items)]",
        "else rows[: len(view.items)]",
        "distributed",
    ),
    (
        "a state of the first rows",
        "rundir/state_sharding.py",
        "lambda x: x[rows].clone()",
        "lambda x: x[: rows.stop - rows.start]",
        "distributed",
    ),
    (
        "what others hold is lost",
        "rundir/state_sharding.py",
        "for part in reversed(held) for",
        "for part in held[:1] for",
        "distributed",
    ),
    (
        "calls of the first alone",
        "runs/train.py",
        "place.calls = round(calls)",
        "place.calls = before + job.counting.calls",
        "process_group",
    ),
    ("a wish stays unheard", "runs/train.py", "asked = wished and", "asked = wish.signal and", "process_group"),
    ("a failure without words", "runs/process_group.py", "self.store.set(_LAST_WORDS, f", "str(f", "process_group"),
    (
        "all speak",
        "runs/process_group.py",
        "if not crew.first:\n                nowhere",
        "if False:\n                nowhere",
        "process_group",
    ),
    (
        "any command is shared",
        "cli/main.py",
        "crew.team.size > 1 and not isinstance(command, _SHARED)",
        "False",
        "process_group",
    ),
    (
        "noise of others forgotten",
        "runs/run_state.py",
        "method = taken(method, work.mine, job.batch, items[work.mine])",
        "pass",
        "process_group",
    ),
    (
        "one leaves before all have met",
        "runs/process_group.py",
        '        store.wait(["modeseek/all"], _WAIT)\n',
        "",
        "process_group",
    ),
]
