"""A package with a method, a prior and a generator for modeseek, written into a folder with its entry points."""

from __future__ import annotations

from pathlib import Path

MODULE = '''\
"""Plug-ins of modeseek."""

from dataclasses import dataclass
from typing import ClassVar

import torch

import modeseek as ms
from modeseek.codec import Identity
from modeseek.config.generators import BuiltGenerator, GeneratorConfig
from modeseek.config.loaded_prior import LoadedPrior


@dataclass(frozen=True)
class Pull:
    """Pull (an example): `grad = strength z`, towards the origin.

    Attributes:
        strength: factor of the gradient.
    """

    references: ClassVar[tuple[str, ...]] = ()
    guides: ClassVar[bool] = False
    strength: float = 0.5

    def init(self, z, prior):
        return None

    def step(self, z, prior, state, *, conditions=None, progress, rng, context=None):
        return ms.Direction(self.strength * z), state


@dataclass(frozen=True)
class Ball:
    """Exact prior of one standard normal distribution in the plane."""

    spread: float = 1.0
    title: ClassVar[str] = "ball"
    default_device: ClassVar[str] = "cpu"

    def bandwidth(self):
        return 0.1

    def load(self, device):
        cov = self.spread**2 * torch.eye(2)[None]
        return LoadedPrior(ms.GaussianMixture(torch.ones(1), torch.zeros(1, 2), cov), "ball", extent=4.0)


@dataclass(frozen=True)
class Cross(GeneratorConfig):
    """Four points on the axes."""

    encodes: ClassVar[bool] = False
    radius: float = 2.0

    @property
    def rows(self):
        return 4

    def make(self, loaded, seed):
        z = self.radius * torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
        return BuiltGenerator(ms.Points(z), Identity(), 1, pixels=False)
'''
ENTRY_POINTS = """\
[modeseek.methods]
msd = {module}:Pull
pull = {module}:Pull

[modeseek.priors]
ball = {module}:Ball

[modeseek.generators]
cross = {module}:Cross
"""
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"


def write_package(folder: Path, module: str = "pulling", code: str = MODULE, points: str = ENTRY_POINTS) -> Path:
    """Writes the module and what an installation writes beside it; returns the folder, to be put on sys.path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA.format(name=f"{module}-package"), encoding="utf-8")
    (info / "entry_points.txt").write_text(points.format(module=module), encoding="utf-8")
    return folder
