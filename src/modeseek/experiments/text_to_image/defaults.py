"""What suits pictures, as `config.yaml` writes it."""

from __future__ import annotations

from typing import Any

from modeseek.config.priors import MIN_LATENT_BANDWIDTH

_NARROWING = {"geometric": {"start": 8.0, "end": MIN_LATENT_BANDWIDTH, "hold": 0.15}}
METHODS: dict[str, Any] = {
    "msd": {"msd": {"bandwidth": _NARROWING, "jitter": "fading"}},
    "sds": {"sds": {"times": {"annealed": {"start": 0.98, "end": 0.02}}}},
}
"""Of methods that `modeseek image` sets up otherwise than they are by themselves."""

PLAIN: dict[str, Any] = {"msd": {"bandwidth": _NARROWING}}
"""MSD by the denoiser without jitter."""

PRODUCT: dict[str, Any] = {"msd": {"bandwidth": _NARROWING, "estimator": "product", "steps": 2}}
"""MSD whose target is sampled from the exact product prior."""

KERNEL: dict[str, Any] = {"msd": {"bandwidth": _NARROWING, "estimator": "kernel-score", "steps": 4}}
"""MSD whose target is sampled as its authors do."""
