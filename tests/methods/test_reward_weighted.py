"""RewardSDS: weights of noises by reward, against order statistics of normal numbers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from cases_methods import (
    POSITIVE,
    PerRow,
    Z,
    branch_sum,
    check_batch,
    class_prior,
    count_calls,
    eps_of,
    label_conditions,
    levels,
    one_line,
    step,
)
from cases_shift import generator
from oracles_shift import F64
from torch import Tensor

import modeseek as ms
from modeseek.methods.csd import CSD
from modeseek.methods.reward_weighted import RewardWeighted
from modeseek.methods.rewards import Candidates, LikelihoodReward

CONDITIONS = label_conditions(negative=None)
UNIT = ms.SDS(PerRow(), ms.weights.unit_weight)


def first_axis(images: Tensor, candidates: Candidates) -> Tensor:
    """Rises along the first axis."""
    return images[:, 0]


def equal(images: Tensor, candidates: Candidates) -> Tensor:
    return torch.zeros(len(images), dtype=F64)


@dataclass(frozen=True)
class Noises:
    """The noises of a step, drawn as the method draws them, (4, n, 2)."""

    n: int

    def of(self, seed: int) -> Tensor:
        rng = generator(seed)
        return torch.randn(4 * self.n, 2, dtype=F64, generator=rng).reshape(4, self.n, 2)

    def grads(self, seed: int, schedule: str = "VP") -> tuple[Tensor, Tensor]:
        """SDS's direction with each of them, and z_hat's first axis up to a rising function."""
        eps, (alpha, sigma) = self.of(seed), levels(schedule)
        rows = [
            (eps_of(POSITIVE, alpha * Z + sigma * eps[:, k], alpha, sigma) - eps[:, k], eps[:, k, 0])
            for k in range(self.n)
        ]
        return torch.stack([r[0] for r in rows], 1), torch.stack([r[1] for r in rows], 1)


def test_with_equal_rewards_softmax_is_the_mean_over_the_noises() -> None:
    method = RewardWeighted(UNIT, equal, 5, "softmax", steps=1, denoise_scale=1.0)
    got = step(method, class_prior(), Z, generator(3), conditions=CONDITIONS).grad
    assert torch.allclose(got, Noises(5).grads(3)[0].mean(1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 6])
def test_each_strategy_picks_its_noises(steps: int) -> None:
    """z_hat rises with the noise along each axis, so the noise itself ranks the candidates."""
    grads, noise = Noises(6).grads(1)
    for strategy in ("best", "min-max", "softmax"):
        method = RewardWeighted(UNIT, first_axis, 6, strategy, steps, 1.0)
        got = step(method, class_prior(), Z, generator(1), conditions=CONDITIONS).grad
        for i in range(4):
            order = sorted(range(6), key=lambda k, i=i: -float(noise[i, k]))
            if strategy == "best":
                expected = grads[i, order[0]]
            elif strategy == "min-max":
                best, worst = (grads[i, pair].mean(0) for pair in (order[:2], order[-2:]))
                expected = 0.9 * best - 0.1 * worst
            else:
                continue
            assert torch.allclose(got[i], expected, rtol=0, atol=1e-12)


def test_softmax_weighs_by_the_exponential_of_the_reward_of_the_posterior_mean() -> None:
    alpha, sigma = levels("VP")
    eps = Noises(3).of(2)
    z_t = alpha[:, None] * Z[:, None] + sigma[:, None] * eps
    hats = torch.stack([(z_t[:, k] - sigma * eps_of(POSITIVE, z_t[:, k], alpha, sigma)) / alpha for k in range(3)], 1)
    shares = hats[..., 0].exp() / hats[..., 0].exp().sum(1, keepdim=True)
    expected = (shares[..., None] * Noises(3).grads(2)[0]).sum(1)
    method = RewardWeighted(UNIT, first_axis, 3, "softmax", 1, 1.0)
    d = step(method, class_prior(), Z, generator(2), conditions=CONDITIONS)
    assert torch.allclose(d.grad, expected, rtol=0, atol=1e-12)
    assert torch.allclose(d.logs["reward"], hats[..., 0].mean(1), rtol=0, atol=1e-12)
    assert torch.allclose(d.logs["best_reward"], hats[..., 0].amax(1), rtol=0, atol=1e-12)


# Mean and variance of the largest of 4 standard normal numbers, and mean of the second largest.
LARGEST, SPREAD, SECOND = 1.029375, 0.491715, 0.297011


def test_the_best_of_four_tilts_the_rewarded_axis_alone() -> None:
    n = 3000
    mean, factor = branch_sum({POSITIVE: 1.0}, -1.0, *levels("VP"))
    for strategy, moved, total in (("best", LARGEST, 1.0), ("min-max", 0.5 * (LARGEST + SECOND), 0.8)):
        method = RewardWeighted(UNIT, first_axis, 4, strategy, 1, 1.0)
        grads = step(method, class_prior(), Z.repeat(n, 1), conditions=CONDITIONS).grad.reshape(n, 4, 2)
        tilted = total * mean + torch.tensor([moved, 0.0], dtype=F64) * factor
        slack = 5 * factor.abs() / n**0.5
        assert ((grads.mean(0) - tilted).abs() <= slack).all()
        if strategy == "best":
            spread = factor**2 * torch.tensor([SPREAD, 1.0], dtype=F64)
            assert ((grads.var(0) - spread).abs() <= 6 * factor**2 * (2 / n) ** 0.5).all()


def test_by_likelihood_it_prefers_what_the_prior_holds_likely() -> None:
    """The bundled reward ranks a far candidate below a near one, and all candidates of a row share its noise."""
    prior, labels = class_prior(), torch.tensor([POSITIVE])
    near = torch.tensor([[-1.0, 0.5], [6.0, 6.0], [-1.0, 0.5], [-1.2, 0.6]], dtype=F64)
    rng = ms.Streams(0, items=(0, 1))
    candidates = Candidates(near, torch.tensor([0, 0, 1, 1]), 2, prior, ms.Conditions(labels), rng, None)
    first, second, third, fourth = LikelihoodReward(1.0)(near, candidates).tolist()
    assert first > second + 0.1 and abs(third - fourth) < 0.1
    twin = Candidates(near[[0, 0]], torch.tensor([0, 0]), 2, prior, None, ms.Streams(0), None)
    assert len(set(LikelihoodReward()(near[[0, 0]], twin).tolist())) == 1


def test_directions_keep_the_target_of_the_wrapped_method() -> None:
    method = RewardWeighted(UNIT, first_axis, 4, "min-max", 1, 1.0)
    d = step(method, class_prior(), Z, generator(1), conditions=CONDITIONS)
    alpha, sigma = levels("VP")
    assert ms.methods.base.has_target(method) and torch.allclose(d.weight[:, None], 0.8 * alpha / sigma)
    assert not ms.methods.base.has_target(RewardWeighted(CSD()))


def test_images_are_decoded_and_clamped(tmp_path) -> None:
    seen = []

    def record(images: Tensor, candidates: Candidates) -> Tensor:
        seen.append((images, candidates))
        return images.flatten(1).mean(1)

    z = torch.rand(2, 1, 3, 3, dtype=F64, generator=generator(1))
    prior = ms.Empirical(3 * torch.randn(20, 1, 3, 3, dtype=F64, generator=generator()), ms.VP())
    view = ms.generators.base.View((4, 7))
    context = ms.RenderContext(
        view, ms.Rendering(view, z), z, ms.codec.Identity(), torch.tensor([4, 7]), torch.tensor([4, 7])
    )
    step(RewardWeighted(reward=record, n=5, steps=2), prior, z, context=context)
    images, candidates = seen[0]
    assert images.shape == (10, 1, 3, 3) and images.min() >= 0 and images.max() <= 1
    assert candidates.row.tolist() == [0] * 5 + [1] * 5 and candidates.each == 5 and candidates.context is context


def test_a_batch_is_its_items_alone_and_calls() -> None:
    for method in (RewardWeighted(n=4, steps=2), RewardWeighted(CSD(), first_axis, 2, "softmax", 3)):
        check_batch(method, class_prior(), CONDITIONS)
    method = RewardWeighted(UNIT, first_axis, 5, "best", 3)
    assert count_calls(method) == 4 * 5 * (1 + 3)
    assert count_calls(method, conditions=CONDITIONS, guided=9.0) == 4 * 5 * (2 + 2 * 3)
    assert count_calls(RewardWeighted(UNIT, n=4, steps=3)) == 4 * 4 * (1 + 3 + 8)


def test_it_denoises_by_its_own_scale_whatever_guides_the_prior() -> None:
    def grad(prior: ms.Prior) -> Tensor:
        method = RewardWeighted(UNIT, first_axis, 4, "best", 2, 3.0)
        return step(method, prior, Z, generator(1), conditions=CONDITIONS).logs["reward"]

    bare = class_prior()
    assert torch.equal(grad(bare), grad(ms.Guided(bare, 50.0)))


def test_mistakes(unchecked: None) -> None:
    with pytest.raises(TypeError, match="RewardWeighted method must noise z once, got SDI") as error:
        RewardWeighted(ms.SDI())
    one_line(error.value)
    for options in ({"n": 3}, {"n": 0, "strategy": "best"}, {"steps": 0}):
        with pytest.raises(ValueError, match="RewardWeighted n must be >= .*, got") as error:
            RewardWeighted(**options)
        one_line(error.value)
    with pytest.raises(ValueError, match="strategy must be min-max, best or softmax") as error:
        RewardWeighted(strategy="mean")
    for reward, complaint in (
        (lambda images, candidates: images[:2, 0], "must be 16 finite numbers, one per image, got shape"),
        (lambda images, candidates: images[:, 0] / 0, "with NaN or infinity; correct the reward"),
    ):
        with pytest.raises(ValueError, match=complaint) as error:
            step(RewardWeighted(reward=reward, steps=1), class_prior(), Z)
        one_line(error.value)
    with pytest.raises(TypeError, match="CSD guides by itself"):
        step(RewardWeighted(CSD()), ms.Guided(class_prior()), Z, conditions=CONDITIONS)
    with pytest.raises(ValueError, match="sharpness must be positive"):
        LikelihoodReward(0.0)
