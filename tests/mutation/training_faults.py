"""Planted faults of the training and packing of the bundled priors; see `faults_table`."""

from __future__ import annotations

# Name of the fault, file from tools/ on, text that occurs exactly once, its replacement, tests that must fail.
TRAINING_FAULTS: list[tuple[str, str, str, str, str]] = [
    (
        "Muon steps along the momentum's complement",
        "tools/bundled_priors/muon.py",
        "torch._foreach_lerp(gradients, buffers, momentum)",
        "torch._foreach_lerp(gradients, buffers, 1 - momentum)",
        "muon",
    ),
    (
        "weights and average change places",
        "tools/bundled_priors/ema.py",
        "mean.lerp_(weight, share)",
        "mean.lerp_(weight, 1 - share)",
        "formulas",
    ),
    (
        "a restored pool begins elsewhere",
        "tools/bundled_priors/example_pool.py",
        'state["added"] - n if whole else 0',
        "0",
        "feeds",
    ),
    (
        "a resumed feed renders its chunks again",
        "tools/bundled_priors/feeds.py",
        'self._n_chunks = state["chunks"]',
        "self._n_chunks = 0",
        "feeds training",
    ),
    (
        "captions name the next background",
        "tools/bundled_priors/sources.py",
        "_WHITE_CAPTIONS - 1 + varied.background",
        "_WHITE_CAPTIONS - 2 + varied.background",
        "feeds",
    ),
    (
        "all chunks hold the same scenes",
        "tools/bundled_priors/sources.py",
        "_rng(self.seed, self.use, number)",
        "_rng(self.seed, self.use)",
        "feeds",
    ),
    (
        "a worker's error is a chunk",
        "tools/bundled_priors/feeds.py",
        "if isinstance(item, Exception):",
        "if isinstance(item, KeyError):",
        "feeds",
    ),
    (
        "the error before a training goes unsaid",
        "tools/bundled_priors/history.py",
        'at = "after" if entries[-1].steps else "before"',
        'at = "after"',
        "continued",
    ),
    (
        "any start resumes",
        "tools/bundled_priors/train.py",
        "start_recipe(start).sha256 != begun.sha256",
        "start_recipe(start).sha256 == begun.sha256",
        "continued training_mistakes",
    ),
    (
        "a continued pipeline is written anew",
        "tools/bundled_priors/train.py",
        "write_continued(scratch, directory.start, trainer.averaged_model())",
        "write_pipeline(scratch, trainer.averaged_model())",
        "continued",
    ),
    (
        "the average is not continued",
        "tools/bundled_priors/stage_trainer.py",
        '"averages": self.averages, ',
        "",
        "training continued",
    ),
    (
        "the text encoder of emoji stays as it began",
        "tools/bundled_priors/train.py",
        "frozen = started or self.recipe.words is not None",
        "frozen = True",
        "training",
    ),
    (
        "an exam of other weights",
        "tools/bundled_priors/pack.py",
        "if examined != weights_digest(pipeline):",
        "if not examined:",
        "pack",
    ),
    (
        "full precision ships",
        "tools/bundled_priors/pack.py",
        "t.half() if t.is_floating_point() else t",
        "t",
        "pack",
    ),
]
