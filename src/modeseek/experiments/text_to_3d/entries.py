"""Who plays in the text-to-3-D experiment: one explicit table, nothing registers itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modeseek.config.registry import REGISTRY
from modeseek.experiments.text_to_3d.defaults import METHODS, PLAIN, PRODUCT
from modeseek.methods.base import Method


@dataclass(frozen=True)
class TextTo3DEntry:
    """A name, and how it plays.

    Attributes:
        name: for the command line, folders and tables.
        title: for people.
        note: what it is, one sentence.
        references: citation keys.
        plain: from the scale of guidance, and whether words are known, to the method as `config.yaml` writes it.
        guided: whether it is given a guided prior; else it guides by itself.
    """

    name: str
    title: str
    note: str
    references: tuple[str, ...]
    plain: Callable[[float, bool], Any]
    guided: bool = True

    def method(self, scale: float, words: bool) -> Method:
        """The method.

        Args:
            scale: of guidance; 1 is none.
            words: whether the prior is a pipeline that knows words; else it is an exact one that knows labels.
        """
        return REGISTRY.deserialize(Method, self.plain(scale, words), f"the method {self.name}")


def _sdi(scale: float, words: bool) -> Any:
    return {"sdi": {"scale": scale, "inversion_scale": 1.0, "inversion_steps": 3}}


def _sdi_negative(scale: float, words: bool) -> Any:
    return {"sdi": {"scale": scale, "inversion_scale": 1.0 if scale == 1 else -scale}}


def _vsd(scale: float, words: bool) -> Any:
    return {"vsd": {"scale": scale, "auxiliary": "adapter" if words else "network"}}


_BOUND = {"ramp": {"start": 0.5, "end": 2.0}}
ENTRIES = {
    entry.name: entry
    for entry in (
        TextTo3DEntry(
            "sds",
            "SDS",
            "Score distillation, weight sigma^2, its noise level falling from 0.98 to 0.1.",
            ("sds",),
            lambda scale, words: METHODS["sds"],
        ),
        TextTo3DEntry(
            "sds-uniform",
            "SDS, uniform",
            "Score distillation at uniform noise levels, as its authors run it.",
            ("sds",),
            lambda scale, words: "sds",
        ),
        TextTo3DEntry(
            "sds-debiased",
            "SDS, debiased",
            "The same with each number of the direction bounded, by 0.5 rising to 2 (D-SDS).",
            ("debiased", "sds"),
            lambda scale, words: {"debiased": {"method": METHODS["sds"], "threshold": _BOUND}},
        ),
        TextTo3DEntry(
            "msd",
            "MSD",
            "Mean-shift distillation by the denoiser, bandwidth 10 to 0.5, with noise that fades out by 60 % of the "
            "run.",
            ("msd", "meanshift"),
            lambda scale, words: METHODS["msd"],
        ),
        TextTo3DEntry(
            "msd-plain",
            "MSD, no jitter",
            "The same without any noise.",
            ("msd", "meanshift"),
            lambda scale, words: PLAIN,
        ),
        TextTo3DEntry(
            "msd-product",
            "MSD, product",
            "Its target sampled from the exact product prior, 8 Heun steps.",
            ("msd", "edm"),
            lambda scale, words: PRODUCT,
        ),
        TextTo3DEntry(
            "sdi",
            "SDI",
            "Score distillation via inversion: 3 steps of it, not guided.",
            ("sdi", "ddim"),
            _sdi,
            guided=False,
        ),
        TextTo3DEntry(
            "sdi-negative",
            "SDI, negative",
            "The same by 10 steps of inversion, guided by the negative scale as its authors do.",
            ("sdi", "ddim"),
            _sdi_negative,
            guided=False,
        ),
        TextTo3DEntry(
            "vsd",
            "VSD",
            "Variational score distillation of one particle; its second network is a low-rank change of a pipeline's, "
            "or a small perceptron beside an exact prior.",
            ("vsd",),
            _vsd,
            guided=False,
        ),
    )
}
DEFAULT_ENTRIES = ("sds", "msd")
"""Play every caption by default."""
DEFAULT_EXTRA_ENTRIES = ("sdi", "vsd")
"""Play the first two captions by default."""
