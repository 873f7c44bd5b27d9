"""Planted faults of sweeps; see `mutation`."""

from __future__ import annotations

# What is wrong, where in src/modeseek, text found exactly once, what replaces it, the tests that should notice.
SWEEP_FAULTS: list[tuple[str, str, str, str, str]] = [
    (
        "a job's id of its method alone",
        "sweeps/jobs.py",
        "json.dumps(config.to_dict(), sort_keys=True",
        'json.dumps(config.to_dict()["method"], sort_keys=True',
        "sweep",
    ),
    (
        "the base put in over the axes",
        "sweeps/jobs.py",
        "for choice in (*choices, method):",
        "for choice in (method,):",
        "sweep",
    ),
    (
        "finished jobs done again",
        "sweeps/scheduler.py",
        'if state not in ("finished", "failed")]',
        'if state not in ("failed",)]',
        "scheduler",
    ),
    ("no end of retries", "sweeps/scheduler.py", "if tries > retries:", "if tries > 10 * retries:", "scheduler"),
    ("another prior's job first", "sweeps/scheduler.py", "if prior == mine]", "if prior != mine]", "scheduler"),
    (
        "jobs may be left out of a sweep's folder",
        "sweeps/sweep_dir.py",
        "if id not in ours]",
        "if id in ours and id not in ours]",
        "sweep",
    ),
    (
        "the prior loaded for every job",
        "sweeps/worker.py",
        "if self._prior is None or self._prior[:2] != (config.prior, config.device):",
        "if config.prior is not None:",
        "scheduler",
    ),
    (
        "a failure not told in its folder",
        "sweeps/worker.py",
        'if status.state != "failed":',
        'if status.state == "failed":',
        "scheduler",
    ),
    (
        "a run of another's settings gone on with",
        "sweeps/worker.py",
        "if run.config != config:",
        "if run.config is None:",
        "scheduler",
    ),
    ("the spread of a mean", "sweeps/results.py", "= stdev(told)", "= stdev(told) / len(told) ** 0.5", "sweep"),
    (
        "density under a kernel twice as wide",
        "sweeps/densities.py",
        "one * loaded.bandwidth",
        "one * 2 * loaded.bandwidth",
        "sweep",
    ),
    (
        "seeds on top of each other",
        "sweeps/contact_sheet.py",
        "seeds.index(entry.config.seed) * (side + 2)",
        "0 * (side + 2)",
        "sweep",
    ),
    (
        "what comes before the first step forgotten",
        "sweeps/cost.py",
        "return n * (first + each * config.steps)",
        "return n * each * config.steps",
        "sweep",
    ),
    (
        "Ctrl-C reaches the workers",
        "sweeps/local_workers.py",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])",
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])",
        "local_workers",
    ),
    (
        "an orphan throws its step away",
        "sweeps/local_workers.py",
        "        worker.stop()\n",
        "        pass\n",
        "local_workers",
    ),
]
