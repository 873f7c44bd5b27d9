"""Planted faults that the tests of the docs must detect; see `faults_table`."""

from __future__ import annotations

# Name of the fault, file in src/modeseek, text that occurs exactly once, its replacement, tests that must fail.
DOCS_FAULTS: list[tuple[str, str, str, str, str]] = [
    ("a public name not exported", "__init__.py", '    "surrogate",\n', "", "docs"),
    (
        "a weight under a wrong name",
        "config/registry.py",
        '"sigma-squared": sigma_squared,',
        '"sigma-squared": sigma_over_alpha,',
        "docs",
    ),
    ("another function named ramp", "config/registry.py", '"ramp": Ramp', '"ramp": Fading', "docs"),
    (
        "shape forgets its prompt",
        "cli/shape.py",
        "prompts=() if exact else (self.prompt,),",
        "prompts=(self.prompt,) if exact else (),",
        "docs",
    ),
    (
        "shape guides the wrong methods",
        "config/defaults.py",
        "scale=1.0 if made.guides else scale",
        "scale=scale if made.guides else 1.0",
        "defaults docs",
    ),
    (
        "the shift squared in h",
        "meanshift/mean_shift.py",
        "return -expand_like(h, z) * prediction.eps, log_p",
        "return -expand_like(h * h, z) * prediction.eps, log_p",
        "docs",
    ),
    (
        "the best cell is not marked",
        "reports/table.py",
        'f"**{cell}**" if self.is_best(row, c) else cell',
        "cell",
        "docs paper_command",
    ),
    (
        "markup in a page is not escaped",
        "reports/page.py",
        "autoescape=True",
        "autoescape=False",
        "run_page report_page",
    ),
    (
        "the bounds of an interval are swapped",
        "reports/table.py",
        "[{low:{column.spec}}, {high:{column.spec}}]",
        "[{high:{column.spec}}, {low:{column.spec}}]",
        "report_page paper_command",
    ),
    (
        "one learning rate for all methods",
        "experiments/text_to_image/plan.py",
        "AdamConfig(entry.lr)",
        "AdamConfig(0.01)",
        "paper_command",
    ),
    (
        "common settings override those of single methods",
        "cli/paper_text_to_image.py",
        'sorted(values, key=lambda text: "=" in text)',
        "values",
        "paper_command",
    ),
]
