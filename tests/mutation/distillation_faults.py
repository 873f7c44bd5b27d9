"""Planted faults of PFD, DVRF, CDS, RewardSDS, SegmentDreamer and VPSD; see `faults_table`."""

from __future__ import annotations

# Description, file in src/modeseek, text that occurs exactly once, its replacement, tests that should fail.
DISTILLATION_FAULTS: list[tuple[str, str, str, str, str]] = [
    (
        "PFD stops one step short",
        "methods/reverse_flow.py",
        "even_times(t, steps)[:-1]",
        "even_times(t, steps)",
        "pfd",
    ),
    (
        "PFD predicts at t, not where its flow ended",
        "methods/reverse_flow.py",
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
    (
        "the worst candidates pull",
        "methods/reward_weighted.py",
        "_BEST, _WORST = 0.9, -0.1",
        "_BEST, _WORST = 0.9, 0.1",
        "reward_weighted",
    ),
    (
        "rewards sorted upside down",
        "methods/reward_weighted.py",
        "descending=True",
        "descending=False",
        "reward_weighted",
    ),
    (
        "weights scattered by rank of another order",
        "methods/reward_weighted.py",
        ".scatter(1, order, ranked)",
        ".gather(1, order) + ranked",
        "reward_weighted",
    ),
    (
        "the target forgets the weights",
        "methods/reward_weighted.py",
        "each.weight[:: self.n] * weights.sum(1)",
        "each.weight[:: self.n]",
        "reward_weighted",
    ),
    (
        "rewards of guided predictions at the prior's own scale",
        "methods/reward_weighted.py",
        "bare = prior if guide is None else guide.prior",
        "bare = prior",
        "reward_weighted",
    ),
    (
        "likelihood rewards the unlikely",
        "methods/rewards.py",
        "return -self.sharpness",
        "return self.sharpness",
        "reward_weighted",
    ),
    (
        "SegmentDreamer returns under guidance",
        "methods/segment_dreamer.py",
        "(move(x_s, level_s, level_e) - x_e)",
        "(move(x_t, level_t, level_e) - x_e)",
        "segment_dreamer",
    ),
    (
        "SegmentDreamer pushes from the condition",
        "methods/segment_dreamer.py",
        "(x_e - x_e_cond)",
        "(x_e_cond - x_e)",
        "segment_dreamer",
    ),
    (
        "SegmentDreamer's scale without its 1",
        "methods/segment_dreamer.py",
        "(self.scale + 1) *",
        "self.scale *",
        "segment_dreamer",
    ),
    (
        "SegmentDreamer draws its noise anew",
        "methods/segment_dreamer.py",
        "PerItem().draw(state.noise, z",
        "PerItem().draw({}, z",
        "segment_dreamer",
    ),
]
