"""Registered objects of configurations: priors, initial points, optimizers, jitter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import one_line

import modeseek as ms
from modeseek.codec import Identity, RangeCodec
from modeseek.config.generators import PixelsConfig, PointsConfig
from modeseek.config.optimizers import AdamConfig, SGDConfig
from modeseek.config.priors import (
    LoadedPrior,
    NetworkPriorConfig,
    SamplesPriorConfig,
    ToyPriorConfig,
    files_digest,
    tensors_digest,
)
from modeseek.config.starts import FileStart, GridStart, NoiseStart


def test_problems_have_distinct_and_stable_checksums() -> None:
    sums = {name: ToyPriorConfig(name).load("cpu").sha256 for name in ("ring", "grid", "spiral", "digits")}
    assert len(set(sums.values())) == 4 and all(len(s) == 64 for s in sums.values())
    assert ToyPriorConfig("ring").load("cpu").sha256 == sums["ring"]
    with pytest.raises(ValueError, match="an exact prior computes in float64, which mps lacks; use device cpu"):
        ToyPriorConfig().load("mps")
    digits = ToyPriorConfig("digits").load("cpu")
    assert digits.codec == RangeCodec(-1.0, 1.0) and digits.prior.n_classes == 10 and digits.extent is None
    ring = ToyPriorConfig("ring").load("cpu")
    assert (
        ring.codec == Identity()
        and ring.extent > 0
        and ToyPriorConfig("ring").bandwidth() > 0
        and ring.prior.shape == (2,)
    )


def test_digests_see_numbers_shapes_types_and_names(tmp_path: Path) -> None:
    x = torch.arange(6.0)
    others = [x + 0.5, x.reshape(2, 3), x.double(), x.flip(0), torch.cat([x, x])]
    assert len({tensors_digest(x), *(tensors_digest(y) for y in others), tensors_digest(x, x)}) == 7
    assert tensors_digest(x) == tensors_digest(x.clone()) == tensors_digest(torch.stack([x, x], 1)[:, 0])
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    first = files_digest([tmp_path / "a", tmp_path / "b"])
    assert first != files_digest([tmp_path / "b", tmp_path / "a"])
    (tmp_path / "b").write_bytes(b"twp")
    assert first != files_digest([tmp_path / "a", tmp_path / "b"])


def test_samples_and_networks_are_read(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(20, 2))
    np.save(tmp_path / "points.npy", points)
    loaded = SamplesPriorConfig(tmp_path / "points.npy").load("cpu")
    assert loaded.prior.shape == (2,) and loaded.extent == pytest.approx(1.1 * abs(points).max())
    before = loaded.sha256
    np.save(tmp_path / "points.npy", points + 1)
    assert SamplesPriorConfig(tmp_path / "points.npy").load("cpu").sha256 != before
    with pytest.raises(OSError):
        SamplesPriorConfig(tmp_path / "none.npy").load("cpu")
    data = torch.randn(64, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    network = ms.Network.train(data, steps=2, rng=torch.Generator().manual_seed(1), width=8, depth=1, batch=16)
    network.save(tmp_path / "net")
    loaded_network = NetworkPriorConfig(tmp_path / "net", -2.0, 2.0).load("cpu")
    assert (
        loaded_network.codec == RangeCodec(-2.0, 2.0)
        and loaded_network.prior.n_classes == 0
        and loaded_network.prior.shape == (1, 2, 2)
    )
    assert NetworkPriorConfig(tmp_path / "net").bandwidth() == pytest.approx(0.02 * network.preconditioning.scale)
    with pytest.raises(ValueError, match="is no readable network") as caught:
        NetworkPriorConfig(tmp_path).load("cpu")
    one_line(caught.value)


def ring() -> LoadedPrior:
    return ToyPriorConfig("ring").load("cpu")


def test_starts_depend_on_the_seed_alone() -> None:
    loaded = ring()
    a, b, c = (NoiseStart(5, 2.0).z(loaded, seed) for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c) and a.shape == (5, 2) and a.dtype == loaded.prior.dtype
    assert torch.equal(NoiseStart(5, 1.0).z(loaded, 0) * 2, a)
    grid = GridStart(3).z(loaded, 0)
    assert grid.shape == (9, 2) and grid.min() == -loaded.extent and grid.max() == loaded.extent
    assert len({tuple(p) for p in grid.tolist()}) == 9
    built = PointsConfig(NoiseStart(4)).make(loaded, 0)
    assert built.batch == 1 and not built.pixels and torch.equal(built.module.z, NoiseStart(4).z(loaded, 0))


def test_starts_from_files(tmp_path: Path) -> None:
    np.save(tmp_path / "two.npy", np.arange(6.0).reshape(3, 2))
    assert FileStart(tmp_path / "two.npy").z(ring(), 0).tolist() == [[0, 1], [2, 3], [4, 5]]
    digits = ToyPriorConfig("digits").load("cpu")
    np.save(tmp_path / "images.npy", np.arange(128.0).reshape(2, 64))
    assert FileStart(tmp_path / "images.npy").z(digits, 0).shape == (2, 1, 8, 8)
    with pytest.raises(ValueError, match=r"two\.npy must match the prior's shape \(1, 8, 8\), got 2 numbers each"):
        FileStart(tmp_path / "two.npy").z(digits, 0)


def test_pixels_start_gray_within_their_range() -> None:
    digits = ToyPriorConfig("digits").load("cpu")
    built = PixelsConfig(6, 0.5, 0.1).make(digits, 3)
    again = PixelsConfig(6, 0.5, 0.1).make(digits, 3)
    pixels = built.module.pixels.detach()
    assert (
        torch.equal(pixels, again.module.pixels) and built.batch == 6 and built.pixels and built.codec == digits.codec
    )
    assert pixels.shape == (6, 1, 8, 8) and abs(pixels.mean() - 0.5) < 0.02 and abs(pixels.std() - 0.1) < 0.02
    wild = PixelsConfig(6, 0.9, 5.0).make(digits, 3).module.pixels
    assert wild.min() == 0 and wild.max() == 1


def test_invalid_starts() -> None:
    digits = ToyPriorConfig("digits").load("cpu")
    for make, message in (
        (
            lambda: GridStart().z(digits, 0),
            r"a grid start needs a 2-D prior, got shape \(1, 8, 8\); try start: noise",
        ),
        (
            lambda: PixelsConfig().make(ring(), 0),
            r"pixels need a prior of images, got shape \(2,\); try generator: points",
        ),
        (
            lambda: NoiseStart(10**15).z(ring(), 0),
            "at most 50,000,000 numbers, got 2,000,000,000,000,000; try fewer",
        ),
        (lambda: GridStart(10**9).z(ring(), 0), "at most 50,000,000 numbers"),
        (lambda: PixelsConfig(10**9).make(digits, 0), "at most 50,000,000 numbers"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            make()
        one_line(caught.value)


def test_optimizers_match_their_names() -> None:
    w = torch.nn.Parameter(torch.ones(3))
    adam = AdamConfig(0.1, (0.5, 0.6), 1e-4, 0.2).make([w])
    assert type(adam) is torch.optim.AdamW
    group = adam.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (0.1, (0.5, 0.6), 1e-4, 0.2)
    sgd = SGDConfig(0.5, 0.9, True).make([w])
    assert type(sgd) is torch.optim.SGD
    group = sgd.param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"]) == (0.5, 0.9, True)


@pytest.mark.parametrize("config", [AdamConfig, SGDConfig])
def test_rates_fall_geometrically_or_by_a_cosine_to_zero(config: Any) -> None:
    assert [config(0.4).rate(p) for p in (0.0, 0.5, 1.0)] == [0.4] * 3
    assert [config(0.4, fall=0.01).rate(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([0.4, 0.04, 0.004])
    assert [config(0.4, fall=0.0).rate(p) for p in (0.0, 1 / 3, 0.5, 2 / 3, 1.0)] == pytest.approx(
        [0.4, 0.3, 0.2, 0.1, 0]
    )
    for fall in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"needs fall in \[0, 1\], got") as caught:
            config(0.4, fall=fall)
        one_line(caught.value)


def test_until_switches_once() -> None:
    switch = ms.Until(0.7)
    assert [switch(p) for p in (0.0, 0.35, 0.699, 0.7, 1.0)] == [1.0, 1.0, 1.0, 0.0, 0.0] and switch == ms.Until()
    switch = ms.Until(0.25, start=0.2, end=0.6)
    assert [switch(p) for p in (0.0, 0.24, 0.25, 1.0)] == [0.2, 0.2, 0.6, 0.6]
    assert ms.Until(0.0)(0.0) == 0.0 and ms.Until(1.0)(0.999) == 1.0 and ms.Until(1.0)(1.0) == 0.0
    inf, nan = float("inf"), float("nan")
    for until, start, end in ((-0.1, 1.0, 0.0), (1.1, 1.0, 0.0), (nan, 1.0, 0.0), (0.5, inf, 0.0), (0.5, 1.0, nan)):
        with pytest.raises(ValueError, match=r"Until needs until in \[0, 1\] and finite values: got") as caught:
            ms.Until(until, start, end)
        one_line(caught.value)


def test_fading_jitter() -> None:
    jitter = ms.Fading(0.8, 0.5)
    assert [round(jitter(p), 12) for p in (0.0, 0.25, 0.5, 0.75, 1.0)] == [0.8, 0.4, 0.0, 0.0, 0.0]
    assert ms.Fading()(0.0) == 1.0 and ms.Fading()(0.3) == 0.5 and ms.Fading()(0.6) == 0.0
    for start, until in ((-0.1, 0.5), (1.1, 0.5), (0.5, 0.0), (0.5, 1.1), (float("nan"), 0.5), (0.5, float("nan"))):
        with pytest.raises(ValueError, match=r"Fading needs start in \[0, 1\] and until in \(0, 1\]: got") as caught:
            ms.Fading(start, until)
        one_line(caught.value)
