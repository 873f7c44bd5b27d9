"""Planted faults of sweeps; see `mutation`."""

from __future__ import annotations

# What is wrong, where in src/modeseek, text found exactly once, what replaces it, the tests that should notice.
SWEEP_FAULTS: list[tuple[str, str, str, str, str]] = [
    (
        "a job's id of its method alone",
        "runs/sweep/jobs.py",
        "json.dumps(config.plain(), sort_keys=True",
        'json.dumps(config.plain()["method"], sort_keys=True',
        "sweep",
    ),
    (
        "the base put in over the axes",
        "runs/sweep/jobs.py",
        "for choice in (*choices, method):",
        "for choice in (method,):",
        "sweep",
    ),
    (
        "finished jobs done again",
        "runs/sweep/drive.py",
        'if state not in ("finished", "failed")]',
        'if state not in ("failed",)]',
        "sweep_drive",
    ),
    ("no end of retries", "runs/sweep/drive.py", "if tries > retries:", "if tries > 10 * retries:", "sweep_drive"),
    ("another prior's job first", "runs/sweep/drive.py", "if prior == mine]", "if prior != mine]", "sweep_drive"),
    (
        "jobs may be left out of a sweep's folder",
        "runs/sweep/folder.py",
        "if id not in ours]",
        "if id in ours and id not in ours]",
        "sweep",
    ),
    (
        "the prior loaded for every job",
        "runs/sweep/worker.py",
        "if self._prior is None or self._prior[:2] != (config.prior, config.device):",
        "if config.prior is not None:",
        "sweep_drive",
    ),
    (
        "a failure not told in its folder",
        "runs/sweep/worker.py",
        'if status.state != "failed":',
        'if status.state == "failed":',
        "sweep_drive",
    ),
    (
        "a run of another's settings gone on with",
        "runs/sweep/worker.py",
        "if run.config != config:",
        "if run.config is None:",
        "sweep_drive",
    ),
    ("the spread of a mean", "runs/sweep/results.py", "= stdev(told)", "= stdev(told) / len(told) ** 0.5", "sweep"),
    (
        "density under a kernel twice as wide",
        "runs/sweep/density.py",
        "one * loaded.bandwidth",
        "one * 2 * loaded.bandwidth",
        "sweep",
    ),
    (
        "seeds on top of each other",
        "runs/sweep/sheet.py",
        "seeds.index(entry.config.seed) * (side + 2)",
        "0 * (side + 2)",
        "sweep",
    ),
    (
        "what comes before the first step forgotten",
        "runs/sweep/cost.py",
        "return n * (first + each * config.steps)",
        "return n * each * config.steps",
        "sweep",
    ),
    (
        "Ctrl-C reaches the workers",
        "runs/sweep/local.py",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])",
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])",
        "sweep_local",
    ),
    (
        "an orphan throws its step away",
        "runs/sweep/local.py",
        "        worker.stop()\n",
        "        pass\n",
        "sweep_local",
    ),
]
