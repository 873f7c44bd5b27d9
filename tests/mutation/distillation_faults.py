"""Planted faults of PFD, DVRF, CDS, RewardSDS, SegmentDreamer and VPSD; see `faults_table`."""

from __future__ import annotations

# Description, file in src/modeseek, text that occurs exactly once, its replacement, tests that should fail.
DISTILLATION_FAULTS: list[tuple[str, str, str, str, str]] = [
    (
        "PFD stops one step short",
        "methods/pfd.py",
        "even_times(t, self.steps)[:-1]",
        "even_times(t, self.steps)",
        "pfd",
    ),
    (
        "PFD predicts at t, not where its flow ended",
        "methods/pfd.py",
        "at(z_s, *prior.schedule(times[-1]), ",
        "at(z_s, *prior.schedule(t), ",
        "pfd",
    ),
    (
        "PFD's flow starts from z",
        "methods/pfd.py",
        "z_s = z_t if self.steps == 1",
        "z_s = z_t if self.steps <= 2",
        "pfd",
    ),
]
