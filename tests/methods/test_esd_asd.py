"""ESD and ASD: their difference from VSD in closed form, and their VSD limits."""

from __future__ import annotations

import pytest
import torch
from cases_phi import FOUR, PerRow, RecordingAuxiliary, context, eps_of, levels, moments, prior_on, step
from cases_shift import gaussian, generator, three_gaussians
from oracles_shift import F64

import modeseek as ms
from modeseek.diffusion.prediction import Prediction
from modeseek.methods.asd import ASD
from modeseek.methods.auxiliary import AuxiliaryInput
from modeseek.methods.auxiliary_exact import ExactAuxiliary
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.esd import ESD
from modeseek.methods.vsd import VSD

CONDITIONS = ms.Conditions(torch.tensor([0, 1, 1, 0]), null=torch.tensor([-1]))
CAMERA = torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0], [0.0, -2.0]], dtype=F64)


def view(context: ms.RenderContext) -> torch.Tensor:
    """Camera of each of the four rows, equal to the mean of its view."""
    return CAMERA[context.item]


def views(inputs: AuxiliaryInput) -> Prediction:
    """The exact score of N(camera, 0.25 I), and of N(0, 2.25 I) where the camera is hidden."""
    shown = torch.ones(len(inputs.z), dtype=torch.bool) if inputs.camera_mask is None else inputs.camera_mask
    mean = torch.where(shown[:, None], inputs.camera, 0.0)
    var = torch.where(shown, 0.25, 2.25).to(F64)[:, None]
    a, s = inputs.alpha[:, None], inputs.sigma[:, None]
    eps = s * (inputs.z_t - a * mean) / (a**2 * var + s**2)
    return Prediction.from_eps(inputs.z_t, inputs.alpha, inputs.sigma, eps)


def run(method: ms.Method, prior: ms.Prior, steps: int = 4) -> list[torch.Tensor]:
    """The directions of a short run, cameras and all."""
    state, z, grads = method.init(FOUR, prior), FOUR, []
    for index in range(steps):
        rng = ms.Streams(2, index, (0, 1, 2, 3))
        answer, state = method.step(z, prior, state, conditions=CONDITIONS, progress=0.0, rng=rng, context=context(z))
        grads.append(answer.grad)
        z = z - 0.5 * answer.grad
    return grads


@pytest.mark.parametrize("schedule", ["VP", "Flow", "VE"])
@pytest.mark.parametrize("entropy", [0.0, 0.3, 1.0])
def test_esd_subtracts_the_blend_of_two_scores(schedule, entropy):
    mixture = gaussian([0.5, -0.5], [[1.0, 0.2], [0.2, 0.5]])
    method = ESD(PerRow(), weight=ms.weights.unit_weight, auxiliary=ExactAuxiliary(views), camera=view, entropy=entropy)
    answer = step(method, FOUR, prior_on(schedule, mixture), generator(), context=context(FOUR))
    alpha, sigma = levels(schedule)
    z_t = alpha * FOUR + sigma * answer.eps
    with_camera = sigma * (z_t - alpha * CAMERA) / (alpha**2 * 0.25 + sigma**2)
    without = sigma * z_t / (alpha**2 * 2.25 + sigma**2)
    want = eps_of(mixture, z_t, alpha, sigma) - entropy * without - (1 - entropy) * with_camera
    assert torch.allclose(answer.grad, want, rtol=1e-9, atol=1e-10)


def test_esd_without_entropy_is_vsd_and_with_nothing_else_a_phi_without_cameras():
    prior, phi = prior_on("VP", three_gaussians(), [0, 0, 1]), MLPAuxiliary(width=8, cameras=2)
    of_vsd = run(VSD(auxiliary=phi, camera=view), prior)
    assert all(map(torch.equal, run(ESD(auxiliary=phi, camera=view, entropy=0.0), prior), of_vsd))
    blind = run(ESD(auxiliary=phi, camera=view, entropy=1.0, drop=1.0), prior)
    cameraless = run(VSD(auxiliary=phi, drop=1.0), prior)
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(blind, cameraless, strict=True))
    assert not torch.equal(of_vsd[-1], run(ESD(auxiliary=phi, camera=view, entropy=0.5), prior)[-1])


def test_esd_asks_its_two_halves_at_once():
    recording, prior = RecordingAuxiliary(), ms.Counting(prior_on("VP", three_gaussians(), [0, 0, 1]))
    step(ESD(auxiliary=recording, camera=view), FOUR, prior, generator(), conditions=CONDITIONS, context=context(FOUR))
    (inputs,) = recording.predict_inputs
    assert inputs.camera_mask.tolist() == [True] * 4 + [False] * 4
    assert torch.equal(inputs.cond, CONDITIONS.positive.repeat(2)) and torch.equal(inputs.z_t[:4], inputs.z_t[4:])
    assert prior.calls == 8


def population(entropy: float) -> tuple[float, float]:
    """Mean of one of two views at convergence, and the variance of both; exact auxiliaries per view and overall."""
    rng = generator(2)
    side = torch.tensor([[1.0], [-1.0]], dtype=F64).repeat(128, 1)

    def law(inputs: AuxiliaryInput) -> Prediction:
        a, s = inputs.alpha[:, None], inputs.sigma[:, None]
        shown = (
            torch.ones(len(inputs.z), 1, dtype=F64)
            if inputs.camera_mask is None
            else inputs.camera_mask[:, None].to(F64)
        )
        per_view = [moments(inputs.z[inputs.camera[:, 0] == c]) for c in (1.0, -1.0)]
        every = moments(inputs.z)
        mean = torch.where(inputs.camera == 1, per_view[0][0], per_view[1][0]) * shown + every[0] * (1 - shown)
        var = torch.where(inputs.camera == 1, per_view[0][1], per_view[1][1]) * shown + every[1] * (1 - shown)
        return Prediction.from_eps(
            inputs.z_t, inputs.alpha, inputs.sigma, s * (inputs.z_t - a * mean) / (a**2 * var + s**2)
        )

    prior = prior_on("VP", gaussian([0.0], [[1.0]]))
    method = ESD(auxiliary=ExactAuxiliary(law), camera=lambda _: side, entropy=entropy, weight=ms.weights.unit_weight)
    z = 0.3 * torch.randn(256, 1, dtype=F64, generator=rng) + 0.2 * side
    state = method.init(z, prior)
    for index in range(80):
        answer, state = method.step(z, prior, state, progress=0.0, rng=rng, context=context(z))
        z = z - 0.5 * (1 - index / 80) * answer.grad
    return float(moments(z[side[:, 0] > 0])[0]), float(z.var())


def test_entropy_lets_views_differ():
    # without it every view goes to N(0, 1) by itself; with nothing else, only their mixture does: one affine map of all
    # particles, so views that began at +-0.2 with deviation 0.3 end at +-0.2 / sqrt(0.3^2 + 0.2^2)
    (apart, variance), (together, alone) = population(1.0), population(0.0)
    assert variance == pytest.approx(1.0, abs=0.1) and alone == pytest.approx(1.0, abs=0.1)
    assert together == pytest.approx(0.0, abs=0.1) and apart == pytest.approx(0.2 / 0.13**0.5, abs=0.1)
    assert abs(population(0.5)[0]) <= 0.1  # any share of the views' own scores brings them together in the end


def test_esd_needs_a_camera_and_a_share():
    prior = prior_on("VP", three_gaussians())
    with pytest.raises(
        ValueError, match="ESD with entropy > 0 needs a camera, got entropy=0.5 and camera=None; try camera="
    ):
        ESD().init(FOUR, prior)
    assert ESD(entropy=0.0).init(FOUR, prior).steps == 0
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"ESD entropy must be in .*got {wrong}"):
            ESD(entropy=wrong)
    with pytest.raises(TypeError, match="ESD guides by itself"):
        ESD(camera=view).init(FOUR, ms.Guided(prior))


def test_asd_without_gamma_is_vsd():
    prior, phi = prior_on("VP", three_gaussians(), [0, 0, 1]), MLPAuxiliary(width=8)
    assert all(map(torch.equal, run(ASD(auxiliary=phi, gamma=0.0), prior), run(VSD(auxiliary=phi), prior)))
    assert not torch.equal(run(ASD(auxiliary=phi), prior)[-1], run(VSD(auxiliary=phi), prior)[-1])


@pytest.mark.parametrize("schedule", ["VP", "Flow"])
def test_asd_draws_phi_to_the_priors_own_prediction_of_what_it_sees(schedule):
    recording, prior = RecordingAuxiliary(), ms.Counting(prior_on(schedule, three_gaussians(), [0, 0, 1]))
    step(ASD(auxiliary=recording, gamma=-0.4, drop=0.0), FOUR, prior, generator(), conditions=CONDITIONS)
    assert prior.calls == 4 * 3
    ((inputs, (first, second)),) = recording.updates
    assert (first.share, second.share) == (1.0, -0.4)
    alpha, sigma = inputs.alpha[:, None], inputs.sigma[:, None]
    for rows, parts in (([0, 3], [0, 1]), ([1, 2], [2])):
        mixture = type(three_gaussians())(
            three_gaussians().weights[parts] / three_gaussians().weights[parts].sum(),
            *(x[parts] for x in three_gaussians()[1:]),
        )
        want = eps_of(mixture, inputs.z_t[rows], alpha[rows], sigma[rows])
        assert torch.allclose(second.eps[rows], want, rtol=0, atol=1e-9)
        z = (inputs.z_t[rows] - sigma[rows] * want) / alpha[rows]
        assert torch.allclose(second.z[rows], z, rtol=1e-6, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [-0.5, 1.0])
def test_asds_phi_settles_between_the_particles_and_the_prior(gamma):
    prior = prior_on("VP", gaussian([0.5, 0.0], [[0.6, 0.0], [0.0, 0.6]]))
    z = 0.5 * torch.randn(256, 2, dtype=F64, generator=generator(3)) - torch.tensor([0.5, 0.0], dtype=F64)
    method = ASD(auxiliary=MLPAuxiliary(lr=5e-3), gamma=gamma, updates=300, phi_times=ms.Uniform(0.3, 0.95))
    _, state = method.step(z, prior, method.init(z, prior), progress=0.0, rng=generator())
    mean, cov = moments(z)
    alpha, sigma = levels("VP", (0.5, 0.6, 0.75, 0.9))
    z_t = 0.6 * alpha * FOUR + 0.3 * sigma
    phi = method.auxiliary.predict(state.phi, AuxiliaryInput(FOUR, z_t, alpha[:, 0], sigma[:, 0])).eps
    worst, apart = 0.0, 0.0
    for i in range(4):
        a, s, eye = alpha[i], sigma[i], torch.eye(2, dtype=F64)
        of_particles = s * torch.linalg.inv(a**2 * cov + s**2 * eye) @ (z_t[i] - a * mean)
        of_prior = s * (z_t[i] - a * torch.tensor([0.5, 0.0], dtype=F64)) / (a**2 * 0.6 + s**2)
        worst = max(worst, float((phi[i] - (of_particles + gamma * of_prior) / (1 + gamma)).norm()))
        apart = max(apart, float((of_particles - of_prior).norm()))
    assert worst <= 0.25 and apart >= 0.4


def test_asd_refuses_a_loss_without_a_minimum_unless_unbounded():
    for gamma in (-1.0, -2.0, float("-inf"), float("nan"), float("inf")):
        with pytest.raises(ValueError, match="ASD gamma must be > -1 .*, got") as error:
            ASD(gamma=gamma)
        assert "\n" not in str(error.value)
    assert ASD(gamma=-1.0, unbounded=True).gamma == -1
    with pytest.raises(TypeError, match="ASD guides by itself"):
        ASD().init(FOUR, ms.Guided(prior_on("VP", three_gaussians(), [0, 0, 1])))
