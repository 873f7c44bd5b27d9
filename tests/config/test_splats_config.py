"""Splats by name: what they start from, resumed runs, particles, and wrong settings."""

from __future__ import annotations

import pytest
import torch
import trimesh

import modeseek as ms
from modeseek.config.config import Config
from modeseek.config.defaults import configure
from modeseek.config.shape_config import shape_config
from modeseek.generators.splats import Splats
from modeseek.generators.splats.ply import encode_splats, read_splats
from modeseek.runs.api import resume, run
from modeseek.runs.build import build

SMALL = ("generator.splats.capacity=60", "generator.splats.size=16", "generator.splats.views=2", "previews=0")
UNTEXTURED = "generator.splats.texture_size=null"


def config_of(*settings: str, start: str = "ball", **options) -> Config:
    return shape_config(
        "a red cone",
        generator="splats",
        device="cpu",
        views="none",
        film="none",
        settings=(*SMALL, f"generator.splats.start={start}", *settings),
        **options,
    )


def test_they_are_kept_in_the_file_of_a_run_and_refuse_a_volume():
    config = config_of(start="{volume: {steps: 3}}", steps=2, particles=2)
    assert configure(config.to_dict()) == config
    assert config.generator.rows == 4 and config.generator.as_3d is config.generator
    with pytest.raises(ValueError, match="volume must be left out for splats, got hash; try --generator nerf"):
        shape_config("a cone", generator="splats", volume="hash")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("generator.splats.capacity=0", "splats need capacity 1 to 1,000,000"),
        ("generator.splats.views=0", "splats need capacity 1 to 1,000,000 and views >= 1"),
        ("generator.splats.particles=0", "particles must be 1 to 64"),
        ("generator.splats.start={volume: {steps: 0}}", "a volume to start from needs steps >= 1"),
        ("generator.splats.start={ball: {radius: -1}}", "a ball needs a positive radius"),
        ("generator.splats.relocate={every: 0}", "relocation needs every >= 1"),
    ],
)
def test_wrong_settings_are_one_clear_line(setting, message):
    with pytest.raises(ValueError, match=message) as error:
        config_of(setting)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_run_that_starts_in_a_volume_counts_its_calls_once(tmp_path, monkeypatch):
    """Bit-equal resuming across a relocation is tested beside the relocation itself."""
    monkeypatch.setattr("modeseek.generators.splats.splats.MESH_RESOLUTION", 24)
    monkeypatch.setattr("modeseek.generators.splats.splats._FUSED_SIZE", 24)
    begun = run(config_of(UNTEXTURED, start="{volume: {steps: 2}}", steps=1), tmp_path / "part")
    assert begun.status.calls == (2 + 1) * 2 * 2  # steps, cameras, guidance
    ended = resume(begun, steps=2)
    assert ended.status.calls == (2 + 2) * 2 * 2
    splats = read_splats(ended.path / "exports" / "splats.ply")
    assert len(splats.means) == 60 and (ended.path / "exports" / "splats.glb").stat().st_size > 1000
    assert (splats.means.norm(dim=1) < 1.5).all()


def test_files_of_splats_and_of_meshes(tmp_path):
    splats = Splats(60, rng=ms.Streams(3))
    (tmp_path / "a.ply").write_bytes(encode_splats(splats.splats))
    objects = build(config_of(start=f"{{file: {{path: {tmp_path / 'a.ply'}}}}}"))
    assert torch.allclose(objects.generator.means, splats.means, atol=1e-6)
    box = trimesh.creation.box((0.8, 0.8, 0.8))
    box.visual.vertex_colors = [255, 0, 0, 255]
    box.export(tmp_path / "box.ply")
    objects = build(config_of(start=f"{{file: {{path: {tmp_path / 'box.ply'}}}}}"))
    assert torch.allclose(objects.generator.means.abs().amax(1), torch.tensor(0.4), atol=1e-5)
    assert (objects.generator.colors.sigmoid()[:, 0] > 0.99).all()
    with pytest.raises(ValueError, match="capacity must be 60, as in the given splats, got 50"):
        build(config_of("generator.splats.capacity=50", start=f"{{file: {{path: {tmp_path / 'a.ply'}}}}}"))


def test_particles_are_an_ensemble_of_different_splats():
    objects = build(config_of(particles=2))
    first, second = objects.generator.members
    assert objects.batch == 4 and not torch.equal(first.means, second.means)
