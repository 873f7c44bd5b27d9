"""Planted faults of the experiment on quality against calls; see `faults_table`."""

from __future__ import annotations

# Name of the fault, file from src/modeseek/ on, text that occurs exactly once, its replacement, tests that must fail.
QUALITY_FAULTS: list[tuple[str, str, str, str, str]] = [
    (
        "gains pair images by their place in the list",
        "experiments/quality/comparison.py",
        "(mine[pair] - others[pair]) for pair in pairs",
        "(a - b) for a, b in zip(mine.values(), others.values())",
        "quality",
    ),
    (
        "gains resample images instead of prompts",
        "experiments/quality/comparison.py",
        "return mean_with_interval(gains, torch.tensor([prompt for prompt, _ in pairs]), cell.seed)",
        "return mean_with_interval(gains, None, cell.seed)",
        "quality",
    ),
    (
        "a larger distance is a gain",
        "experiments/quality/comparison.py",
        'sign = -1.0 if column.best == "low" else 1.0',
        'sign = 1.0 if column.best == "low" else 1.0',
        "quality",
    ),
    (
        "a goal is reached only beyond doubt",
        "experiments/quality/comparison.py",
        "found.interval[1] >= 0",
        "found.interval[0] >= 0",
        "quality",
    ),
    (
        "the tuning ranks the worst first",
        "experiments/quality/tuning.py",
        'reverse=main.best == "high")',
        'reverse=main.best == "low")',
        "quality",
    ),
    (
        "the tuning draws the random numbers of the comparison",
        "experiments/quality/plan.py",
        "tuning.seeds, self.seed + 1)",
        "tuning.seeds, self.seed)",
        "quality",
    ),
    (
        "the tuning takes prompts that are compared on",
        "cli/paper_quality.py",
        "Tuning(prompts[n:], self.tune_at",
        "Tuning(prompts[:m], self.tune_at",
        "paper_quality",
    ),
    (
        "a run whose calls change along it exceeds its budget",
        "experiments/quality/plan.py",
        "while steps > 2 and each % 1 and",
        "while steps > 2 and not each % 1 and",
        "quality",
    ),
    (
        "the chosen rate is not used",
        "experiments/quality/experiment.py",
        "(tuned[entry.name].apply(entry) if entry.name in tuned else entry for entry in plan.entries)",
        "(entry for entry in plan.entries)",
        "quality",
    ),
    (
        "inner steps of an entry are dropped",
        "experiments/text_to_image/plan.py",
        "inner_steps=entry.inner_steps,",
        "inner_steps=1,",
        "quality",
    ),
    (
        "scores of an earlier session are made again",
        "experiments/quality/runner.py",
        "if not path.is_file():",
        "if path.is_file() or True:",
        "quality",
    ),
    (
        "the nearest drawing of any name counts",
        "experiments/quality/scorers.py",
        "distances.masked_fill(~own, torch.inf).amin(1)",
        "distances.amin(1)",
        "quality",
    ),
    (
        "attributes that do not apply are counted as right",
        "metrics/scenes/caption_accuracy.py",
        "(right & applies).sum(0)",
        "right.sum(0)",
        "quality",
    ),
    (
        "the switch comes at the other side",
        "diffusion/noise_levels.py",
        "self.high if progress < self.at else self.then",
        "self.high if progress >= self.at else self.then",
        "noise_levels",
    ),
    (
        "the frame is cut at the better side",
        "reports/interval_panels.py",
        'if panels.best == "low":',
        'if panels.best == "high":',
        "interval_panels",
    ),
    (
        "digits are optimised without guidance",
        "experiments/quality/digits.py",
        "counting if entry.guides else self._guided(counting),",
        "counting,",
        "paper_quality",
    ),
]
