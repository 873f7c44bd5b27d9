"""VSD against closed forms: exact auxiliaries, a population that must spread, a trained auxiliary."""

from __future__ import annotations

import pytest
import torch
from cases_phi import FOUR, PerRow, RecordingAuxiliary, context, eps_of, levels, moments, prior_on, step
from cases_shift import components, gaussian, generator, three_gaussians
from oracles_shift import F64

import modeseek as ms
from modeseek.methods.auxiliary import Auxiliary, AuxiliaryInput, AuxiliaryTarget
from modeseek.methods.auxiliary_exact import ExactAuxiliary, delta, particles
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.vsd import VSD, VSDState
from modeseek.rundir.checkpoint import read_checkpoint, write_checkpoint

TARGET = gaussian([0.7, -0.4], [[0.8, 0.3], [0.3, 0.35]])
CONDITIONS = ms.Conditions(torch.tensor([0, 1, 1, 0]), null=torch.tensor([-1]))


def exact(law=None, **options) -> VSD:
    """VSD with an exact phi."""
    return VSD(auxiliary=ExactAuxiliary() if law is None else ExactAuxiliary(law), **options)


@pytest.mark.parametrize("schedule", ["VP", "Cosine", "Flow", "VE"])
@pytest.mark.parametrize("rng", [lambda: generator(4), lambda: ms.Streams(7, 3, (0, 1, 2, 3))])
def test_with_a_point_mass_for_phi_it_is_sds_draw_by_draw(schedule, rng):
    prior = prior_on(schedule, three_gaussians())
    for weight in (ms.sigma_squared, ms.weights.unit_weight):
        result = step(exact(delta, weight=weight), FOUR, prior, rng())
        expected = step(ms.SDS(weight=weight), FOUR, prior, rng())
        assert torch.equal(result.eps, expected.eps) and torch.equal(result.t, expected.t)
        assert torch.allclose(result.grad, expected.grad, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("schedule", ["VP", "Flow", "VE"])
def test_between_gaussians_it_is_the_difference_of_two_linear_scores(schedule):
    alpha, sigma = levels(schedule)
    answer = step(exact(times=PerRow()), FOUR, prior_on(schedule, TARGET), generator())
    z_t = alpha * FOUR + sigma * answer.eps
    mean, cov = moments(FOUR)
    for i in range(4):
        a, s, eye = alpha[i], sigma[i], torch.eye(2, dtype=F64)
        of_prior = torch.linalg.inv(a**2 * TARGET.covs[0] + s**2 * eye) @ (z_t[i] - a * TARGET.means[0])
        of_phi = torch.linalg.inv(a**2 * cov + s**2 * eye) @ (z_t[i] - a * mean)
        assert torch.allclose(answer.grad[i], s**3 * (of_prior - of_phi), rtol=1e-9, atol=1e-11)


def test_where_the_particles_are_the_prior_nothing_pulls():
    prior = ms.Empirical(FOUR, ms.VP())
    assert step(exact(particles), FOUR, prior, generator()).grad.abs().max() < 1e-12
    assert step(ms.SDS(), FOUR, prior, generator()).grad.abs().max() > 1e-3


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_guidance_is_the_priors_alone(scale):
    prior, recording = prior_on("Cosine", three_gaussians(), [0, 0, 1]), RecordingAuxiliary()
    method = VSD(PerRow(), scale, ms.weights.unit_weight, recording)
    answer = step(method, FOUR, prior, generator(), conditions=CONDITIONS)
    alpha, sigma = levels("Cosine")
    z_t = alpha * FOUR + sigma * answer.eps
    null, conditional = eps_of(three_gaussians(), z_t, alpha, sigma), torch.zeros(4, 2, dtype=F64)
    for rows, parts in (([0, 3], [0, 1]), ([1, 2], [2])):
        mixture = components(three_gaussians(), parts)
        conditional[rows] = eps_of(mixture, z_t[rows], alpha[rows], sigma[rows])
    phi = sigma * z_t / (alpha**2 + sigma**2)
    assert torch.allclose(answer.grad, null + scale * (conditional - null) - phi, rtol=0, atol=1e-10)
    (inputs,) = recording.predict_inputs
    assert torch.equal(inputs.cond, CONDITIONS.positive) and torch.equal(inputs.z_t, answer.prediction.z_t)


def population(method: ms.Method, steps: int, lr: float, n: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of particles that started in a small heap elsewhere; the rate falls to 0."""
    rng = generator(1)
    points = ms.Points(0.2 * torch.randn(n, 2, dtype=F64, generator=rng) - 1)
    optimizer = torch.optim.SGD(points.parameters(), lr=lr)
    for result in ms.distill(points, prior_on("VP", TARGET), method, optimizer, steps=steps, rng=rng):
        optimizer.param_groups[0]["lr"] = lr * (1 - result.index / steps)
    return moments(points.z.detach())


def test_a_population_spreads_as_the_prior_where_sds_collapses():
    mean, cov = population(exact(), 120, 1.2)
    assert (mean - TARGET.means[0]).norm() <= 0.05 * TARGET.means[0].norm()
    assert (cov - TARGET.covs[0]).norm() <= 0.05 * TARGET.covs[0].norm()
    mean, cov = population(ms.SDS(), 120, 1.2)
    assert (mean - TARGET.means[0]).norm() <= 0.05 * TARGET.means[0].norm()
    assert cov.trace() <= 0.05 * TARGET.covs[0].trace()


@pytest.mark.slow
def test_a_learned_phi_spreads_the_population_too():
    mean, cov = population(VSD(auxiliary=MLPAuxiliary(width=32)), 300, 0.5, 256)
    assert (mean - TARGET.means[0]).norm() <= 0.1
    assert (cov - TARGET.covs[0]).norm() <= 0.25 * TARGET.covs[0].norm()


@pytest.mark.parametrize("spread", [0.5, 2.0])
@pytest.mark.parametrize("schedule", ["VP", "Flow"])
def test_untrained_a_small_phi_is_the_score_of_a_gaussian(schedule, spread):
    alpha, sigma = levels(schedule)
    phi = MLPAuxiliary(spread=spread)
    inputs = AuxiliaryInput(FOUR, FOUR, alpha[:, 0], sigma[:, 0])
    p = phi.predict(phi.init(FOUR, prior_on(schedule, TARGET)), inputs)
    total = alpha**2 * spread**2 + sigma**2
    assert torch.allclose(p.eps, sigma * FOUR / total, rtol=1e-12, atol=0)
    assert torch.allclose(p.z, alpha * spread**2 * FOUR / total, rtol=1e-12, atol=0)


def test_trained_on_particles_at_rest_a_small_phi_learns_their_score():
    torch_rng, prior = torch.get_rng_state(), prior_on("VP", TARGET)
    particles_ = 0.5 * torch.randn(256, 2, dtype=F64, generator=generator(3)) + torch.tensor([1.0, 0.0], dtype=F64)
    method = VSD(auxiliary=MLPAuxiliary(lr=5e-3), updates=300)
    _, state = method.step(particles_, prior, method.init(particles_, prior), progress=0.0, rng=generator())
    mean, cov = moments(particles_)
    alpha, sigma = levels("VP", (0.3, 0.5, 0.7, 0.9))
    z_t = alpha * (mean + 0.5 * FOUR / 2) + sigma * 0.3
    inputs = AuxiliaryInput(FOUR, z_t, alpha[:, 0], sigma[:, 0])
    p = method.auxiliary.predict(state.phi, inputs)
    for i in range(4):
        total = alpha[i] ** 2 * cov + sigma[i] ** 2 * torch.eye(2, dtype=F64)
        want = sigma[i] * torch.linalg.inv(total) @ (z_t[i] - alpha[i] * mean)
        assert (p.eps[i] - want).norm() <= 0.15
    assert torch.allclose(alpha * p.z + sigma * p.eps, z_t, rtol=0, atol=1e-12)
    assert torch.equal(torch_rng, torch.get_rng_state())


def test_a_small_phi_answers_where_there_is_no_signal():
    phi = MLPAuxiliary()
    zero = torch.zeros(4, dtype=F64)
    p = phi.predict(phi.init(FOUR, prior_on("VP", TARGET)), AuxiliaryInput(FOUR, FOUR, zero, zero + 1))
    assert torch.equal(p.z, torch.zeros_like(FOUR)) and torch.equal(p.eps, FOUR)


def test_neither_update_reaches_the_other():
    prior = ms.Network.train(FOUR.float(), steps=2, batch=8, rng=generator())
    z = FOUR.float().requires_grad_()
    frozen, trainable = (VSD(auxiliary=MLPAuxiliary(width=8), updates=k) for k in (0, 1))
    before, after = (m.init(z.detach(), prior) for m in (frozen, trainable))
    weights = [p.clone() for p in before.phi.network.parameters()]
    plain, before = frozen.step(z, prior, before, progress=0.0, rng=generator())
    trained, after = trainable.step(z, prior, after, progress=0.0, rng=generator())
    # predicting a direction does not train phi, and training does not change the direction of its own step
    assert all(torch.equal(a, b) for a, b in zip(weights, before.phi.network.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(weights, after.phi.network.parameters(), strict=True))
    assert torch.equal(plain.grad, trained.grad)
    # no graph leads from phi's loss to the particles or to the prior
    assert z.grad is None and not trained.grad.requires_grad and not trained.logs["phi_loss"].requires_grad
    assert all(p.grad is None for p in prior.mlp.parameters())


@pytest.mark.parametrize("kind", ["generator", "streams"])
def test_however_much_phi_draws_the_directions_draw_the_same(kind):
    prior, drawn = prior_on("VP", TARGET), []
    for updates, warmup in ((0, 0), (1, 0), (3, 5)):
        method, rng = exact(updates=updates, warmup=warmup), generator()
        state = method.init(FOUR, prior)
        for index in range(3):
            source = rng if kind == "generator" else ms.Streams(5, index, (0, 1, 2, 3))
            direction, state = method.step(FOUR, prior, state, progress=0.0, rng=source)
            drawn.append((updates, direction.t, direction.eps, direction.grad))
    for _, *parts in drawn[3:]:
        assert any(all(map(torch.equal, parts, first[1:])) for first in drawn[:3])


def test_phi_learns_at_times_and_noise_of_its_own():
    recording = RecordingAuxiliary()
    method = VSD(auxiliary=recording, phi_times=ms.Uniform(0.2, 0.5), updates=2, warmup=3)
    prior, rng = prior_on("Flow", TARGET), ms.Streams(5, 0, (0, 1, 2, 3))
    direction, state = method.step(FOUR, prior, method.init(FOUR, prior), progress=0.0, rng=rng)
    assert len(recording.updates) == 5 and state.steps == 1
    noises = []
    for inputs, (target,) in recording.updates:
        assert ((inputs.sigma >= 0.2) & (inputs.sigma <= 0.5)).all()  # a flow's sigma is its time
        assert torch.equal(inputs.alpha, 1 - inputs.sigma) and len(inputs.sigma.unique()) == 4
        assert torch.equal(inputs.z_t, inputs.alpha[:, None] * FOUR + inputs.sigma[:, None] * target.eps)
        assert target.share == 1 and torch.equal(target.z, FOUR)
        noises.append(target.eps)
    assert all((a != b).all() for i, a in enumerate([*noises, direction.eps]) for b in noises[:i])
    method.step(FOUR, prior, state, progress=0.0, rng=rng.at(1))
    assert len(recording.updates) == 7  # the warm-up comes once


def test_a_share_of_conditions_and_of_cameras_is_hidden_from_phi_as_it_learns():
    n, recording = 4000, RecordingAuxiliary()
    z = torch.zeros(n, 2, dtype=F64)
    prior = prior_on("VP", three_gaussians(), [0, 0, 1])
    conditions = ms.Conditions(torch.ones(1, dtype=torch.long), null=torch.tensor([-1]))
    method = VSD(auxiliary=recording, drop=0.1, camera=lambda s: torch.ones(n, 3, dtype=F64))
    step(method, z, prior, generator(), conditions=conditions, context=context(z))
    ((inputs, _),) = recording.updates
    error = 4 * (0.1 * 0.9 / n) ** 0.5
    hidden, blind = inputs.cond == -1, ~inputs.camera_mask
    assert abs(hidden.double().mean() - 0.1) <= error and abs(blind.double().mean() - 0.1) <= error
    assert abs((hidden & blind).double().mean() - 0.01) <= 4 * (0.01 * 0.99 / n) ** 0.5
    assert (inputs.cond[~hidden] == 1).all()
    assert recording.predict_inputs[0].camera_mask is None and (recording.predict_inputs[0].cond == 1).all()
    for drop, name in ((0.0, None), (1.0, -1)):
        recording.updates.clear()
        step(VSD(auxiliary=recording, drop=drop), z, prior, generator(), conditions=conditions)
        assert (recording.updates[0][0].cond == (1 if name is None else name)).all()


def test_calls():
    prior = ms.Counting(prior_on("VP", three_gaussians(), [0, 0, 1]))
    for conditions, calls in ((None, 4), (CONDITIONS, 8)):
        prior.calls = 0
        step(VSD(updates=3, warmup=2), FOUR, prior, generator(), conditions=conditions)
        assert prior.calls == calls


@pytest.mark.parametrize("auxiliary", [ExactAuxiliary(delta), MLPAuxiliary(width=8)], ids=["exact", "learned"])
def test_a_batch_of_four_is_four_singles(auxiliary):
    prior = prior_on("VP", three_gaussians(), [0, 0, 1])
    together = step(VSD(auxiliary=auxiliary), FOUR, prior, ms.Streams(3, 1, (0, 1, 2, 3)), conditions=CONDITIONS)
    recordings = [RecordingAuxiliary() for _ in range(5)]
    step(VSD(auxiliary=recordings[4]), FOUR, prior, ms.Streams(3, 1, (0, 1, 2, 3)), conditions=CONDITIONS)
    for i in range(4):
        conditions = ms.Conditions(CONDITIONS.positive[[i]], null=CONDITIONS.null)
        alone = step(VSD(auxiliary=auxiliary), FOUR[[i]], prior, ms.Streams(3, 1, (i,)), conditions=conditions)
        assert torch.equal(alone.eps[0], together.eps[i]) and torch.equal(alone.t[0], together.t[i])
        assert torch.allclose(alone.grad[0], together.grad[i], rtol=0, atol=1e-12)
        step(VSD(auxiliary=recordings[i]), FOUR[[i]], prior, ms.Streams(3, 1, (i,)), conditions=conditions)
        (alone, _), (batched, _) = recordings[i].updates[0], recordings[4].updates[0]
        assert torch.equal(alone.z_t[0], batched.z_t[i]) and torch.equal(alone.cond[0], batched.cond[i])


def test_a_run_goes_on_from_a_checkpoint_bit_for_bit(tmp_path):
    prior, method = prior_on("VP", TARGET), VSD(auxiliary=MLPAuxiliary(width=8), warmup=2)

    def walk(z, state, first, last):
        for index in range(first, last):
            answer, state = method.step(z, prior, state, progress=0.0, rng=ms.Streams(1, index, (0,)))
            z = z - 0.3 * answer.grad
        return z, state

    whole, _ = walk(FOUR, method.init(FOUR, prior), 0, 6)
    half, state = walk(FOUR, method.init(FOUR, prior), 0, 3)
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, 3, {"method": state}))
    walk(half, state, 3, 6)  # the modules are trained in place, the checkpoint is not affected
    again = checkpoint.restore({"method": method.init(FOUR, prior)})["method"]
    assert again.steps == 3
    assert torch.equal(walk(half, again, 3, 6)[0], whole)
    assert not torch.equal(walk(half, method.init(FOUR, prior), 3, 6)[0], whole)


def test_a_guided_prior_and_bad_options_are_refused_in_one_line():
    bare = prior_on("VP", three_gaussians(), [0, 0, 1])
    for prior in (ms.Guided(bare), ms.Counting(ms.Guided(bare))):
        with pytest.raises(TypeError, match="VSD guides by itself"):
            VSD().init(FOUR, prior)
        with pytest.raises(TypeError, match="VSD guides by itself"):
            VSD().step(FOUR, prior, VSDState(None), progress=0.0, rng=generator(), conditions=CONDITIONS)
    for wrong in ({"updates": -1}, {"warmup": -1}, {"drop": 1.5}):
        with pytest.raises(ValueError, match=r"VSD .*got .*") as error:
            VSD(**wrong)
        assert "\n" not in str(error.value)
    for wrong in ({"spread": 0.0}, {"lr": -1.0}, {"width": 0}, {"classes": -1}, {"cameras": -1}):
        with pytest.raises(ValueError, match="MLPAuxiliary needs"):
            MLPAuxiliary(**wrong)


def test_a_camera_needs_a_context_and_the_right_shape():
    prior = prior_on("VP", TARGET)
    with pytest.raises(ValueError, match="needs a context, got none"):
        step(VSD(camera=lambda s: FOUR), FOUR, prior, generator())
    with pytest.raises(ValueError, match=r"camera must have shape \(4, k\), got \(3, 2\)"):
        step(VSD(camera=lambda s: FOUR[:3]), FOUR, prior, generator(), context=context(FOUR))
    with pytest.raises(ValueError, match="camera must have 0 numbers per row, .*, got 2; try cameras=2"):
        step(VSD(camera=lambda s: FOUR), FOUR, prior, generator(), context=context(FOUR))


def test_conditions_of_the_mlp_auxiliary():
    prior = ms.Counting(prior_on("VP", three_gaussians(), [0, 0, 1]))
    phi = MLPAuxiliary(cameras=2, width=8)
    state = phi.init(FOUR, prior)
    assert state.network.mlp.classes.num_embeddings == 3  # two labels, and none
    level, labels = torch.full((4,), 0.5, dtype=F64), torch.tensor([0, 1, 0, -1])
    camera = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.5]], dtype=F64)
    base = AuxiliaryInput(FOUR, FOUR, level, level, labels, camera)
    for _ in range(3):  # the first layer out is 0: only a trained phi depends on its inputs
        phi.update(state, base, (AuxiliaryTarget(1.0, FOUR, FOUR.flip(0)),))
    shown, hidden = torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)
    rows = torch.arange(4)
    open_, shut = (phi.predict(state, base.take(rows, mask)).eps for mask in (shown, hidden))
    assert torch.equal(phi.predict(state, base).eps, open_) and (open_ != shut).any(1).all()
    nowhere = AuxiliaryInput(FOUR, FOUR, level, level, labels, torch.zeros_like(camera))
    assert torch.equal(phi.predict(state, AuxiliaryInput(FOUR, FOUR, level, level, labels)).eps, shut)
    assert (phi.predict(state, nowhere).eps != shut).any()  # the camera at 0 is not no camera
    other = AuxiliaryInput(FOUR, FOUR, level, level, 1 - labels.clamp(min=0), camera)
    assert (phi.predict(state, other).eps != open_).any(1).all()
    for wrong, match in (
        (torch.tensor([0, 1, 2, 0]), r"label must be in \[-1, 2\), got 2"),
        (FOUR, "another condition"),
    ):
        with pytest.raises(ValueError, match=match):
            phi.predict(state, AuxiliaryInput(FOUR, FOUR, level, level, wrong, camera))
    assert isinstance(phi, Auxiliary)
