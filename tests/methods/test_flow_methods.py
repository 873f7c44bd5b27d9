"""RFDS, iRFDS and RFDS-Rev on flows and other schedules; properties shared with UCM."""

from __future__ import annotations

import pytest
import torch
from cases_methods import (
    MEANS,
    NAMES,
    NEGATIVE,
    NULL,
    POSITIVE,
    VARIANCES,
    PerRow,
    Velocity,
    Z,
    branch_sum,
    check_batch,
    check_linear,
    class_prior,
    count_calls,
    eps_of,
    gain,
    label_conditions,
    levels,
    one_line,
    per_signal,
    step,
)
from cases_shift import generator, prior_of, three_gaussians
from oracles_shift import F64

import modeseek as ms
from modeseek.methods.irfds import IRFDS
from modeseek.methods.rfds import RFDS
from modeseek.methods.rfds_rev import RFDSRev
from modeseek.methods.ucm import UCM


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("weight", [ms.weights.unit_weight, ms.sigma_squared])
def test_rfds_has_the_mean_and_variance_of_its_velocity_residual(schedule, weight):
    alpha, sigma = levels(schedule)
    w = per_signal(alpha, sigma) * (sigma**2 if weight is ms.sigma_squared else 1.0)
    mean, factor = branch_sum({POSITIVE: 1.0}, -1.0, alpha, sigma)
    check_linear(
        RFDS(PerRow(), weight),
        class_prior(schedule),
        w * mean,
        w * factor,
        n=2000,
        conditions=label_conditions(negative=None),
    )


@pytest.mark.parametrize("schedule", NAMES)
def test_rfds_is_sds_with_one_over_one_minus_sigma_in_flow_time(schedule):
    """I6, on a mixture, guided, at levels of any schedule."""
    prior = ms.Guided(prior_of(three_gaussians(), class_prior(schedule).schedule, [0, 0, 1]), 3.0)
    conditions = ms.Conditions(torch.tensor([1]), torch.tensor([-1]))
    ours = step(RFDS(PerRow()), prior, Z, conditions=conditions)
    sds = step(ms.SDS(PerRow(), ms.weights.unit_weight), prior, Z, conditions=conditions)
    share = per_signal(*levels(schedule))
    assert torch.equal(ours.eps, sds.eps)
    assert torch.allclose(ours.grad, share * sds.grad, rtol=1e-8, atol=1e-9)
    if schedule == "Flow":
        _, sigma = levels(schedule)
        assert torch.allclose(share, 1 / (1 - sigma), rtol=0, atol=1e-12)


def test_rfds_agrees_with_a_model_that_knows_velocities_only():
    direction = step(RFDS(PerRow()), class_prior("Flow"), Z, conditions=label_conditions(negative=None))
    for i, s in enumerate(PerRow().t):
        n = direction.eps[i]
        residual = Velocity(POSITIVE)((1 - s) * Z[i] + s * n, s) - (n - Z[i])
        assert torch.allclose(direction.grad[i], residual, rtol=0, atol=1e-12)


@pytest.mark.parametrize("schedule", ["Flow", "Cosine"])
def test_at_pure_noise_rfds_points_at_the_mean(schedule):
    """Where SDS has nothing to say, and 1 / (1 - sigma) is infinite: `v - (n - z) = z - mean`."""
    times = ms.noise_levels.Annealed(1.0, 1.0)
    for method in (RFDS(times), UCM(times, scale=1.0)):
        grad = step(method, class_prior(schedule), Z, conditions=label_conditions(negative=None)).grad
        assert torch.allclose(grad, Z - MEANS[POSITIVE], rtol=0, atol=1e-6)
    grad = step(IRFDS(Z, times), class_prior(schedule), Z, conditions=label_conditions(negative=None)).grad
    assert torch.allclose(grad, MEANS[POSITIVE] - Z, rtol=0, atol=1e-6)


NOISE = torch.randn(4, 2, dtype=F64, generator=generator(7))


@pytest.mark.parametrize("schedule", NAMES)
def test_irfds_draws_the_noise_to_what_the_prior_finds(schedule):
    alpha, sigma = levels(schedule)
    direction = step(
        IRFDS(Z, PerRow(), ms.sigma_squared), class_prior(schedule), NOISE, conditions=label_conditions(negative=None)
    )
    found = eps_of(POSITIVE, alpha * Z + sigma * NOISE, alpha, sigma)
    expected = sigma**2 * per_signal(alpha, sigma) * (NOISE - found)
    assert torch.allclose(direction.grad, expected, rtol=1e-9, atol=1e-9)
    # where it comes to rest: n = eps(alpha z + sigma n), solved for n
    rest = sigma * (Z - MEANS[POSITIVE]) / (alpha * VARIANCES[POSITIVE])
    still = step(IRFDS(Z, PerRow()), class_prior(schedule), rest, conditions=label_conditions(negative=None)).grad
    assert (still / (per_signal(alpha, sigma) * (1 + rest.abs()))).abs().max() <= 1e-10


def test_irfds_is_the_gradient_of_the_flow_loss_in_the_noise():
    """`1/2 |v - (n - z)|^2` with v held constant, by autograd; descending it is the negative of RFDS's direction."""
    n = NOISE.clone().requires_grad_()
    residual = torch.stack(
        [Velocity(POSITIVE)((1 - s) * Z[i] + s * n[i], s).detach() - (n[i] - Z[i]) for i, s in enumerate(PerRow().t)]
    )
    (0.5 * residual.square().sum()).backward()
    grad = step(IRFDS(Z, PerRow()), class_prior("Flow"), NOISE, conditions=label_conditions(negative=None)).grad
    assert torch.allclose(grad, n.grad, rtol=0, atol=1e-12)


def test_irfds_in_the_loop_finds_the_noise_of_its_picture():
    """The optimised points are the noise; the image is a field of the method."""
    image = torch.tensor([[0.4, -0.6]], dtype=F64)
    noise = ms.Points(torch.randn(3, 2, dtype=F64, generator=generator(1)))
    optimizer = torch.optim.SGD(noise.parameters(), lr=1.0)
    method = IRFDS(image, ms.noise_levels.Annealed(0.5, 0.5))
    run = ms.distill(
        noise, class_prior("Flow"), method, optimizer, steps=40, conditions=label_conditions(NULL), rng=generator()
    )
    *_, last = run
    rest = (image - MEANS[NULL]) / VARIANCES[NULL]  # sigma = alpha there
    assert torch.allclose(last.z, rest.expand(3, 2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_rfds_rev_has_the_mean_and_variance_of_two_rounds(schedule, scale):
    """n' = eps(z_t) is affine in n, and so is `eps_scale(alpha z + sigma n') - n'`."""
    alpha, sigma = levels(schedule)
    first, rate = branch_sum({POSITIVE: 1.0}, 0.0, alpha, sigma)
    mean, factor = branch_sum({POSITIVE: scale, NULL: 1 - scale}, -1.0, alpha, sigma)
    w = per_signal(alpha, sigma)
    method = RFDSRev(PerRow(), scale=scale)
    check_linear(
        method,
        class_prior(schedule),
        w * (mean + factor * first),
        w * factor * rate,
        conditions=label_conditions(negative=None),
    )


def test_rfds_rev_refines_as_the_papers_step_in_flow_time_does():
    """`n + (1 - sigma)(v + z - n)`, and a noise that solves `v = n - z` stays."""
    method = RFDSRev(PerRow(), scale=2.0)
    direction = step(method, class_prior("Flow"), Z, conditions=label_conditions(negative=None))
    for i, s in enumerate(PerRow().t):
        n = direction.eps[i]
        n = n + (1 - s) * (Velocity(POSITIVE)((1 - s) * Z[i] + s * n, s) + Z[i] - n)
        z_t = (1 - s) * Z[i] + s * n
        v = -Velocity(NULL)(z_t, s) + 2 * Velocity(POSITIVE)(z_t, s)
        assert torch.allclose(direction.grad[i], v - (n - Z[i]), rtol=0, atol=1e-11)
        assert torch.allclose(direction.prediction.z_t[i], z_t, rtol=0, atol=1e-12)
    plain = step(
        RFDSRev(PerRow(), scale=2.0, inversion_scale=3.0),
        class_prior("Flow"),
        Z,
        conditions=label_conditions(negative=None),
    )
    assert (plain.grad - direction.grad).abs().max() > 0.1  # the refinement has a scale of its own


def test_rfds_rev_with_a_full_step_is_the_papers_step_of_length_one():
    method = RFDSRev(PerRow(), scale=1.0, full_step=True)
    d = step(method, class_prior("Flow"), Z, conditions=label_conditions(negative=None))
    for i, s in enumerate(PerRow().t):
        velocity, n, z = Velocity(POSITIVE), d.eps[i], Z[i]
        n = n + 1.0 * (velocity((1 - s) * z + s * n, s) + z - n)
        expected = velocity((1 - s) * z + s * n, s) - (n - z)
        assert torch.allclose(d.grad[i], expected, rtol=0, atol=1e-10)


def test_rfds_rev_takes_most_of_the_noise_s_variance_away():
    n = 4000
    alpha, sigma = levels("Flow")
    _, factor = branch_sum({POSITIVE: 1.0}, -1.0, alpha, sigma)
    rate = gain(POSITIVE, alpha, sigma) * sigma
    plain, revised = (
        step(m, class_prior("Flow"), Z.repeat(n, 1), conditions=label_conditions(negative=None))
        .grad.reshape(n, 4, 2)
        .var(0)
        for m in (RFDS(PerRow()), RFDSRev(PerRow(), scale=1.0))
    )
    error = 4 * rate**2 * (2 / n) ** 0.5
    assert ((revised / plain - rate**2).abs() <= 2 * error).all() and (rate**2 < 0.9).any() and factor.ne(0).all()


METHODS = {
    "rfds": RFDS(),
    "irfds": IRFDS(torch.tensor([[0.3, -0.2]], dtype=F64)),
    "rev": RFDSRev(),
    "rev guided": RFDSRev(inversion_scale=2.0),
    "ucm": UCM(),
    "ucm midpoint": UCM(solver="midpoint"),
    "ucm early": UCM(since=0.9),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("schedule", ["VP", "Flow"])
def test_a_batch_goes_as_its_items_do(name, schedule):
    per_item = ms.Conditions(torch.tensor([0, 2, 1, 0]), torch.tensor([1, -1, 0, 2]))
    for conditions in (None, label_conditions(), per_item):
        check_batch(METHODS[name], class_prior(schedule), conditions)
    if isinstance(METHODS[name], RFDS | IRFDS):
        check_batch(METHODS[name], ms.Guided(class_prior(schedule), 3.0), per_item)


@pytest.mark.parametrize(
    ("name", "bare", "conditional"),
    [
        ("rfds", 1, 1),
        ("irfds", 1, 1),
        ("rev", 2, 3),
        ("rev guided", 2, 4),
        ("ucm", 4, 5),
        ("ucm midpoint", 7, 8),
        ("ucm early", 1, 2),
    ],
)
def test_calls_a_row(name, bare, conditional):
    assert count_calls(METHODS[name]) == 4 * bare
    assert count_calls(METHODS[name], conditions=label_conditions(negative=NEGATIVE)) == 4 * conditional


@pytest.mark.parametrize("kind", [RFDSRev, UCM])
def test_a_guided_prior_is_refused(kind):
    with pytest.raises(TypeError, match=f"{kind.__name__} guides by itself"):
        kind().init(Z, ms.Guided(class_prior()))
    with pytest.raises(TypeError, match=f"{kind.__name__} guides by itself"):
        kind().step(Z, ms.Counting(ms.Guided(class_prior())), None, progress=0.0, rng=generator())


def test_bad_use_is_one_clear_line():
    for options in ({"inversion_steps": 0}, {"since": 1.5}):
        with pytest.raises(ValueError, match="UCM needs inversion_steps >= 1 and since.*got") as error:
            UCM(**options)
        one_line(error.value)
    with pytest.raises(ValueError, match=r"IRFDS data must have the noise's shape \(4, 2\).*, got \(3, 2\)") as error:
        step(IRFDS(Z[:3]), class_prior(), NOISE)
    one_line(error.value)


@pytest.mark.usefixtures("unchecked")
def test_an_unknown_solver_is_one_clear_line():
    with pytest.raises(ValueError, match="UCM solver must be 'euler' or 'midpoint', got 'heun'") as error:
        UCM(solver="heun")
    one_line(error.value)
