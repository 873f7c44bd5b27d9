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
    ("phi's shares count double", "distributed.py", "p.grad = p.grad * fraction", "p.grad = p.grad * 1.0", "distributed"),
    ("penalties count once a process", "distill.py", "name: fraction * r(rendering", "name: r(rendering", "distributed"),
    ("every process renders all", "distill.py", "view if distributed.size == 1 else view.select(own_rows)", "view", "distributed"),
    ("a step tells its own items alone", "distill.py", "distributed.scatter_rows(value, own_rows, n)", "value", "distributed"),
    (
        "cameras of others",
        "generators/nerf/view.py",
        "cameras = self.cameras.select(rows)",
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
        "state.calls = round(calls)",
        "state.calls = before + job.counting.calls",
        "process_group",
    ),
    ("a wish stays unheard", "runs/train.py", "asked = stop_requested and", "asked = wish.signal and", "process_group"),
    ("a failure without words", "runs/process_group.py", "self.store.set(_ERROR_KEY, f", "str(f", "process_group"),
    (
        "all speak",
        "runs/process_group.py",
        "if not process_group.is_main_process:\n                nowhere",
        "if False:\n                nowhere",
        "process_group",
    ),
    (
        "any command is shared",
        "cli/main.py",
        "crew.distributed.size > 1 and not isinstance(command, _SHARED)",
        "False",
        "process_group",
    ),
    (
        "noise of others forgotten",
        "runs/run_state.py",
        "method = shard_state(method, context.own_rows, job.batch, items[context.own_rows])",
        "pass",
        "process_group",
    ),
    (
        "one leaves before all have met",
        "runs/process_group.py",
        '        store.wait(["modeseek/all"], _TIMEOUT)\n',
        "",
        "process_group",
    ),
]
