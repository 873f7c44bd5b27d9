"""Codecs: differentiable maps between a rendered image and the z of a prior, fixed or moved at random at each step."""

from __future__ import annotations

from modeseek.codec.base import Codec, Identity, ImageCodec, RangeCodec
from modeseek.codec.frame import Frame, RandomCodec, ResizeCodec, draw_frame
from modeseek.codec.shifted import Move, Shifted

__all__ = [
    "Codec",
    "Frame",
    "Identity",
    "ImageCodec",
    "Move",
    "RandomCodec",
    "RangeCodec",
    "ResizeCodec",
    "Shifted",
    "draw_frame",
]
