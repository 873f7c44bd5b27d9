"""Generators that the library does not have: a class, a configuration and a row of the registry make runs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import modeseek as ms
from modeseek import runs
from modeseek.codec import Codec
from modeseek.config.config import read_config, read_yaml_file
from modeseek.config.generators import BuiltGenerator, Generator3DConfig, GeneratorConfig, image_shape
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.priors import RenderedPriorConfig
from modeseek.config.registry import GENERATORS
from modeseek.generators.background import Background
from modeseek.generators.base import Artifact, BaseGenerator, View
from modeseek.generators.camera import CameraView
from modeseek.generators.generator3d import Generator3D
from modeseek.generators.orbit import Orbit
from modeseek.generators.rendering3d import Rendering3D
from modeseek.io.video import FilmFormat
from modeseek.runs.api import create_run
from modeseek.runs.train import train
from modeseek.viewer.without_prior import load_generator


class Stripes(BaseGenerator):
    """n images of rows of one gray each."""

    def __init__(self, n: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.gray = nn.Parameter(torch.full((n, shape[0], shape[1], 1), 0.5, dtype=torch.float64))

    @property
    def n_items(self) -> int:
        return len(self.gray)

    def forward(self, view: View) -> Tensor:
        return self.gray[list(view.items)].expand(-1, *self.shape)

    def exports(
        self, decode: Callable[[Tensor], Tensor] | None = None, films: Sequence[FilmFormat] = ()
    ) -> Iterator[Artifact]:
        yield from super().exports(decode, films)
        rows = "\n".join(",".join(map(repr, row)) for row in self.gray.flatten(1).tolist())
        yield Artifact("exports/stripes.csv", rows.encode(), "stripes written")
        yield Artifact("exports/dots.csv", None, "there are no dots")


@dataclass(frozen=True)
class StripesConfig(GeneratorConfig):
    """Stripes, n images."""

    n: int = 2

    @property
    def rows(self) -> int:
        return self.n

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[Stripes]:
        return BuiltGenerator(Stripes(self.n, image_shape(loaded)), loaded.codec, self.n, pixels=True)


class Disc(Generator3D):
    """Disc of one colour that always faces the camera; it has no density."""

    def __init__(self, size: int, orbit: Orbit) -> None:
        super().__init__()
        self.size, self.orbit, self.background, self.normals = size, orbit, Background(), False
        self.raw = nn.Parameter(torch.zeros(3))

    def forward(self, view: CameraView) -> Rendering3D:
        ticks = torch.linspace(-1, 1, view.size)
        inside = (ticks.square() + ticks[:, None].square() < 0.5).float().expand(len(view.items), 1, -1, -1)
        image = inside * self.raw.sigmoid()[:, None, None] + 1 - inside
        return Rendering3D(view, image, inside, inside * view.cameras.distance[:, None, None, None])


@dataclass(frozen=True)
class DiscConfig(Generator3DConfig):
    """Disc, seen by `views` cameras at each step."""

    views: int = 2
    size: int | None = None
    orbit: Orbit | None = None

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[Disc]:
        codec: Codec = loaded.codec
        disc = Disc(self.size or image_shape(loaded)[1], self.orbit or loaded.orbit or Orbit())
        return BuiltGenerator(disc, codec, self.views, pixels=True)


def finished(config: ms.Config, folder: Path) -> ms.Run:
    run, objects = create_run(config, ["modeseek"], folder)
    for _ in train(run, objects, config.steps):
        pass
    return run


def test_a_generator_exports_its_own_files_beside_images_and_previews(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GENERATORS.entries, "stripes", StripesConfig)
    config = ms.Config(
        runs.ToyPriorConfig("digits"), ms.MSD(ms.Fixed(0.5)), StripesConfig(3), runs.SGDConfig(0.5), steps=3, previews=2
    )
    run = finished(config, tmp_path / "run")
    assert read_config(read_yaml_file(run.path)) == config.with_device()
    rows = np.loadtxt(run.path / "exports/stripes.csv", delimiter=",")
    assert rows.shape == (3, 8) and np.abs(rows - 0.5).max() > 0.01
    np.testing.assert_allclose(np.load(run.path / "exports/images.npy")[:, 0, :, 0], rows)
    assert not (run.path / "exports/dots.csv").exists()
    log = (run.path / "log.txt").read_text()
    assert "stripes written" in log and "there are no dots" in log
    names = {f"digits-s0-{k}{size}.png" for k in (1, 2, 3) for size in ("", "@16x")}
    assert {path.name for path in (run.path / "exports").glob("*.png")} == names
    assert list((run.path / "previews").glob("step-*.png")) and (run.path / "media/after.png").is_file()


@pytest.mark.slow
def test_a_3d_generator_without_density_has_a_turntable_and_is_viewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GENERATORS.entries, "disc", DiscConfig)
    config = ms.Config(
        RenderedPriorConfig("a red cube", 16, 1), ms.SDS(), DiscConfig(), runs.SGDConfig(0.1), steps=2, previews=1
    )
    assert config.generator.rows == 2 and config.generator.as_3d is config.generator
    run = finished(config, tmp_path / "run")
    for name in ("media/turntable.mp4", "media/sides.png", "exports/images.npy", "previews/step-00000002.png"):
        assert (run.path / name).is_file(), name
    assert (
        "no mesh was written: a mesh needs a density, which a Disc does not have" in (run.path / "log.txt").read_text()
    )
    checkpoint, _ = run.checkpoint()
    assert checkpoint is not None
    disc = load_generator(config, checkpoint)
    weights = safetensors.torch.load_file(run.path / "exports/generator.safetensors")
    assert disc.density_field is None and torch.equal(disc.state_dict()["raw"], weights["raw"])
    assert weights["raw"].abs().max() > 0
