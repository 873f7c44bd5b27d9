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
        "DVRF pulls away from the source",
        "methods/dvrf.py",
        "(1 - shift) * (z - source)",
        "(1 - shift) * (source - z)",
        "dvrf",
    ),
    ("DVRF's shift without its noise share", "methods/dvrf.py", "shift * expand_like(s, z) * (z", "shift * (z", "dvrf"),
    ("DVRF's shift does not follow progress", "methods/dvrf.py", "self.eta * progress", "self.eta", "dvrf"),
    (
        "target and source swap their scales",
        "methods/editing.py",
        "torch.full_like(level[0], scales[k])",
        "torch.full_like(level[0], scales[1 - k])",
        "dvrf",
    ),
    ("the hump has no tail", "ramp.py", "self.height * hump + self.tail * x", "self.height * hump", "dvrf"),
]
