"""Runs that paint a given mesh: from the command line and from Python, interrupted and resumed, and bad input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

import modeseek as ms
from modeseek import runs
from modeseek.cli import main
from modeseek.config.paint_config import paint_config
from modeseek.config.painted import PaintedMeshConfig
from modeseek.config.priors import RenderedPriorConfig
from modeseek.generators import Ensemble
from modeseek.generators.mesh.read import read_textured
from modeseek.io.remarks import RemarkWarning
from modeseek.reports.mesh_section import read_object
from modeseek.runs.api import create_run, iter_resume
from modeseek.runs.build import RunObjects, build
from modeseek.runs.train import train
from modeseek.runs.trained import load_trained

PRIOR = RenderedPriorConfig("a red cube", 12, 4)


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mesh") / "cube.glb"
    trimesh.creation.box((2.0, 2.0, 2.0)).export(path)
    return path


def config(mesh: Path, texture: str, steps: int = 4) -> ms.Config:
    generator = PaintedMeshConfig(mesh, texture, texels=16, views=2, size=12, texture_size=32)  # pyright: ignore
    method, adam = ms.MSD(ms.Geometric(3.0, 0.5), jitter=ms.Fading()), runs.AdamConfig(0.05)
    saving = runs.CheckpointConfig(steps=2)
    return ms.Config(PRIOR, method, generator, adam, steps=steps, previews=0, film="none", saving=saving)


def trained(run: ms.Run) -> dict[str, torch.Tensor]:
    return load_trained(run, "cpu").generator.state_dict()


SETTINGS = (
    "prior.renders.size=12", "prior.renders.bins=4", "generator.painted.texels=16",
    "generator.painted.texture_size=32", "previews=0", "saving.steps=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def painted(cube: Path, tmp_path_factory: pytest.TempPathFactory) -> ms.ShapeResult:
    return ms.paint(
        cube, "a red cube", "renders", texture="atlas", steps=2, cameras=2, size=12, film="none", settings=SETTINGS,
        device="cpu", out=tmp_path_factory.mktemp("run") / "whole",
    )  # fmt: skip


@pytest.mark.slow
def test_a_resumed_run_is_bit_equal(painted: ms.ShapeResult, tmp_path: Path) -> None:
    whole = painted.run
    parts, objects = create_run(whole.config, ["modeseek"], tmp_path / "parts")
    job = train(parts, objects, 2)
    next(progress for progress in job if progress.done == 1)
    job.close()
    for _ in iter_resume(parts):
        pass
    first, second = trained(whole), trained(parts)
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    textures = [read_textured(run.path / "exports" / "textured.glb").image for run in (whole, parts)]
    assert torch.equal(*textures) and textures[0].shape == (3, 32, 32)


def test_a_run_leaves_its_mesh_with_the_texture(painted: ms.ShapeResult, tmp_path: Path) -> None:
    model = read_textured(painted.run.path / "exports" / "textured.glb")
    assert model.mesh.vertices.abs().max() == pytest.approx(1), "in the coordinates of the file"
    section = read_object(painted.run.path, "a cube")
    assert section is not None and section.model is not None and "texture" in section.model.arrays
    path = painted.mesh().save(tmp_path / "painted.glb", texture=16)
    assert read_textured(path).image.shape == (3, 16, 16)


def test_the_command_is_python(painted: ms.ShapeResult, cube: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--prior", "renders", "--texture", "atlas", "--steps", "2", "--cameras", "2", "--size", "12",
               "--film", "none", "--device", "cpu", "--dry-run", "--set", *SETTINGS)  # fmt: skip
    main(["paint", str(cube), "a red cube", *options])
    assert capsys.readouterr().out == (painted.run.path / "config.yaml").read_text()


@pytest.mark.parametrize("texture", ["field", "hash"])
def test_other_textures_continue_bit_equal(texture: str, cube: Path) -> None:
    objects = build(config(cube, texture, steps=2))

    def steps(built: RunObjects, start: int, state: Any = None) -> Iterator[ms.Step]:
        return ms.distill(
            built.generator, built.prior, built.method, built.optimizer, steps=2, start=start, batch=built.batch,
            codec=built.codec, conditions=built.conditions, rng=0, state=state,
        )  # fmt: skip

    whole = list(steps(objects, 0))
    parts, fresh = objects.rebuild(), objects.rebuild()
    first = next(steps(parts, 0))
    fresh.generator.load_state_dict(parts.generator.state_dict())
    fresh.optimizer.load_state_dict(parts.optimizer.state_dict())
    (second,) = steps(fresh, 1, first.state)
    assert torch.equal(second.direction.grad, whole[1].direction.grad)
    wanted, found = (each.generator.state_dict() for each in (objects, fresh))
    assert wanted.keys() == found.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_particles_have_textures_of_their_own(cube: Path) -> None:
    painted = build(ms.Config(PRIOR, ms.SDS(), PaintedMeshConfig(cube, views=1, size=12, particles=2))).generator
    assert isinstance(painted, Ensemble) and painted.view(2, ms.Streams(0)).particle_of_item == (0, 1)
    first, second = (particle.state_dict()["texture.volume.network.weights.0"] for particle in painted.particles)
    assert not torch.equal(first, second)


def test_what_is_broken_is_a_remark(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    trimesh.Trimesh(box.vertices, np.delete(box.faces, 0, 0), process=False).export(tmp_path / "open.ply")
    with pytest.warns(RemarkWarning, match="open.ply: 1 hole with 3 open edges"):
        build(ms.Config(PRIOR, ms.SDS(), PaintedMeshConfig(tmp_path / "open.ply", size=12)))


def test_each_texture_has_its_learning_rate(cube: Path) -> None:
    rates = {name: paint_config(cube, "a red cube", texture=name).optimizer for name in ("field", "hash", "atlas")}  # pyright: ignore
    assert [getattr(rate, "lr", None) for rate in rates.values()] == [0.01, 0.01, 0.15]
    assert paint_config(cube, "a red cube").steps == 100 and paint_config(cube, "a red cube").inner_steps == 2


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["MESH", " "], "the prompt must not be empty"),
        (["nowhere.glb", "a cone"], "must be a mesh file, got none; try a .glb, .obj, .ply or .stl file"),
        (["mesh.fbx", "a cone"], "a mesh to paint must be a .glb, .obj, .ply, .stl file, got 'mesh.fbx'"),
        (["MESH", "a cone", "--faces", "3"], "faces must be 4 to 1,000,000, got 3; try 20000"),
        (["MESH", "a cone", "--cameras", "0"], "a painted mesh needs views >= 1"),
        (["MESH", "a cone", "--set", "generator.painted.texels=9"], "texels 16 to 8192"),
        (["MESH", "a cone", "--set", "generator.painted.texture_size=9"], "texture_size must be 16 to 8192 pixels"),
        (["MESH", "a cone", "--particles", "65"], "particles must be 1 to 64, got 65"),
        (["MESH", "a cone", "--texture", "vertex"], "--texture"),
    ],
)
def test_bad_input_is_one_line(
    argv: list[str], message: str, cube: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["paint", *(str(cube) if part == "MESH" else part for part in argv), "--out", str(tmp_path / "run")])
    assert end.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_wrong_types_are_refused() -> None:
    with pytest.raises(TypeError, match="mesh"):
        ms.paint(7, "a cone")  # pyright: ignore[reportArgumentType]
