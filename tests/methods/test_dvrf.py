"""DVRF against velocities of Gaussians, FlowEdit's own step, and DDS."""

from __future__ import annotations

import pytest
import torch
from cases_methods import (
    NAMES,
    NULL,
    POSITIVE,
    PerRow,
    Velocity,
    Z,
    check_batch,
    class_prior,
    count_calls,
    label_conditions,
    levels,
    one_line,
    per_signal,
    step,
)
from cases_shift import generator, prior_of, tensor, three_gaussians
from oracles_shift import F64

import modeseek as ms
from modeseek.methods.dds import DDS
from modeseek.methods.dvrf import DVRF
from modeseek.ramp import Hump

SOURCE = tensor([-0.8, 0.3], [0.6, 1.1], [-1.4, 0.2], [0.9, 2.0])
ORIGIN = 2
CONDITIONS = label_conditions(negative=None, source=ORIGIN)


def shares(schedule: str) -> torch.Tensor:
    """Noise share of each row, (4, 1)."""
    alpha, sigma = levels(schedule)
    return sigma / (alpha + sigma)


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize(("eta", "progress"), [(0.0, 0.7), (1.0, 0.0), (0.8, 0.5), (1.0, 1.0)])
def test_between_gaussians_it_is_the_difference_of_their_velocities(schedule: str, eta: float, progress: float) -> None:
    method = DVRF(SOURCE, PerRow(), scale=3.0, source_scale=2.0, eta=eta, rate=0.5)
    d = step(method, class_prior(schedule), Z, conditions=CONDITIONS, progress=progress)
    c = eta * progress
    for i, s in enumerate(shares(schedule)[:, 0].tolist()):
        z, z0, n = Z[i], SOURCE[i], d.eps[i]
        velocities = []
        for x, label, scale in (
            ((1 - s) * z + s * n + c * s * (z - z0), POSITIVE, 3.0),
            ((1 - s) * z0 + s * n, ORIGIN, 2.0),
        ):
            base, plain = Velocity(NULL)(x, s), Velocity(label)(x, s)
            velocities.append(base + scale * (plain - base))
        expected = 0.5 * (velocities[0] - velocities[1] + (1 - c) * (z - z0))
        assert torch.allclose(d.grad[i], expected, rtol=1e-9, atol=1e-9)


def test_the_mean_and_the_variance_over_the_noise() -> None:
    """Velocities are linear in n: `(k_target - k_source) s n`, with slope k of each class."""
    n = 3000
    method = DVRF(SOURCE.repeat(n, 1), PerRow(), scale=1.0, source_scale=1.0, rate=1.0)
    d = step(method, class_prior("Flow"), Z.repeat(n, 1), conditions=CONDITIONS, progress=0.5)
    s = shares("Flow")
    zero, one = torch.zeros_like(Z), torch.ones_like(Z)
    rows = [
        torch.stack(
            [
                Velocity(label)(x, float(s[i]))
                for i, x in enumerate((1 - s) * start + s * noise + (0.5 * s * (Z - SOURCE) if moved else 0.0))
            ]
        )
        for noise in (zero, one)
        for label, start, moved in ((POSITIVE, Z, True), (ORIGIN, SOURCE, False))
    ]
    mean = rows[0] - rows[1] + 0.5 * (Z - SOURCE)
    std = (rows[2] - rows[3] - rows[0] + rows[1]).abs()
    got = d.grad.reshape(n, 4, 2)
    assert ((got.mean(0) - mean).abs() <= 4 * std / n**0.5 + 1e-9).all()
    assert ((got.var(0) - std**2).abs() <= 4 * std**2 * (2 / n) ** 0.5 + 1e-9).all()


def test_with_the_full_shift_a_step_is_a_step_of_flowedit() -> None:
    """FlowEdit: `z <- z + (s' - s) (v(z + source_s - source) - v(source_s))`, from its paper, on a mixture."""
    prior = prior_of(three_gaussians(), ms.Flow(), [0, 0, 1])
    conditions = ms.Conditions(torch.tensor([1]), null=torch.tensor([-1]), source=torch.tensor([0]))
    s, following = 0.6, 0.58
    method = DVRF(SOURCE, PerRow((s,) * 4), scale=4.0, source_scale=2.0, rate=s - following)
    d = step(method, prior, Z, conditions=conditions, progress=1.0)
    level = torch.full((4,), s, dtype=F64)

    def velocity(x: torch.Tensor, label: int, scale: float) -> torch.Tensor:
        base, plain = (prior.at(x, 1 - level, level, torch.tensor([k])) for k in (-1, label))
        return base.eps - base.z + scale * (plain.eps - plain.z - base.eps + base.z)

    noisy = (1 - s) * SOURCE + s * d.eps
    edited = Z + (following - s) * (velocity(Z + noisy - SOURCE, 1, 4.0) - velocity(noisy, 0, 2.0))
    assert torch.allclose(Z - d.grad, edited, rtol=0, atol=1e-11)


@pytest.mark.parametrize("schedule", NAMES)
def test_without_shift_it_is_dds_in_velocities_and_a_pull_to_the_source(schedule: str) -> None:
    prior = class_prior(schedule)
    ours = step(DVRF(SOURCE, PerRow(), 3.0, 3.0, eta=0.0, rate=1.0), prior, Z, conditions=CONDITIONS)
    dds = step(DDS(SOURCE, PerRow(), scale=3.0), prior, Z, conditions=CONDITIONS)
    # v = (eps - z) and alpha z = z_t - sigma eps: the difference of z is (z - source) - sigma / alpha of that of eps
    expected = per_signal(*levels(schedule)) * dds.grad - (Z - SOURCE) + (Z - SOURCE)
    assert torch.equal(ours.eps, dds.eps) and torch.allclose(ours.grad, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_an_edit_into_itself_is_nothing(progress: float) -> None:
    prior = prior_of(three_gaussians(), labels=[0, 0, 1])
    same = ms.Conditions(torch.tensor([1, 0, 1, 0]), null=torch.tensor([-1]), source=torch.tensor([1, 0, 0, 0]))
    grad = step(DVRF(scale=5.0, source_scale=5.0, rate=1.0), prior, Z, conditions=same, progress=progress).grad
    assert (grad[[0, 1, 3]] == 0).all() and (grad[2] != 0).all()


def test_the_authors_rate() -> None:
    """Their code's hump for 50 steps of Stable Diffusion 3, whose last two noise shares are 0.0669 and 0.00893."""
    most = (0.06690 - 0.008929) / 1.6
    peak = (9 / 16) ** 9 * (7 / 16) ** 7
    for k in range(50):
        x = k / 77
        hump = (most / 1.6 - most / 4) * x**9 * (1 - x) ** 7 / peak
        assert Hump()(k / 49) == pytest.approx(2.2 * (hump + most / 4 * x), rel=4e-3, abs=1e-6)
    assert DVRF().rate == Hump() and DVRF().times(0.0, 1, generator()).item() == 1.0


def test_a_batch_is_its_items_alone_and_calls() -> None:
    check_batch(DVRF(torch.zeros(1, dtype=F64)), class_prior(), CONDITIONS)
    for scale, source_scale, calls in ((3.0, 2.0, 4), (1.0, 2.0, 3), (3.0, 1.0, 3), (1.0, 1.0, 2)):
        method = DVRF(scale=scale, source_scale=source_scale)
        assert count_calls(method, conditions=CONDITIONS) == 4 * calls


def test_mistakes(unchecked: None) -> None:
    for eta in (-0.1, 1.1):
        with pytest.raises(ValueError, match=r"DVRF eta must be in \[0, 1\], got") as error:
            DVRF(eta=eta)
        one_line(error.value)
    with pytest.raises(ValueError, match="DVRF needs the conditions positive, source: got") as error:
        step(DVRF(), class_prior(), Z, conditions=label_conditions())
    one_line(error.value)
    with pytest.raises(TypeError, match="DVRF guides by itself"):
        DVRF().init(Z, ms.Guided(class_prior()))
    with pytest.raises(ValueError, match="Hump needs height and tail >= 0") as error:
        Hump(height=-1.0)
    one_line(error.value)
