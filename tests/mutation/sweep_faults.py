"""Planted faults of sweeps; see `faults_table`."""

from __future__ import annotations

# Name of the fault, file in src/modeseek, text that occurs exactly once, its replacement, tests that must fail.
SWEEP_FAULTS: list[tuple[str, str, str, str, str]] = [
    (
        "a job's id of its method alone",
        "sweeps/jobs.py",
        "json.dumps(config.to_dict(), sort_keys=True",
        'json.dumps(config.to_dict()["method"], sort_keys=True',
        "sweep",
    ),
    (
        "the base overrides the axes",
        "sweeps/jobs.py",
        "for choice in (*choices, method):",
        "for choice in (method,):",
        "sweep",
    ),
    (
        "finished jobs run again",
        "sweeps/scheduler.py",
        'if state not in ("finished", "failed")]',
        'if state not in ("failed",)]',
        "scheduler",
    ),
    ("too many retries", "sweeps/scheduler.py", "if attempts > retries:", "if attempts > 10 * retries:", "scheduler"),
    ("another prior's job first", "sweeps/scheduler.py", "if prior == own]", "if prior != own]", "scheduler"),
    (
        "jobs may be left out of a sweep's folder",
        "sweeps/sweep_dir.py",
        "if id not in ids]",
        "if id in ids and id not in ids]",
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
        "a failure not recorded in its folder",
        "sweeps/worker.py",
        'if status.state != "failed":',
        'if status.state == "failed":',
        "scheduler",
    ),
    (
        "a run of other settings resumed",
        "sweeps/worker.py",
        "if run.config != config:",
        "if run.config is None:",
        "scheduler",
    ),
    (
        "the spread of a mean",
        "sweeps/results.py",
        "= stdev(samples)",
        "= stdev(samples) / len(samples) ** 0.5",
        "sweep",
    ),
    (
        "density under a kernel twice as wide",
        "sweeps/log_densities.py",
        "ones * loaded.bandwidth",
        "ones * 2 * loaded.bandwidth",
        "sweep",
    ),
    (
        "seeds on top of each other",
        "sweeps/contact_sheet.py",
        "seeds.index(spec.config.seed) * (side + 2)",
        "0 * (side + 2)",
        "sweep",
    ),
    (
        "calls before the first step forgotten",
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
        "an orphaned worker loses its step",
        "sweeps/local_workers.py",
        "        worker.stop()\n",
        "        pass\n",
        "local_workers",
    ),
]
