"""Planted faults that the pages would tell wrongly; see `mutation`."""

from __future__ import annotations

# What is wrong, where in src/modeseek, text found exactly once, what replaces it, the tests that should notice.
DOCS_FAULTS: list[tuple[str, str, str, str, str]] = [
    ("a public name not exported", "__init__.py", '    "surrogate",\n', "", "docs"),
    (
        "a weight under another's name",
        "config/registry.py",
        '"sigma-squared": sigma_squared,',
        '"sigma-squared": sigma_over_alpha,',
        "docs",
    ),
    ("a ramp that is none", "config/registry.py", '"ramp": Ramp', '"ramp": Fading', "docs"),
    (
        "shape forgets its words",
        "cli/shape.py",
        '"prompts": [] if ideal else [self.prompt],',
        '"prompts": [self.prompt] if ideal else [],',
        "docs",
    ),
    (
        "shape guides the wrong methods",
        "cli/shape.py",
        '"scale": 1.0 if own else scale,',
        '"scale": scale if own else 1.0,',
        "docs",
    ),
    (
        "the shift squared in h",
        "meanshift/mean_shift.py",
        "return -expand_like(h, z) * prediction.eps, log_p",
        "return -expand_like(h * h, z) * prediction.eps, log_p",
        "docs",
    ),
    (
        "the best is like all others",
        "reports/table.py",
        'f"**{cell}**" if self.is_best(row, c) else cell',
        "cell",
        "docs paper_command",
    ),
    (
        "all methods at one rate",
        "experiments/text_to_image/plan.py",
        "AdamConfig(entry.lr)",
        "AdamConfig(0.01)",
        "paper_command",
    ),
    (
        "what is for all methods comes last",
        "cli/text_to_image.py",
        'sorted(told, key=lambda text: "=" in text)',
        "told",
        "paper_command",
    ),
]
