"""Gradient accumulation: k batches of n items make the update of one batch of k n items."""

from __future__ import annotations

import pytest
import torch
from cases_phi import FOUR, prior_on
from cases_shift import generator, three_gaussians
from torch import Tensor

import modeseek as ms
from modeseek.config.config import read_config
from modeseek.config.defaults import configure

F64 = torch.float64


def images(size: int = 8) -> ms.Empirical:
    return ms.Empirical(torch.rand(5, 3, size, size, generator=generator(5), dtype=F64), ms.VP())


def nerf(background: str = "random") -> ms.NeRF:
    back = ms.generators.Background(background)  # pyright: ignore[reportArgumentType]
    return ms.NeRF(ms.generators.Dense((6,)), size=8, samples=8, background=back).to(F64)


def brightness(rendering: ms.Rendering, progress: float) -> Tensor:
    return 3 * rendering.image.square().mean()


def optimise(
    module: torch.nn.Module, prior: ms.Prior, method: ms.Method, steps: int = 4, **options: object
) -> tuple[Tensor, list[ms.Step]]:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
    taken = list(ms.distill(module, prior, method, optimizer, steps=steps, rng=7, **options))
    return torch.cat([p.detach().flatten() for p in module.parameters()]), taken


@pytest.mark.parametrize("inner_steps", [1, 2])
@pytest.mark.parametrize("k", [2, 3])
def test_batches_make_the_update_of_one_large_batch(k, inner_steps):
    options = {"regularizers": (brightness,), "inner_steps": inner_steps}
    parts, taken = optimise(nerf(), images(), ms.SDS(), batch=2, accumulate=k, **options)
    whole, large = optimise(nerf(), images(), ms.SDS(), batch=2 * k, **options)
    assert torch.allclose(parts, whole, rtol=1e-11, atol=1e-13) and parts.abs().max() > 0
    for one, other in zip(taken, large, strict=True):
        assert torch.allclose(one.z, other.z, rtol=0, atol=1e-11) and one.losses.keys() == other.losses.keys()
        assert torch.allclose(one.direction.grad, other.direction.grad, rtol=0, atol=1e-9)
        assert one.direction.t is not None and torch.equal(one.direction.t, other.direction.t)
        assert one.losses["brightness"] == pytest.approx(other.losses["brightness"], rel=1e-10)
        assert one.direction.prediction is None and one.direction.eps is not None
    once, _ = optimise(nerf(), images(), ms.SDS(), batch=2)
    assert not torch.allclose(parts, once, rtol=1e-3, atol=1e-3)


def test_images_are_noised_anew_for_each_batch_and_keep_their_own_noise():
    prior = prior_on("VP", three_gaussians())
    _, (first, *_) = optimise(ms.Latent(FOUR), prior, ms.SDS(), batch=4, accumulate=3)
    assert first.z.shape == (12, 2) and torch.equal(first.z[:4], first.z[8:])
    assert first.direction.eps is not None and len(first.direction.eps.unique()) == 24
    _, (alone, *_) = optimise(ms.Latent(FOUR), prior, ms.SDS(), batch=4)
    assert alone.direction.eps is not None and torch.equal(first.direction.eps[:4], alone.direction.eps)
    _, (kept, *_) = optimise(ms.Latent(FOUR), prior, ms.methods.FSD(), batch=4, accumulate=2)
    assert kept.direction.eps is not None and torch.equal(kept.direction.eps[:4], kept.direction.eps[4:])
    cloud, _ = optimise(ms.Points(FOUR), prior, ms.SDS(), batch=1, accumulate=2)
    assert cloud.isfinite().all()


def test_the_gradient_is_the_mean_over_the_batches():
    prior = prior_on("VP", three_gaussians())
    module = ms.Latent(FOUR)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    step = next(iter(ms.distill(module, prior, ms.SDS(), optimizer, steps=1, batch=4, accumulate=5, rng=2)))
    want = step.direction.grad.view(5, 4, 2).mean(0) / 4
    assert torch.allclose(FOUR - module.z.detach(), want, rtol=1e-12, atol=1e-14)


def test_a_resumed_run_is_the_uninterrupted_one():
    def run(stops: tuple[int, ...]) -> Tensor:
        module, state, start = nerf(), None, 0
        optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
        for stop in stops:
            steps = ms.distill(
                module, images(), ms.methods.CFD(), optimizer, steps=5, start=start, batch=2, accumulate=2,
                rng=ms.Streams(3), state=state,
            )  # fmt: skip
            for step in steps:
                state = step.state
                if step.index + 1 == stop:
                    break
            start = stop
        return torch.cat([p.detach().flatten() for p in module.parameters()])

    assert torch.equal(run((5,)), run((2, 5)))


def test_prior_calls_and_noise_that_drifts_once_a_step():
    counting = ms.Counting(images())
    method = ms.methods.CFD(refresh=0.5)
    _, taken = optimise(nerf(), counting, method, steps=2, batch=2, accumulate=3)
    assert counting.calls == 2 * 2 * 3
    variance = torch.stack([step.state.noise[0] for step in taken]).var()
    assert 0.7 < float(variance) < 1.3


def test_bad_numbers_are_one_line():
    for wrong in (0, -1, 10_001):
        with pytest.raises(ValueError, match=f"accumulate must be 1 to 10000, got {wrong}; try 1") as error:
            optimise(nerf(), images(), ms.SDS(), batch=1, accumulate=wrong)
        assert "\n" not in str(error.value)


def test_by_name():
    config = configure({"prior": "ring", "method": "sds"}, ["accumulate=4"])
    assert config.accumulate == 4 and read_config(config.to_dict()) == config
    earlier = {key: value for key, value in config.to_dict().items() if key != "accumulate"}
    assert read_config(earlier).accumulate == 1
    with pytest.raises(ValueError, match="accumulate must be 1 to 10000, got 0"):
        configure({"prior": "ring", "method": "sds"}, ["accumulate=0"])
