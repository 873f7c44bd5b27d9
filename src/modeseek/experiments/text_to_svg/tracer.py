"""Tracing of images by vtracer, the common open tracer of colour images."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from jaxtyping import Float
from torch import Tensor

from modeseek.io.images import encode_png, resize

LARGE = {"factor": 4, "filter_speckle": 16, "layer_difference": 64, "length_threshold": 10, "path_precision": 2}
"""Settings for small images: of 60 that were tried on samples of the tuning, nearest to these at some 20 paths."""


def check_tracer() -> None:
    """Raises ValueError if the package vtracer is missing."""
    if find_spec("vtracer") is None:
        raise ValueError(
            "traced samples need the package vtracer, which is missing; pip install 'modeseek[evaluation]'"
        )


def trace_to_svg(image: Float[Tensor, "3 h w"], factor: int = 1, **settings: Any) -> str:
    """Traces an image by vtracer into stacked layers of splines, and gives the SVG a viewBox.

    Args:
        image: pixels in [0, 1].
        factor: factor by which the image is enlarged first, by Lanczos' windowed sinc, >= 1.
        settings: settings of vtracer by name; others have its defaults.

    Raises:
        ValueError: the package vtracer is missing.
    """
    check_tracer()
    import vtracer

    height, width = factor * image.shape[1], factor * image.shape[2]
    png = encode_png(image if factor == 1 else resize(image, (height, width)))
    svg = vtracer.convert_raw_image_to_svg(png, img_format="png", **settings)
    return svg.replace("<svg ", f'<svg viewBox="0 0 {width} {height}" ', 1)
