"""What configurations of generators say before anything is loaded: rows of a step, and whether they are 3D."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import modeseek as ms
from modeseek import runs
from modeseek.config.generators import GeneratorConfig
from modeseek.config.generators3d import MeshConfig, NeRFConfig
from modeseek.config.priors import ProblemName, RenderedPriorConfig
from modeseek.distill import distill
from modeseek.runs.build import build


@pytest.mark.parametrize(
    ("prior", "generator", "rows"),
    [
        ("pinwheel", runs.PointsConfig(runs.NoiseStart(7)), 7),
        ("pinwheel", runs.PointsConfig(runs.GridStart(3)), 9),
        ("digits", runs.PixelsConfig(3), 3),
        ("digits", runs.LatentConfig(2), 2),
        ("digits", runs.FieldConfig(4), 4),
    ],
)
def test_rows_are_those_that_the_prior_is_evaluated_on(
    prior: ProblemName, generator: GeneratorConfig, rows: int
) -> None:
    assert generator.rows == rows and generator.as_3d is None
    objects = build(ms.Config(runs.ToyPriorConfig(prior), ms.SDS(), generator, steps=1))
    step = next(
        distill(
            objects.generator, objects.prior, objects.method, objects.optimizer, steps=1, batch=objects.batch,
            codec=objects.codec, rng=torch.Generator().manual_seed(0),
        )
    )  # fmt: skip
    assert len(step.z) == rows == objects.counting.calls


def test_rows_of_a_file_are_unknown_until_it_is_read() -> None:
    assert runs.PointsConfig(runs.FileStart(Path("points.npy"))).rows is None


def test_3d_configurations_say_what_a_viewer_needs() -> None:
    nerf, mesh = NeRFConfig(views=3, size=20, radius=1.5), MeshConfig(Path("mesh.ply"), views=2)
    assert nerf.as_3d is nerf and mesh.as_3d is mesh
    assert (nerf.rows, nerf.size, nerf.density_radius) == (3, 20, 1.5)
    assert (mesh.rows, mesh.orbit, mesh.density_radius) == (2, None, 0.0)
    built = nerf.make(RenderedPriorConfig("a red cube", 16, 1).load("cpu"), 0).module
    assert built.is_3d and built.density_field is not None and built.density_field.radius == 1.5
