"""Default settings by method, generator and prior; what is given stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modeseek as ms
from modeseek.config import priors
from modeseek.config.camera_prompts import CameraPromptsConfig
from modeseek.config.defaults import DEFAULT_PRIOR, configure, default_config
from modeseek.config.generators import FieldConfig, LatentConfig, PixelsConfig, PointsConfig
from modeseek.config.generators3d import MeshConfig, NeRFConfig
from modeseek.config.optimizers import AdamConfig, SGDConfig
from modeseek.config.priors import PipelinePriorConfig, RenderedPriorConfig, ToyPriorConfig
from modeseek.datasets.toy2d import ring
from modeseek.diffusion.noise_levels import Annealed
from modeseek.methods.base import own_scale

SDS = ms.SDS(times=Annealed(0.98, 0.02))
TEXT = {"pipeline": {"path": DEFAULT_PRIOR}}
IMAGE_PATH = ms.Along(Annealed(0.98, 0.02))
IMAGE_MSD = ms.MSD(IMAGE_PATH, weight=ms.weights.alpha_sigma, jitter=ms.Until(0.7))
LATENT_MSD = ms.MSD(IMAGE_PATH)
MSD_3D = ms.MSD(ms.Along(Annealed(0.98, 0.1)), weight=ms.weights.alpha_sigma, jitter=ms.Until(0.7))


def plain(prior: Any, method: Any, generator: Any, *settings: str) -> ms.Config:
    return configure({"prior": prior, "method": method, "generator": generator}, settings)


@pytest.mark.parametrize(
    ("prior", "generator", "msd", "sds"),
    [
        (TEXT, "field", IMAGE_MSD, ms.SDS(times=Annealed(0.98, 0.02))),
        (TEXT, "pixels", IMAGE_MSD, ms.SDS(times=Annealed(0.98, 0.02))),
        ({"pipeline": {"path": "somewhere"}}, "field", IMAGE_MSD, ms.SDS(times=Annealed(0.98, 0.02))),
        (TEXT, "latent", LATENT_MSD, ms.SDS(times=Annealed(0.98, 0.02))),
        (TEXT, "nerf", MSD_3D, ms.SDS(times=Annealed(0.98, 0.1))),
        ({"renders": {"caption": "a red cone"}}, "nerf", MSD_3D, ms.SDS(times=Annealed(0.98, 0.1))),
        (TEXT, {"surface": {"path": "a.ply"}}, MSD_3D, ms.SDS(times=Annealed(0.98, 0.1))),
        ({"problem": {"name": "digits"}}, "pixels", ms.MSD(ms.Adaptive(0.3)), ms.SDS()),
        ({"problem": {"name": "ring"}}, "points", ms.MSD(ms.Adaptive(0.1)), ms.SDS()),
    ],
)
def test_methods_have_settings_for_images_and_for_3d(prior: Any, generator: Any, msd: ms.MSD, sds: ms.SDS) -> None:
    found = plain(prior, "msd", generator).method
    assert isinstance(found, ms.MSD)
    assert replace(found, bandwidth=msd.bandwidth) == msd and type(found.bandwidth) is type(msd.bandwidth)
    assert found.bandwidth == msd.bandwidth or prior == {"problem": {"name": "ring"}}
    assert plain(prior, "sds", generator).method == sds
    assert plain(prior, {"debiased": None}, generator).method == ms.methods.Debiased(sds)
    assert plain(prior, "csd", generator).method == ms.methods.CSD()


@pytest.mark.parametrize(
    ("generator", "lr", "fall"),
    [
        ("points", 0.01, 1.0),
        ("field", 0.02, 0.1),
        ("pixels", 0.03, 1.0),
        ("latent", 0.03, 1.0),
        ("nerf", 0.25, 0.2),
        ({"nerf": {"kind": "triplane"}}, 0.02, 0.2),
        ({"nerf": {"kind": "fourier"}}, 0.005, 0.2),
        ({"nerf": {"kind": "hash"}}, 0.01, 0.2),
        ({"surface": {"path": "a.ply"}}, 0.05, 0.2),
    ],
)
def test_adam_has_a_rate_for_each_generator_and_volume(generator: Any, lr: float, fall: float) -> None:
    assert plain(TEXT, "sds", generator).optimizer == AdamConfig(lr, fall=fall)
    assert plain(TEXT, "sds", generator, "optimizer=adam").optimizer == AdamConfig(lr, fall=fall)
    assert plain(TEXT, "sds", generator, "optimizer.adam.lr=0.5").optimizer == AdamConfig(0.5, fall=fall)
    assert plain(TEXT, "sds", generator, "optimizer=sgd").optimizer == SGDConfig()


@pytest.mark.parametrize(
    ("prior", "generator", "method", "shift"),
    [
        ("emoji", "pixels", "msd", 2),
        ("scenes", {"pixels": {"n": 3, "levels": 2}}, "sds", 2),
        ("emoji", "pixels", "fsd", 0),
        ("emoji", "field", "msd", 2),
        ("emoji", "latent", "msd", 0),
        ("scenes", "nerf", "msd", 0),
        ({"pipeline": {"path": "somewhere"}}, "pixels", "msd", 0),
        ("digits", "pixels", "msd", 0),
    ],
)
def test_images_are_shifted_where_that_was_measured_to_help(
    prior: Any, generator: Any, method: str, shift: int
) -> None:
    data = {"prior": prior, "method": method, "generator": generator}
    config = configure(data)
    assert config.shift == shift and configure(config.to_dict()) == config
    assert configure(data | {"shift": 0}).shift == 0 and configure(data | {"verb": "run"}).shift == 0, "older files"
    assert default_config(method, config.prior, config.generator, 1.0).shift == shift
    assert default_config(method, config.prior, config.generator, 1.0, 0).shift == 0


@pytest.mark.parametrize(
    ("prior", "generator", "method", "inner_steps"),
    [
        ("emoji", "pixels", "msd", 4),
        ("scenes", {"pixels": {"n": 3, "levels": 2}}, "sds", 4),
        ("emoji", "field", "sdi", 4),
        ("emoji", "field", "ism", 4),
        ("emoji", "field", "vsd", 4),
        ("emoji", "field", {"debiased": None}, 4),
        ("emoji", "pixels", "csd", 1),
        ("emoji", "pixels", {"debiased": {"method": "csd"}}, 1),
        ("emoji", "pixels", "fsd", 1),
        ("emoji", "latent", "msd", 1),
        ("scenes", "nerf", "msd", 2),
        ("scenes", {"surface": {"path": "a.ply"}}, "msd", 1),
        ({"renders": {"caption": "a red cone"}}, "nerf", "msd", 1),
        ({"pipeline": {"path": "somewhere"}}, "pixels", "msd", 1),
        ("digits", "pixels", "msd", 1),
    ],
)
def test_generators_take_inner_steps_where_that_was_measured_to_help(
    prior: Any, generator: Any, method: Any, inner_steps: int
) -> None:
    data = {"prior": prior, "method": method, "generator": generator}
    config = configure(data)
    assert config.inner_steps == inner_steps and configure(config.to_dict()) == config
    assert configure(data | {"inner_steps": 1}).inner_steps == 1
    assert configure(data | {"verb": "run"}).inner_steps == 1, "older files"
    if isinstance(method, str):
        made = default_config(method, config.prior, config.generator, config.scale)
        assert made.inner_steps == inner_steps and made.method == replace(config.method, **_scale(made))
        assert default_config(method, config.prior, config.generator, 1.0, inner_steps=1).inner_steps == 1


def _scale(config: ms.Config) -> dict[str, float]:
    own = own_scale(config.method)
    return {} if own is None else {"scale": own}


@pytest.mark.parametrize("inner_steps", [1, 2])
def test_noise_explores_on_images(inner_steps: int) -> None:
    assert plain("emoji", "msd", "field", f"inner_steps={inner_steps}").method == IMAGE_MSD
    config = default_config("msd", PipelinePriorConfig("emoji"), FieldConfig(), 3.0, inner_steps=inner_steps)
    assert config.method == IMAGE_MSD and config.inner_steps == inner_steps


@pytest.mark.parametrize("method", ["csd", "sjc", "fsd", "rfds"])
def test_inner_steps_without_a_target_are_refused(method: str) -> None:
    with pytest.raises(ValueError) as caught:
        plain("emoji", method, "field", "inner_steps=4")
    assert f"inner_steps must be 1 for {method.upper()}, whose directions have no target in z, got 4" in str(
        caught.value
    )
    with pytest.raises(ValueError, match="inner_steps must be at least 1, got 0; try 1, one update per direction"):
        plain("emoji", "sds", "field", "inner_steps=0")


@pytest.mark.parametrize("value", ["many", "[2]", "1.5"])
def test_inner_steps_are_whole_numbers(value: str) -> None:
    with pytest.raises(ValueError, match="inner_steps must be") as caught:
        plain("emoji", "msd", "field", f"inner_steps={value}")
    assert "\n" not in str(caught.value)


def test_a_file_from_before_a_setting_of_the_method_keeps_the_default_of_its_class() -> None:
    """The weight is newer than the geometric default of images: such files were without one."""
    old = default_config("msd", PipelinePriorConfig("emoji"), FieldConfig(), 3.0).to_dict() | {"verb": "run"}
    settings = {"bandwidth": {"geometric": {"start": 8.0, "end": 0.2}}, "jitter": "fading"}
    found = configure(old | {"method": {"msd": settings}})
    assert found.method == ms.MSD(ms.Geometric(8.0, 0.2), jitter=ms.Fading())
    assert configure(old | {"method": {"msd": {"tol": 1e-3}}}).method == ms.MSD(IMAGE_PATH, tol=1e-3)
    assert configure(old | {"method": "msd"}).method == IMAGE_MSD and configure(old | {"method": "sds"}).method == SDS
    assert plain("emoji", {"msd": settings}, "field").method == replace(found.method, weight=ms.weights.alpha_sigma)


def test_msd_on_points_is_mean_shift() -> None:
    for n in (1, 3):
        assert plain(TEXT, "msd", {"latent": {"n": n}}).optimizer == SGDConfig(float(n)), "the mean over n items"
    for prior in (TEXT, {"problem": {"name": "ring"}}):
        assert plain(prior, "msd", "points").optimizer == SGDConfig(1.0)
        assert plain(prior, "msd", "points", "optimizer=adam").optimizer == AdamConfig(0.01)
        assert plain(prior, "sds", "points").optimizer == AdamConfig(0.01)


def test_given_settings_are_kept() -> None:
    config = plain(TEXT, {"msd": {"jitter": 0.5, "tol": 1e-3}}, "nerf")
    assert config.method == replace(MSD_3D, jitter=0.5, tol=1e-3)
    config = plain(TEXT, "msd", "field", "method.msd.bandwidth.fixed.h=0.3", "steps=7")
    assert config.method == replace(IMAGE_MSD, bandwidth=ms.Fixed(0.3)) and config.steps == 7
    assert plain(TEXT, "msd", "field", "method=sds").method == ms.SDS(times=Annealed(0.98, 0.02))


@pytest.mark.parametrize(
    "generator", [FieldConfig(2), PixelsConfig(), LatentConfig(), NeRFConfig("hash"), PointsConfig()]
)
@pytest.mark.parametrize("method", ["msd", "sds", "sdi", "debiased", "vsd"])
def test_a_complete_configuration_stays_as_it_is(method: str, generator: Any) -> None:
    """So `config.yaml` runs again the same after the defaults have changed."""
    config = default_config(method, PipelinePriorConfig("somewhere"), generator, 3.0, prompts=("a cone",), name="x")
    assert configure(config.to_dict()) == config
    assert (config.scale, getattr(config.method, "scale", 3.0)) in ((3.0, 3.0), (1.0, 3.0))
    odd = ms.Config(config.prior, ms.SDS(), generator, AdamConfig(0.123), views=CameraPromptsConfig("none"))
    assert configure(odd.to_dict()) == odd


def test_no_settings_are_the_ring_and_msd() -> None:
    config = configure({})
    assert config.prior == ToyPriorConfig("ring") and config.method_name == "msd" and config.generator == PointsConfig()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"method": [1]}, "mine.method must be a method name"),
        ({"method": {"msd": 3}}, "mine.method.msd must hold settings"),
        ({"method": {"msd": None, "sds": None}}, "mine.method must be a method name"),
        ({"generator": 7}, "mine.generator must be a generator name, or a name with its settings, got 7"),
        ({"prior": 3}, "mine.prior must be a prior name"),
        ({"optimizer": {"adam": 3}}, "mine.optimizer.adam must hold settings"),
        ({"optimizer": {"adma": {}}}, "did you mean adam?"),
        ({"prior": {"samples": {"path": "p.npy"}}}, "msd needs the final kernel bandwidth for p, got none; try --set"),
        ([3], "mine must hold settings"),
        ({"verb": "toy"}, "mine must be for the verb run, got 'toy'"),
        ({"verb": "exam", "prior": "bundled"}, "mine must be for the verb run, got 'exam'"),
    ],
)
def test_mistakes_are_named(data: Any, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        configure(data, location="mine")
    assert words in str(caught.value) and "\n" not in str(caught.value)


def main(argv: list[str]) -> None:
    """The command line; imported here, since `configure` works without it."""
    from modeseek.cli import main

    main(argv)


def _count_loads(monkeypatch: pytest.MonkeyPatch, cls: type) -> list[str]:
    loads: list[str] = []
    load = cls.load
    monkeypatch.setattr(cls, "load", lambda self, device: loads.append(self.title) or load(self, device))
    return loads


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["ring", "digits", "net"])
def test_a_run_loads_its_prior_once_and_a_dry_run_never(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if prior == "net":
        rng = ring().prior.sample(200, _rng())
        ms.Network.train(rng, steps=2, rng=_rng(), width=8, batch=8).save(tmp_path / "net")
    loads = _count_loads(monkeypatch, priors.NetworkPriorConfig if prior == "net" else ToyPriorConfig)
    weights, load = [], ms.Network.load
    monkeypatch.setattr(ms.Network, "load", staticmethod(lambda *args: weights.append(args) or load(*args)))
    argv = ["run", "--prior", prior, "--steps", "2", "--set", "previews=0"]
    main([*argv, "--dry-run"])
    assert (loads, weights) == ([], []) and "adaptive" in capsys.readouterr().out
    main([*argv, "--out", "run"])
    assert loads == [prior] and len(weights) == (prior == "net")


@pytest.mark.parametrize("argv", [["image", "a cone"], ["shape", "a cone"], ["run", "--prior", DEFAULT_PRIOR]])
def test_a_dry_run_loads_no_pipeline(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    loads = _count_loads(monkeypatch, PipelinePriorConfig)
    monkeypatch.setattr(ms.Pipeline, "load", None)
    main([*argv, "--dry-run"])
    assert loads == []


def test_bandwidths_are_known_before_the_prior_is_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.zeros((3, 2)))
    assert ToyPriorConfig("ring").bandwidth() == ring().bandwidth
    assert priors.SamplesPriorConfig(tmp_path / "p.npy").bandwidth() is None
    assert RenderedPriorConfig("a red cone").bandwidth() == 0.3 and PipelinePriorConfig("x").bandwidth() == 0.2
    network = ms.Network.train(ring().prior.sample(200, _rng()), steps=2, rng=_rng(), width=8, batch=8)
    network.save(tmp_path / "net")
    (tmp_path / "net" / "network.safetensors").unlink()
    assert priors.NetworkPriorConfig(tmp_path / "net").bandwidth() == 0.02 * network.preconditioning.scale


def test_the_second_stage_of_a_shape_gets_a_mesh_and_its_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the NeRF are for the first stage alone; others hold in both."""
    from modeseek.cli import shape

    started: list[ms.Config] = []

    def start(config: ms.Config, argv: Any, out: Path | None, *, dry_run: bool, preset: str | None = None) -> ms.Run:
        started.append(config)
        return ms.Run(tmp_path)

    monkeypatch.setattr(shape, "start_run", start)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "mesh.ply").write_bytes(b"")
    settings = ["generator.nerf.sides=[4,6]", "guard.patience=9"]
    main(["shape", "a red cone", "--refine", "12", "--size", "32", "--volume", "hash", "--set", *settings])
    first, second = started
    assert first.generator == NeRFConfig("hash", size=32, sides=(4, 6)) and first.optimizer == AdamConfig(
        0.01, fall=0.2
    )
    assert second.generator == MeshConfig(tmp_path / "exports" / "mesh.ply", size=32)
    assert second.optimizer == AdamConfig(0.05, fall=0.2) and (first.steps, second.steps) == (100, 12)
    assert (first.inner_steps, second.inner_steps) == (2, 1)
    assert first.guard.patience == second.guard.patience == 9 and first.method == second.method == MSD_3D


def _rng() -> Any:
    import torch

    return torch.Generator().manual_seed(0)
