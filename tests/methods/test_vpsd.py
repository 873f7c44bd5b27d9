"""VPSD: VSD's settings, and the weighted regression of phi on its own rewarded samples."""

from __future__ import annotations

import pytest
import torch
from cases_methods import one_line
from cases_phi import FOUR, PerRow, RecordingAuxiliary, prior_on, step
from cases_shift import generator, three_gaussians
from oracles_shift import F64, level
from torch import Tensor

import modeseek as ms
from modeseek.methods.auxiliary_mlp import MLPAuxiliary
from modeseek.methods.rewards import Candidates
from modeseek.methods.vpsd import VPSD
from modeseek.methods.vsd import VSD


def run(method: VSD, steps: int = 3) -> list[Tensor]:
    prior = prior_on("VP", three_gaussians(), [0, 0, 1])
    conditions = ms.Conditions(torch.tensor([1]), null=torch.tensor([-1]))
    state, grads = method.init(FOUR, prior), []
    for k in range(steps):
        d, state = method.step(
            FOUR + 0.1 * k, prior, state, conditions=conditions, progress=k / 4, rng=ms.Streams(1, k, (0, 1, 2, 3))
        )
        grads.append(d.grad)
    return grads


def test_without_a_reward_it_is_vsd_bit_for_bit() -> None:
    phi = MLPAuxiliary(width=8)
    times = ms.noise_levels.Switch(0.02, 0.98, 0.5)
    ours, vsd = run(VPSD(auxiliary=phi, share=False, warmup=2)), run(VSD(times, auxiliary=phi, warmup=2))
    assert all(torch.equal(a, b) for a, b in zip(ours, vsd, strict=True))
    shared, same = run(VPSD(PerRow(), auxiliary=phi)), run(VSD(PerRow(), auxiliary=phi, phi_times=PerRow()))
    assert all(torch.equal(a, b) for a, b in zip(shared, same, strict=True))
    assert not torch.equal(ours[1], shared[1])


def test_phi_is_trained_at_the_levels_of_the_direction() -> None:
    for share in (True, False):
        phi = RecordingAuxiliary()
        d = step(VPSD(auxiliary=phi, share=share), FOUR, prior_on("VP", three_gaussians()), generator(3))
        inputs, (target,) = phi.updates[0]
        alpha, sigma = (torch.tensor(x, dtype=F64) for x in zip(*(level("VP", float(t)) for t in d.t), strict=True))
        assert torch.allclose(inputs.alpha, alpha, rtol=0, atol=1e-9) is share
        assert torch.equal(target.z, FOUR) and target.share == 1.0
        assert not torch.equal(target.eps, d.eps)


def test_rewarded_samples_of_phi_are_trained_on_with_their_reward() -> None:
    """The recording phi knows a standard normal distribution: its samples by DDIM are `c n`, c from the recursion."""
    seen: list[tuple[Tensor, Candidates]] = []

    def reward(images: Tensor, candidates: Candidates) -> Tensor:
        seen.append((images, candidates))
        return torch.tensor([0.5, 2.0, 0.0, 1.0], dtype=F64)

    phi, steps = RecordingAuxiliary(), 5
    method = VPSD(PerRow(), auxiliary=phi, reward=reward, strength=3.0, sample_steps=steps)
    d = step(method, FOUR, prior_on("Flow", three_gaussians()), ms.Streams(4, items=(0, 1, 2, 3)))
    inputs, (target,) = phi.updates[0]
    samples, candidates = seen[0]
    assert candidates.row.tolist() == [0, 1, 2, 3] and candidates.each == 1
    assert torch.equal(target.share, torch.tensor([1.0, 1, 1, 1, 1.5, 6, 0, 3], dtype=F64))
    assert torch.equal(target.z, torch.cat([FOUR, samples])) and torch.equal(inputs.z[4:], samples)
    a, s = inputs.alpha[:, None], inputs.sigma[:, None]
    assert torch.allclose(inputs.z_t, a * target.z + s * target.eps, rtol=0, atol=1e-12)
    assert torch.equal(inputs.alpha[4:], inputs.alpha[:4]) and not torch.equal(target.eps[4:], target.eps[:4])
    assert d.logs["phi_loss"].shape == (4,)
    # one call for the direction, then the walk from pure noise
    walk = phi.predict_inputs[1:]
    levels = [level("Flow", 1 - k / steps) for k in range(steps)]
    assert len(walk) == steps and [float(x.sigma[0]) for x in walk] == pytest.approx([v[1] for v in levels])
    y = walk[0].z_t
    for (a, s), following in zip(levels, [*levels[1:], (1.0, 0.0)], strict=True):
        total = a * a + s * s
        y = (following[0] * a + following[1] * s) / total * y
    assert torch.allclose(samples, y, rtol=0, atol=1e-12) and float(walk[0].z_t.abs().max()) > 0.5


def test_a_batch_is_its_items_alone() -> None:
    prior = prior_on("VP", three_gaussians())

    def trained(rows: list[int]) -> tuple[Tensor, Tensor]:
        phi = RecordingAuxiliary()
        method = VPSD(auxiliary=phi, reward=lambda images, candidates: images[:, 0], sample_steps=3)
        step(method, FOUR[rows], prior, ms.Streams(4, items=tuple(rows)))
        _, (target,) = phi.updates[0]
        return target.z.unflatten(0, (2, -1)), target.share.unflatten(0, (2, -1))

    z, share = trained([0, 1, 2, 3])
    for i in range(4):
        alone, own = trained([i])
        assert torch.allclose(alone[:, 0], z[:, i], rtol=0, atol=1e-12)
        assert torch.allclose(own[:, 0], share[:, i], rtol=0, atol=1e-12)


def test_a_reward_trains_the_network_of_phi() -> None:
    phi = MLPAuxiliary(width=8)
    plain, rewarded = (
        run(VPSD(auxiliary=phi, reward=reward, sample_steps=2))
        for reward in (None, lambda images, candidates: images.square().sum(1))
    )
    assert torch.equal(plain[0], rewarded[0]) and not torch.equal(plain[1], rewarded[1])


def test_mistakes(unchecked: None) -> None:
    for options in ({"strength": -1.0}, {"sample_steps": 0}):
        with pytest.raises(ValueError, match="VPSD needs strength >= 0 and sample_steps >= 1, got") as error:
            VPSD(**options)
        one_line(error.value)
    with pytest.raises(ValueError, match="reward must be 4 finite numbers, one per image, got shape") as error:
        step(
            VPSD(auxiliary=RecordingAuxiliary(), reward=lambda images, candidates: images),
            FOUR,
            prior_on("VP", three_gaussians()),
            generator(),
        )
    one_line(error.value)
    with pytest.raises(TypeError, match="VPSD guides by itself"):
        VPSD(auxiliary=RecordingAuxiliary()).init(FOUR, ms.Guided(prior_on("VP", three_gaussians())))
