"""What suits things in three dimensions, as `config.yaml` writes it: rates of Adam, and settings of methods."""

from __future__ import annotations

from typing import Any

RATES: dict[str, dict[str, Any]] = {
    "dense": {"lr": 0.25, "fall": 0.2},
    "triplane": {"lr": 0.02, "fall": 0.2},
    "fourier": {"lr": 0.005, "fall": 0.2},
    "hash": {"lr": 0.01, "fall": 0.2},
}
"""Of Adam, by the kind of volume."""

_NARROWING = {"geometric": {"start": 10.0, "end": 0.5, "hold": 0.15}}
METHODS: dict[str, Any] = {
    "msd": {"msd": {"bandwidth": _NARROWING, "jitter": "fading"}},
    "sds": {"sds": {"times": {"annealed": {"start": 0.98, "end": 0.1}}}},
}
"""Of methods that `modeseek shape` sets up otherwise than they are by themselves."""

PLAIN: dict[str, Any] = {"msd": {"bandwidth": _NARROWING}}
"""MSD by the denoiser without jitter."""

PRODUCT: dict[str, Any] = {"msd": {"bandwidth": _NARROWING, "estimator": "product", "steps": 8}}
"""MSD whose target is sampled from the exact product prior."""
