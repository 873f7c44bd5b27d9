"""Regularizers against double sums, closed forms and finite differences; errors for missing quantities."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import modeseek as ms
from modeseek.generators.base import Rendering, View
from modeseek.generators.rendering3d import RaySamples, Rendering3D
from modeseek.ramp import Ramp
from modeseek.regularizers import (
    Distortion,
    NormalSmoothness,
    OpacityEntropy,
    Orientation,
    Penalty,
    Sparsity,
    TotalVariation,
    ZVariance,
)

B, SIDE, RAYS, S = 2, 4, 9, 7
ALL = (Distortion, NormalSmoothness, OpacityEntropy, Orientation, Sparsity, TotalVariation, ZVariance)


def random_rendering(seed: int = 0, dtype: torch.dtype = torch.float64) -> Rendering3D:
    """A random rendering with the invariants of a volume's; 9 of its 32 rays hit the volume."""
    rng = torch.Generator().manual_seed(seed)

    def even(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng, dtype=dtype)

    edges = 2 + even(RAYS, S + 1).cumsum(1) / S
    share = even(RAYS, S) * even(RAYS, 1)
    clear = torch.cat([torch.ones(RAYS, 1, dtype=dtype), (1 - share).cumprod(1)[:, :-1]], 1)
    normals = torch.nn.functional.normalize(even(RAYS, S, 3) - 0.5, dim=-1)
    direction = torch.nn.functional.normalize(even(RAYS, 3) - 0.5, dim=-1)
    ray = torch.randperm(B * SIDE * SIDE, generator=rng)[:RAYS].sort().values
    ray_samples = RaySamples(
        ray, direction, (share * clear).requires_grad_(), edges[:, :-1], edges[:, 1:], lambda: normals
    )
    normal = torch.nn.functional.normalize(even(B, 3, SIDE, SIDE) - 0.5, dim=1)
    grids = (even(1, 2, 3, 4, 5), even(1, 3, 6, 1))
    view = View((0, 1))
    return Rendering3D(
        view, even(B, 3, SIDE, SIDE), even(B, 1, SIDE, SIDE), even(B, 1, SIDE, SIDE), normal, ray_samples, grids
    )


def samples_of(rendering: Rendering3D) -> RaySamples:
    assert rendering.ray_samples is not None
    return rendering.ray_samples


def arrays(rendering: Rendering3D) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = samples_of(rendering)
    near, far = found.near.numpy(), found.far.numpy()
    return found.weights.detach().numpy(), (near + far) / 2, far - near


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_distortion_is_the_double_sum(seed: int) -> None:
    rendering = random_rendering(seed)
    w, m, length = arrays(rendering)
    total = 0.0
    for r in range(RAYS):
        for i in range(S):
            total += w[r, i] ** 2 * length[r, i] / 3
            for j in range(S):
                total += w[r, i] * w[r, j] * abs(m[r, i] - m[r, j])
    assert Distortion(1.0)(rendering, 0.3).item() == pytest.approx(total / (B * SIDE * SIDE), rel=1e-12)


def test_distortion_gradients_and_extreme_cases() -> None:
    rendering = random_rendering(3)
    w = samples_of(rendering).weights

    def value(weights: Tensor) -> Tensor:
        return Distortion().measure(replace(rendering, ray_samples=replace(samples_of(rendering), weights=weights)))

    assert torch.autograd.gradcheck(value, (w.detach().clone().requires_grad_(),))
    # All weight on one thin sample costs nothing; two layers cost half their distance.
    thin = torch.zeros(1, 3, dtype=torch.float64)
    near = torch.tensor([[1.0, 2.0, 5.0]], dtype=torch.float64)
    layers = RaySamples(torch.zeros(1, dtype=torch.long), torch.eye(3)[:1].double(), thin, near, near, lambda: near)

    def cost(*weights: float) -> float:
        samples = replace(layers, weights=torch.tensor([weights], dtype=torch.float64))
        return Distortion().measure(replace(rendering, ray_samples=samples)).item() * B * SIDE * SIDE

    assert cost(0.0, 1.0, 0.0) == 0
    assert cost(0.5, 0.0, 0.5) == pytest.approx(2.0)


def test_distortion_keeps_its_digits_in_single_precision() -> None:
    far = random_rendering(5)
    samples = samples_of(far)
    shifted = replace(far, ray_samples=replace(samples, near=samples.near + 1e3, far=samples.far + 1e3))
    single = replace(
        shifted,
        opacity=shifted.opacity.float(),
        ray_samples=replace(
            samples_of(shifted),
            weights=samples.weights.float(),
            near=samples_of(shifted).near.float(),
            far=samples_of(shifted).far.float(),
        ),
    )
    assert Distortion().measure(single).item() == pytest.approx(Distortion().measure(far).item(), rel=1e-3)


def test_variance_along_rays() -> None:
    rendering = random_rendering(1)
    w, m, _ = arrays(rendering)
    foreground = [(w[r] / w[r].sum(), m[r]) for r in range(RAYS) if w[r].sum() > 0.6]
    assert 0 < len(foreground) < RAYS
    want = sum(float((p * z**2).sum() - (p * z).sum() ** 2) for p, z in foreground) / len(foreground)
    assert ZVariance(least=0.6).measure(rendering).item() == pytest.approx(want, rel=1e-9)
    nothing = replace(
        rendering, ray_samples=replace(samples_of(rendering), weights=torch.zeros(RAYS, S, dtype=torch.float64))
    )
    assert ZVariance().measure(nothing).item() == 0


def test_normals_away_from_the_camera_are_penalised() -> None:
    rendering = random_rendering(2)
    w, _, _ = arrays(rendering)
    samples = samples_of(rendering)
    n, d = samples.normals().numpy(), samples.direction.numpy()
    want = 0.0
    for r in range(RAYS):
        for i in range(S):
            cosine = float(np.dot(n[r, i], d[r]))
            want += w[r, i] * cosine**2 if cosine > 0 else 0.0
    detached, attached = Orientation(), Orientation(hold=False)
    assert detached.measure(rendering).item() == pytest.approx(want / (B * SIDE * SIDE), rel=1e-12)
    assert attached.measure(rendering).item() == pytest.approx(want / (B * SIDE * SIDE), rel=1e-12)
    attached.measure(rendering).backward()
    assert samples.weights.grad is not None and not detached.measure(rendering).requires_grad


def test_entropy_and_sparsity_of_opacity() -> None:
    rendering = random_rendering(4)
    o = rendering.opacity.clamp(1e-3, 1 - 1e-3).flatten().tolist()
    entropy = sum(-p * math.log(p) - (1 - p) * math.log(1 - p) for p in o) / len(o)
    assert OpacityEntropy().measure(rendering).item() == pytest.approx(entropy, rel=1e-12)
    half = replace(rendering, opacity=torch.full_like(rendering.opacity, 0.5))
    assert OpacityEntropy().measure(half).item() == pytest.approx(math.log(2))
    full = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(16).reshape(2, 1, 4, 4).requires_grad_()
    OpacityEntropy().measure(replace(rendering, opacity=full)).backward()
    assert full.grad is not None and full.grad.isfinite().all() and not full.grad.any()
    raw = rendering.opacity.flatten().tolist()
    want = sum(math.sqrt(p * p + 0.01) for p in raw) / len(raw)
    assert Sparsity().measure(rendering).item() == pytest.approx(want, rel=1e-12)
    empty = torch.zeros(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    Sparsity(soft=0.0).measure(replace(rendering, opacity=empty)).backward()
    assert empty.grad is not None and empty.grad.isfinite().all()
    assert Sparsity(soft=0.0).measure(rendering).item() == pytest.approx(sum(raw) / len(raw), rel=1e-12)


@pytest.mark.parametrize("power", [1, 2])
def test_total_variation_is_the_sum_of_differences(power: int) -> None:
    rendering = random_rendering(6)
    want = 0.0
    for grid in rendering.grids:
        cells = grid.numpy()
        for axis in range(2, cells.ndim):
            if cells.shape[axis] > 1:
                want += float(np.mean(np.abs(np.diff(cells, axis=axis)) ** power))
    found = TotalVariation(power=power).measure(rendering)  # pyright: ignore[reportArgumentType]
    assert found.item() == pytest.approx(want / 2, rel=1e-12)
    slope = replace(rendering, grids=(torch.arange(5.0, dtype=torch.float64).reshape(1, 1, 5).expand(1, 1, 5) * 0.5,))
    assert TotalVariation(power=power).measure(slope).item() == pytest.approx(0.5**power)  # pyright: ignore[reportArgumentType]


def test_normals_are_smooth_within_the_outline() -> None:
    rendering = random_rendering(7)
    assert rendering.normal is not None
    n, o = rendering.normal.numpy(), rendering.opacity.numpy()
    want, pairs = 0.0, 0
    for b in range(B):
        for y in range(SIDE):
            for x in range(SIDE):
                for v, u in ((y + 1, x), (y, x + 1)):
                    if v < SIDE and u < SIDE:
                        pairs += 1
                        want += o[b, 0, y, x] * o[b, 0, v, u] * float(((n[b, :, y, x] - n[b, :, v, u]) ** 2).sum())
    assert NormalSmoothness().measure(rendering).item() == pytest.approx(want / pairs, rel=1e-12)
    flat = replace(rendering, normal=torch.eye(3, dtype=torch.float64)[0].reshape(1, 3, 1, 1).expand(B, 3, SIDE, SIDE))
    assert NormalSmoothness().measure(flat).item() == 0


@pytest.mark.parametrize("kind", ALL)
def test_weights_are_scheduled_and_weight_zero_is_not_measured(kind: Callable[..., Penalty]) -> None:
    rendering = random_rendering(8)
    plain = kind(1.0)(rendering, 0.0)
    assert plain.ndim == 0 and plain.item() > 0
    ramp = kind(Ramp(0.0, 4.0, until=0.5))
    assert (
        ramp(rendering, 0.25).item() == pytest.approx(2 * plain.item())
        and ramp(rendering, 0.9).item() == 4 * plain.item()
    )
    assert ramp(Rendering(View((0,)), torch.zeros(1, 3, 2, 2)), 0.0).item() == 0  # weight 0: a 2D rendering suffices
    with pytest.raises(ValueError, match="got a 2D Rendering; remove it"):
        kind(1.0)(Rendering(View((0,)), torch.zeros(1, 3, 2, 2)), 0.0)
    with pytest.raises(ValueError, match="weight >= 0"):
        kind(Ramp(1.0, -1.0))


class Fog(nn.Module):
    """A black fog whose single parameter is the opacity of every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.amount = nn.Parameter(torch.tensor(0.6, dtype=torch.float64))

    def view(self, n: int, rng: ms.Rng) -> View:
        return View(tuple(range(n)))

    def forward(self, view: View) -> Rendering3D:
        opacity = self.amount.expand(len(view.items), 1, 2, 2)
        return Rendering3D(view, (1 - opacity).expand(-1, 3, 2, 2), opacity, opacity)


def test_the_loop_adds_regularizers_and_skips_weight_zero() -> None:
    """Under an almost flat prior the regularizer alone moves the opacity: d/do sqrt(o^2 + 0.01)."""
    fog = Fog()
    prior = ms.GaussianMixture(torch.ones(1), torch.zeros(1, 12).double(), 1e12 * torch.eye(12).double()[None])
    off, on = OpacityEntropy(Ramp(0.0, 1.0)), Sparsity(weight=2.0)
    sgd = torch.optim.SGD(fog.parameters(), lr=0.1)
    flat = _Flat()
    method, rng = ms.MSD(ms.Fixed(1e-6)), ms.Streams(0)
    steps = ms.distill(fog, prior, method, sgd, steps=2, batch=2, codec=flat, regularizers=(off, on), rng=rng)
    losses = next(steps).losses
    assert losses == {"OpacityEntropy": 0.0, "Sparsity": pytest.approx(2 * math.sqrt(0.37))}
    assert fog.amount.item() == pytest.approx(0.6 - 0.1 * 2 * 0.6 / math.sqrt(0.37), rel=1e-6)


class _Flat:
    def encode(self, image: Tensor) -> Tensor:
        return image.flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        return z.reshape(-1, 3, 2, 2)


def test_missing_quantities_are_one_line() -> None:
    rendering = random_rendering()
    for penalty in (Distortion(), ZVariance(), Orientation()):
        with pytest.raises(ValueError, match="got a surface"):
            penalty(replace(rendering, ray_samples=None), 0.0)
    with pytest.raises(ValueError, match="normal map"):
        NormalSmoothness()(replace(rendering, normal=None), 0.0)
    with pytest.raises(ValueError, match="grids, got none; remove it"):
        TotalVariation()(replace(rendering, grids=()), 0.0)
    for wrong in (lambda: Sparsity(soft=-1.0), lambda: ZVariance(least=1.0)):
        with pytest.raises(ValueError, match="got"):
            wrong()
