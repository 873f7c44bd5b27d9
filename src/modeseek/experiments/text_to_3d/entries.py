"""Entries of the text-to-3D experiment: methods with their settings, in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modeseek.config.defaults import METHODS_3D, MSD_PLAIN_3D, MSD_PRODUCT_3D
from modeseek.config.registry import REGISTRY
from modeseek.methods.base import Method


@dataclass(frozen=True)
class TextTo3DEntry:
    """Method of the text-to-3D experiment.

    Attributes:
        name: name on the command line, in folders and tables.
        title: display title.
        note: description, one sentence.
        references: citation keys.
        plain: method in the form of `config.yaml`, a function of the guidance scale and of whether the prior is a
            pipeline.
        guided: whether it uses a guided prior; else the method guides by itself.
    """

    name: str
    title: str
    note: str
    references: tuple[str, ...]
    plain: Callable[[float, bool], Any]
    guided: bool = True

    def method(self, scale: float, pipeline: bool) -> Method:
        """Builds the method.

        Args:
            scale: guidance scale; 1 is none.
            pipeline: whether the prior is a pipeline, conditioned on text; else it is exact, conditioned on labels.
        """
        return REGISTRY.deserialize(Method, self.plain(scale, pipeline), f"the method {self.name}")


def _sdi(scale: float, pipeline: bool) -> Any:
    return {"sdi": {"scale": scale, "inversion_scale": 1.0, "inversion_steps": 3}}


def _sdi_negative(scale: float, pipeline: bool) -> Any:
    return {"sdi": {"scale": scale, "inversion_scale": 1.0 if scale == 1 else -scale}}


def _vsd(scale: float, pipeline: bool) -> Any:
    return {"vsd": {"scale": scale, "auxiliary": "adapter" if pipeline else "network"}}


_BOUND = {"ramp": {"start": 0.5, "end": 2.0}}
ENTRIES = {
    entry.name: entry
    for entry in (
        TextTo3DEntry(
            "sds",
            "SDS",
            "Score distillation, weight sigma^2, its noise level falling from 0.98 to 0.1.",
            ("sds",),
            lambda scale, pipeline: METHODS_3D["sds"],
        ),
        TextTo3DEntry(
            "sds-uniform",
            "SDS, uniform",
            "Score distillation at uniform noise levels, as its authors run it.",
            ("sds",),
            lambda scale, pipeline: "sds",
        ),
        TextTo3DEntry(
            "sds-debiased",
            "SDS, debiased",
            "The same with each component of the gradient clamped to a bound from 0.5 to 2 (D-SDS).",
            ("debiased", "sds"),
            lambda scale, pipeline: {"debiased": {"method": METHODS_3D["sds"], "threshold": _BOUND}},
        ),
        TextTo3DEntry(
            "msd",
            "MSD",
            "Mean-shift distillation with the denoiser, bandwidth 10 to 0.5, with jitter that fades out by 60 % of the "
            "run.",
            ("msd", "meanshift"),
            lambda scale, pipeline: METHODS_3D["msd"],
        ),
        TextTo3DEntry(
            "msd-plain",
            "MSD, no jitter",
            "The same without jitter.",
            ("msd", "meanshift"),
            lambda scale, pipeline: MSD_PLAIN_3D,
        ),
        TextTo3DEntry(
            "msd-product",
            "MSD, product",
            "MSD with its target sampled from the exact product prior, 8 Heun steps.",
            ("msd", "edm"),
            lambda scale, pipeline: MSD_PRODUCT_3D,
        ),
        TextTo3DEntry(
            "sdi",
            "SDI",
            "Score distillation via inversion: 3 inversion steps without guidance.",
            ("sdi", "ddim"),
            _sdi,
            guided=False,
        ),
        TextTo3DEntry(
            "sdi-negative",
            "SDI, negative",
            "The same with 10 inversion steps at the negative guidance scale, as its authors run it.",
            ("sdi", "ddim"),
            _sdi_negative,
            guided=False,
        ),
        TextTo3DEntry(
            "vsd",
            "VSD",
            "Variational score distillation of one particle; its auxiliary network is a LoRA of the pipeline's, or a "
            "small MLP for an exact prior.",
            ("vsd",),
            _vsd,
            guided=False,
        ),
    )
}
DEFAULT_ENTRIES = ("sds", "msd")
"""Entries that run every caption by default."""
DEFAULT_EXTRA_ENTRIES = ("sdi", "vsd")
"""Entries that run the first two captions by default."""
