"""Default settings of methods for images and for 3D, and of Adam for volumes, in the form of `config.yaml`."""

from __future__ import annotations

from typing import Any

from modeseek.config.priors import MIN_LATENT_BANDWIDTH

_IMAGE_BANDWIDTH = {"geometric": {"start": 8.0, "end": MIN_LATENT_BANDWIDTH, "hold": 0.15}}
IMAGE_METHODS: dict[str, Any] = {
    "msd": {"msd": {"bandwidth": _IMAGE_BANDWIDTH, "jitter": "fading"}},
    "sds": {"sds": {"times": {"annealed": {"start": 0.98, "end": 0.02}}}},
}
"""Methods whose settings in `modeseek image` differ from their own defaults."""
IMAGE_MSD_PLAIN: dict[str, Any] = {"msd": {"bandwidth": _IMAGE_BANDWIDTH}}
"""MSD on images with the denoiser estimator, without jitter."""
IMAGE_MSD_PRODUCT: dict[str, Any] = {"msd": {"bandwidth": _IMAGE_BANDWIDTH, "estimator": "product", "steps": 2}}
"""MSD on images with the product estimator."""
IMAGE_MSD_KERNEL_SCORE: dict[str, Any] = {
    "msd": {"bandwidth": _IMAGE_BANDWIDTH, "estimator": "kernel-score", "steps": 4}
}
"""MSD on images with the kernel-score estimator of the paper."""

_3D_BANDWIDTH = {"geometric": {"start": 10.0, "end": 0.5, "hold": 0.15}}
METHODS_3D: dict[str, Any] = {
    "msd": {"msd": {"bandwidth": _3D_BANDWIDTH, "jitter": "fading"}},
    "sds": {"sds": {"times": {"annealed": {"start": 0.98, "end": 0.1}}}},
}
"""Methods whose settings in `modeseek shape` differ from their own defaults."""
MSD_PLAIN_3D: dict[str, Any] = {"msd": {"bandwidth": _3D_BANDWIDTH}}
"""MSD in 3D with the denoiser estimator, without jitter."""
MSD_PRODUCT_3D: dict[str, Any] = {"msd": {"bandwidth": _3D_BANDWIDTH, "estimator": "product", "steps": 8}}
"""MSD in 3D with the product estimator."""

NERF_ADAM: dict[str, dict[str, Any]] = {
    "dense": {"lr": 0.25, "fall": 0.2},
    "triplane": {"lr": 0.02, "fall": 0.2},
    "fourier": {"lr": 0.005, "fall": 0.2},
    "hash": {"lr": 0.01, "fall": 0.2},
}
"""Learning rate of Adam for a NeRF, and its fall, by the kind of volume."""
