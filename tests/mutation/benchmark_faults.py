"""Planted faults of the comparison on known densities; see `faults_table`."""

from __future__ import annotations

_K = "experiments/known_density/"
# Name of the fault, file from src/modeseek/ on, text that occurs exactly once, its replacement, tests that must fail.
BENCHMARK_FAULTS: list[tuple[str, str, str, str, str]] = [
    ("tuned on what is reported", _K + "plan.py", "TUNING_STREAMS = 1_000_000", "TUNING_STREAMS = 0", "known_density"),
    ("the worst setting is chosen", _K + "tuning.py", "key=lambda trial: trial.score)",
     "key=lambda trial: -trial.score)", "known_density"),
    ("budgets by the dearest step", _K + "plan.py", "each = (run_to_result(entry.run(short)).calls - first) / counted",
     "each = 2 * entry.check(task)[1]", "known_density"),
    ("equal steps at the budget of calls", _K + "plan.py", 'if contest == "steps":', 'if contest == "none":',
     "known_density"),
    ("a result of another method is reused", _K + "jobs.py", 'if file["identity"] == self.identity else None',
     "if True else None", "known_density"),
    ("edits are scored under every class", _K + "measure.py", 'if contest == "edits" else plan.base.cond',
     "if False else plan.base.cond", "known_density"),
    ("the opposite class instead of the blurred one", _K + "plan.py", 'opposite if contest == "edits" else bad',
     "opposite", "known_density"),
    ("clouds slower by their number", "experiments/toy2d/clouds.py", "len(clouds) * grad", "grad", "benchmark"),
    ("one rate for all settings side by side", "experiments/toy2d/algorithms.py",
     'group["lr"] = setting.config.rate(progress)', 'group["lr"] = settings[0].config.rate(progress)',
     "known_density"),
    ("DDIM's lengths of the present level", "experiments/toy2d/settings.py", "return sigma / alpha - less / cleaner",
     "return sigma / alpha", "known_density"),
    ("a blur of its square root", "priors/blurred.py", "noise = blur**2 *", "noise = blur *", "blurred"),
    ("blurred classes are part of the whole", "priors/blurred.py", "unlabelled.to(log_w.device) & ~plain",
     "unlabelled.to(log_w.device) & (plain & ~plain)", "blurred"),
    ("the cosine ends at half the rate", "config/optimizers.py", "math.cos(math.pi * progress)",
     "math.cos(math.pi * progress / 2)", "registry"),
]  # fmt: skip
