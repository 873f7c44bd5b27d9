"""Camera sampling: uniform on the sphere, stratified over the batch, independent of the batch size."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import modeseek as ms
from modeseek.generators.orbit import Orbit, per_item_streams


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n", [1, 2, 4, 8, 16])
def test_a_power_of_two_is_evenly_spaced(n: int) -> None:
    cameras = Orbit().draw(n, ms.Streams(3, 7))
    gaps = np.diff(np.sort(cameras.azimuth.numpy() % 360))
    assert np.allclose(gaps, 360 / n, atol=1e-3)


@given(n=st.integers(1, 40), seed=st.integers(0, 10))
def test_any_batch_leaves_no_wide_gap(n: int, seed: int) -> None:
    around = np.sort(Orbit().draw(n, ms.Streams(seed)).azimuth.numpy() % 360)
    gaps = np.append(np.diff(around), around[0] + 360 - around[-1])
    assert gaps.max() <= 360 / 2 ** math.floor(math.log2(n)) + 1e-2  # half of the gaps or more are minimal


def test_the_camera_of_an_item_does_not_depend_on_the_batch() -> None:
    orbit, streams = Orbit(), ms.Streams(5, 11, use="view")
    whole = orbit.draw(6, streams)
    for batch in (1, 2, 5):
        part = orbit.draw(batch, streams)
        for name in ("azimuth", "elevation", "distance", "fov"):
            assert torch.equal(getattr(part, name), getattr(whole, name)[:batch])
    alone = orbit.draw(1, streams.at(11, (4,), "view"))
    assert alone.azimuth.item() == whole.azimuth[4] and alone.elevation.item() == whole.elevation[4]
    assert not torch.equal(orbit.draw(6, streams.at(12, use="view")).azimuth, whole.azimuth)


def test_cameras_are_uniform_on_the_sphere() -> None:
    """Kolmogorov distance to the uniform distribution: sines of elevations, and azimuths of one item over steps."""
    orbit = Orbit(elevation=(-30.0, 70.0))
    sines = orbit.draw(4000, rng()).elevation.deg2rad().sin().sort().values.numpy()
    low, high = math.sin(math.radians(-30)), math.sin(math.radians(70))
    assert np.abs((sines - low) / (high - low) - (np.arange(4000) + 0.5) / 4000).max() < 0.03
    azimuths = [Orbit().draw(2, ms.Streams(0, step)).azimuth[1].item() for step in range(600)]
    assert np.abs((np.sort(azimuths) + 180) / 360 - (np.arange(600) + 0.5) / 600).max() < 0.07


def test_draws_are_within_their_ranges_and_independent() -> None:
    orbit = Orbit(azimuth=(-60.0, 30.0), elevation=(5.0, 6.0), fov=(30.0, 50.0), span=(1.0, 1.5))
    cameras = orbit.draw(500, rng())
    assert -60 <= cameras.azimuth.min() and cameras.azimuth.max() <= 30 and cameras.azimuth.std() > 20
    assert 5 <= cameras.elevation.min() and cameras.elevation.max() <= 6
    span = cameras.distance * torch.tan(cameras.fov * math.pi / 360)
    assert 1.0 <= span.min() + 1e-5 and span.max() <= 1.5 + 1e-5 and 30 <= cameras.fov.min()
    columns = torch.stack([cameras.azimuth, cameras.elevation, span, cameras.fov])
    assert (torch.corrcoef(columns) - torch.eye(4)).abs().max() < 0.15
    fixed = Orbit(distance=(2.0, 3.0)).draw(500, rng())
    assert 2 <= fixed.distance.min() and fixed.distance.max() <= 3 and fixed.distance.std() > 0.2
    assert abs(torch.corrcoef(torch.stack([fixed.distance, fixed.fov]))[0, 1]) < 0.15


def test_a_ring_is_even_and_fixed() -> None:
    ring = Orbit(span=(1.0, 1.4)).ring(6, elevation=20.0, first=10.0, fov=90.0)
    assert torch.allclose(ring.azimuth, torch.tensor([10.0, 70, 130, 190, 250, 310]))
    assert torch.equal(ring.elevation, torch.full((6,), 20.0)) and torch.allclose(ring.distance, torch.tensor(1.2))
    assert Orbit(distance=(2.0, 4.0)).ring(1).distance.item() == 3.0


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"azimuth": (10.0, 0.0)}, "azimuth must be"),
        ({"azimuth": (0.0, 400.0)}, "span at most 360 degrees"),
        ({"elevation": (0.0, 91.0)}, "elevation must be"),
        ({"fov": (0.0, 40.0)}, "fov must be"),
        ({"span": (0.0, 1.0)}, "span must be"),
        ({"distance": (-1.0, 1.0)}, "distance must be"),
        ({"span": (math.nan, 1.0)}, "span must be"),
    ],
)
def test_an_invalid_orbit_is_refused(options: dict[str, tuple[float, float]], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Orbit(**options)


def test_invalid_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one item, got 0"):
        Orbit().draw(0, rng())
    with pytest.raises(ValueError, match="3 cameras need 3 streams"):
        Orbit().draw(3, ms.Streams(0, items=(4, 5)))
    with pytest.raises(ValueError, match="at least one camera, got 0"):
        Orbit().ring(0)
    assert per_item_streams(3, ms.Streams(0, items=(9, 4, 5)))[1] == (9, 4, 5)
