"""Planted faults of the posterior samplers and of the experiment on restoration; see `faults_table`."""

from __future__ import annotations

_S = "sampling/posterior/"
_R = "experiments/restoration/"
# Name of the fault, file from src/modeseek/ on, text that occurs exactly once, its replacement, tests that must fail.
RESTORATION_FAULTS: list[tuple[str, str, str, str, str]] = [
    ("DPS ascends the residual", _S + "dps.py", "rng) - step * grad", "rng) + step * grad", "posterior_samplers"),
    (
        "DPS descends the square of the residual",
        _S + "dps.py",
        "torch.linalg.vector_norm(residual, dim=1).sum()",
        "residual.square().sum()",
        "posterior_samplers",
    ),
    (
        "PiGDM without the variance of its Gaussian",
        _S + "pigdm.py",
        "/ expand_like(width**2, image)",
        "/ expand_like(width, image)",
        "posterior_samplers",
    ),
    (
        "the prior's weight in DiffPIR as a standard deviation",
        _S + "diffpir.py",
        "/ math.sqrt(weight)",
        "/ weight",
        "posterior_samplers",
    ),
    ("RED-diff pulls away", _S + "red_diff.py", "(p.eps - eps)", "(eps - p.eps)", "posterior_samplers"),
    (
        "RED-diff weighs by the signal",
        _S + "red_diff.py",
        "h = sigma / alpha.clamp(min=torch.finfo(alpha.dtype).eps)",
        "h = alpha / sigma",
        "posterior_samplers",
    ),
    (
        "draws of the image given y without the noise of y",
        _S + "measurement.py",
        "y = y + self.noise * randn(tuple(y.shape), rng, y)",
        "y = y + 0 * randn(tuple(y.shape), rng, y)",
        "posterior_samplers",
    ),
    (
        "the spread of a prior as its variance",
        _S + "measurement.py",
        "torch.hypot(sigma, alpha * spread)",
        "torch.hypot(sigma, alpha * spread**2)",
        "posterior_samplers",
    ),
    (
        "a wide kernel counted once",
        "priors/kernel_density.py",
        "alpha * self.bandwidth**2 / v",
        "alpha * self.bandwidth / v",
        "kernel_density",
    ),
    ("SSIM with biased variances", "metrics/restoration.py", "count / (count - 1)", "1.0", "restoration_metrics"),
    (
        "exact weights without the kernel",
        _R + "exact.py",
        "law = b * b * matrix @ matrix.T + s",
        "law = 0 * matrix @ matrix.T + s",
        "restoration",
    ),
    (
        "settings chosen by the lowest score",
        _R + "experiment.py",
        "return max(scores, key",
        "return min(scores, key",
        "restoration",
    ),
    ("noise of z as that of the image", _R + "problem.py", "(one - zero) * noise, Id", "noise, Id", "restoration"),
]
