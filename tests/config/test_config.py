"""Configurations: round trips through YAML, and errors that name the dotted key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
from cases import one_line
from fuzz import configs, soak
from hypothesis import given
from torch import Tensor

import modeseek as ms
from modeseek.config.config import CheckpointConfig, Config, GuardConfig, read_config, read_yaml_file
from modeseek.config.generators import GeneratorConfig, PixelsConfig, PointsConfig
from modeseek.config.generators3d import MeshConfig
from modeseek.config.optimizers import AdamConfig, OptimizerConfig, SGDConfig
from modeseek.config.painted import PaintedMeshConfig
from modeseek.config.priors import (
    NetworkPriorConfig,
    PipelinePriorConfig,
    PriorConfig,
    RenderedPriorConfig,
    SamplesPriorConfig,
    ToyPriorConfig,
)
from modeseek.config.registry import REGISTRY
from modeseek.config.serialization import Registry
from modeseek.config.splats import SplatFileStart
from modeseek.config.starts import FileStart, GridStart, StartConfig
from modeseek.config.vector_starts import SvgStart
from modeseek.config.yaml import read_yaml, write_yaml
from modeseek.methods.base import Method


def read(text: str) -> Config:
    return read_config(read_yaml(text, "config.yaml"))


@pytest.mark.slow
@soak
@given(config=configs)
def test_fuzz_every_configuration_is_read_back_equal(config: Config, unchecked: None) -> None:
    text = config.to_yaml()
    assert read(text) == config
    assert read_config(config.to_dict()) == config
    assert read(text).to_yaml() == text


def test_a_file_is_read_back_equal(tmp_path: Path) -> None:
    config = Config(
        NetworkPriorConfig(Path("dir/né t")), ms.MSD(ms.Adaptive(0.1), jitter=ms.Fading()), name="Größe 1e3"
    )
    (tmp_path / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    assert read_config(read_yaml_file(tmp_path)) == config


def test_all_names_of_all_kinds_are_read_back() -> None:
    examples = {ms.Fixed: ms.Fixed(0.5), ms.Geometric: ms.Geometric(2.0, 0.5), ms.Adaptive: ms.Adaptive(0.1)}
    examples |= {
        ms.MSD: ms.MSD(ms.Fixed(0.5)),
        NetworkPriorConfig: NetworkPriorConfig(Path("a")),
        SamplesPriorConfig: SamplesPriorConfig(Path("b.npy")),
    }
    examples |= {ms.methods.Debiased: ms.methods.Debiased(ms.SDS()), ms.Ramp: ms.Ramp(0.0, 1.0)}
    examples |= {FileStart: FileStart(Path("c.csv")), PipelinePriorConfig: PipelinePriorConfig("d")}
    examples |= {RenderedPriorConfig: RenderedPriorConfig("a red cube"), MeshConfig: MeshConfig(Path("e.ply"))}
    examples |= {PaintedMeshConfig: PaintedMeshConfig(Path("h.obj"))}
    examples |= {SvgStart: SvgStart(Path("f.svg")), SplatFileStart: SplatFileStart(Path("g.ply"))}
    count = 0
    for kind, (_, names) in REGISTRY.tables.items():
        for name, entry in names.items():
            value = examples.get(entry) or (entry() if isinstance(entry, type) else entry)
            plain = REGISTRY.serialize(value, "it", kind)
            assert plain == name or list(plain) == [name]
            assert REGISTRY.deserialize(kind, read_yaml(write_yaml(plain), "it")) == value
            count += 1
    assert count >= 30


def test_every_field_of_every_kind_can_be_held() -> None:
    """Every field has a deserializable type."""
    kinds = {Config, CheckpointConfig, GuardConfig}
    kinds |= {entry for _, names in REGISTRY.tables.values() for entry in names.values() if isinstance(entry, type)}
    for kind in kinds:
        hints = get_type_hints(kind)
        for name, hint in ((f.name, hints[f.name]) for f in fields(kind)):
            try:
                REGISTRY.deserialize(hint, object(), f"{kind.__name__}.{name}")
            except ValueError as error:
                assert f"{kind.__name__}.{name}" in one_line(error)
            else:
                pytest.fail(f"{kind.__name__}.{name} takes anything")


def test_everything_is_written_out() -> None:
    plain = read_yaml(Config(ToyPriorConfig(), ms.MSD(ms.Fixed(0.1))).to_yaml(), "it")
    assert list(plain)[:3] == ["verb", "prior", "method"] and plain["verb"] == "run"
    assert plain.keys() - {"verb"} == {field.name for field in dataclasses.fields(Config)}
    assert plain["method"]["msd"].keys() == {field.name for field in dataclasses.fields(ms.MSD)}
    assert plain["method"]["msd"]["bandwidth"] == {"fixed": {"h": 0.1}} and plain["method"]["msd"]["sampler"] == "heun"
    assert plain["saving"] == {"seconds": 30.0, "steps": None, "keep": 2}


def test_short_forms() -> None:
    config = read(
        """
        prior: {problem: {name: digits}}
        method: {msd: {bandwidth: {geometric: {start: 2, end: 1e-1}}, jitter: 5e-1, sampler: dpmpp-2m}}
        generator: pixels
        optimizer: {sgd: }
        saving:
        scale: 3
        device: cuda:1
        trackers: [wandb]
        """
    )
    assert config == Config(
        ToyPriorConfig("digits"),
        ms.MSD(ms.Geometric(2.0, 0.1), jitter=0.5, sampler=ms.dpmpp_2m),
        PixelsConfig(),
        SGDConfig(),
        scale=3.0,
        device="cuda:1",
        trackers=("wandb",),
    )
    assert read("verb: run\nprior: problem\nmethod: sds") == Config(ToyPriorConfig(), ms.SDS())
    fading = read("prior: problem\nmethod: {msd: {bandwidth: {fixed: {h: 1}}, jitter: fading}}")
    assert fading.method == ms.MSD(ms.Fixed(1.0), jitter=ms.Fading())
    along = read(
        "prior: problem\nmethod: {msd: {bandwidth: along, jitter: until, weight: alpha-sigma}}\ninner_steps: 3"
    )
    assert along.method == ms.MSD(ms.Along(), jitter=ms.Until(), weight=ms.weights.alpha_sigma)
    assert along.inner_steps == 3 and read(along.to_yaml()) == along
    settings = "{times: {annealed: {start: 0.9, end: 1e-1}}, end: 5e-2, hold: 0.2}"
    along = read(
        f"prior: problem\nmethod: {{msd: {{bandwidth: {{along: {settings}}}, jitter: {{until: {{until: 1}}}}}}}}"
    )
    path = ms.Along(ms.noise_levels.Annealed(0.9, 0.1), end=0.05, hold=0.2)
    assert along.method == ms.MSD(path, jitter=ms.Until(1.0)) and read(along.to_yaml()) == along
    uniform = read("prior: problem\nmethod: {msd: {bandwidth: {along: {times: uniform}}}}")
    assert uniform.method == ms.MSD(ms.Along(ms.Uniform())) and read(uniform.to_yaml()) == uniform


def test_whole_numbers_become_numbers() -> None:
    config = read("prior: problem\nmethod: {msd: {bandwidth: {fixed: {h: 1}}, tol: 1, interval: [0, 1]}}\nscale: 2")
    assert [type(x) for x in (config.scale, config.method.bandwidth.h, config.method.tol)] == [float] * 3
    assert type(config.method.interval[0]) is float


def my_weight(alpha: Tensor, sigma: Tensor) -> Tensor:
    return sigma


@dataclass(frozen=True)
class MyBandwidth:
    """Custom bandwidth schedule."""

    end: float = 0.1

    def init(self, n: int, scale: Tensor | None = None) -> None:
        return None

    def next(self, progress: float, relative_shift: Tensor, state: None) -> tuple[Tensor, None]:
        return torch.full_like(relative_shift, self.end), None


def local_method() -> ms.SDS:
    """A method of a class that no module has, so that a resumed run could not import it."""

    @dataclass(frozen=True)
    class MySDS(ms.SDS):
        pass

    return MySDS()


@dataclass(frozen=True)
class MyJitter:
    """Custom jitter."""

    share: float = 0.5

    def __call__(self, progress: float) -> float:
        return self.share


def own(**changes: Any) -> Config:
    return Config(**{"prior": ToyPriorConfig(), "method": ms.SDS()} | changes)


OWN: dict[str, tuple[Callable[[], Config], str]] = {
    "weight": (lambda: own(method=ms.SDS(weight=my_weight)), "config.method.sds.weight"),
    "lambda": (lambda: own(method=ms.SDS(weight=lambda a, s: s)), "config.method.sds.weight"),
    "jitter": (lambda: own(method=ms.MSD(ms.Fixed(1.0), jitter=lambda p: 0.5)), "config.method.msd.jitter"),
    "jitter with fields": (lambda: own(method=ms.MSD(ms.Fixed(1.0), jitter=MyJitter())), "config.method.msd.jitter"),
    "sampler": (lambda: own(method=ms.MSD(ms.Fixed(1.0), sampler=ms.ddpm)), "config.method.msd.sampler"),
    "bandwidth": (lambda: own(method=ms.MSD(MyBandwidth())), "config.method.msd.bandwidth"),
    "times": (lambda: own(method=ms.SDS(times=lambda p, n, rng: torch.zeros(n))), "config.method.sds.times"),
    "schedule": (
        lambda: own(prior=SamplesPriorConfig(Path("a.npy"), ms.schedules.Discrete((2.0, 1.0)))),
        "config.prior.samples.schedule",
    ),
    "scaled": (
        lambda: own(prior=SamplesPriorConfig(Path("a"), ms.schedules.ScaledSchedule(ms.VP(), 2.0))),
        "config.prior.samples.schedule",
    ),
    "method": (lambda: own(method=local_method()), "config.method"),
}


@pytest.mark.parametrize("case", OWN)
def test_custom_objects_cannot_be_serialized(case: str) -> None:
    make, key = OWN[case]
    config = make()
    with pytest.raises(TypeError) as caught:
        config.to_yaml()
    line = one_line(caught.value)
    assert line.startswith(f"{key} cannot be serialized, got ") and "try a registered name" in line


def test_a_registered_object_of_another_kind_is_not_serialized(unchecked: None) -> None:
    with pytest.raises(TypeError, match=r"config\.optimizer cannot be serialized, got SDS"):
        own(optimizer=ms.SDS()).to_yaml()
    with pytest.raises(TypeError, match=r"config\.method\.msd\.tol cannot be serialized, got <function heun"):
        own(method=ms.MSD(ms.Fixed(0.1), tol=ms.heun)).to_yaml()


def test_numbers_of_numpy_are_written_as_numbers(unchecked: None) -> None:
    config = own(method=ms.MSD(ms.Fixed(np.float64(0.1)), tol=np.float64("inf")), name=np.str_("a"))
    assert read(config.to_yaml()) == config
    with pytest.raises(TypeError, match=r"fixed\.h cannot be serialized, got tensor\(0\.1") as caught:
        own(method=ms.MSD(ms.Fixed(torch.tensor(0.1)))).to_yaml()
    one_line(caught.value)


@dataclass(frozen=True)
class Odd:
    """Dataclass with a field of an unserializable type."""

    value: bytes = b""


def test_a_field_of_an_unserializable_type_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"it\.value must have a serializable type, got <class 'bytes'>"):
        Registry({}).deserialize(Odd, {"value": "a"}, "it")


def test_titles_and_names() -> None:
    config = Config(ToyPriorConfig("digits"), ms.MSD(ms.Fixed(0.1)), label=3, scale=7.5)
    assert config.method_name == "msd" and config.title == "MSD on digits, class 3, guidance 7.5"
    assert Config(ToyPriorConfig(), ms.SDS(), name="mine").title == "SDS on mine"
    assert (
        NetworkPriorConfig(Path("a/net")).title == "net" and SamplesPriorConfig(Path("a/points.npy")).title == "points"
    )
    for source, kind in (
        (ToyPriorConfig(), PriorConfig),
        (PointsConfig(), GeneratorConfig),
        (AdamConfig(), OptimizerConfig),
        (GridStart(), StartConfig),
        (ms.SDS(), Method),
    ):
        assert isinstance(source, kind)
