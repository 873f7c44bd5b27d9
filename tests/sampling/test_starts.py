"""Samples with candidates, their ranking in closed form, and circles at the salient places of a painted prior."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from cases import one_line
from torch import Tensor

import modeseek as ms
from modeseek.codec import Identity
from modeseek.diffusion.prediction import Prediction
from modeseek.io.progress import Progress
from modeseek.priors.base import BasePrior
from modeseek.pytree import Cond
from modeseek.rng import randn
from modeseek.sampling.likeliest import denoising_loss, sample_images
from modeseek.sampling.saliency import saliency_start

F64 = torch.float64
GAUSSIAN = ms.GaussianMixture(torch.ones(1, dtype=F64), torch.zeros(1, 12, dtype=F64), torch.eye(12, dtype=F64)[None])
COLORS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.0]], dtype=F64)


@dataclass(frozen=True)
class PaintedPrior(BasePrior):
    """White images; under label k one quadrant has colour k. Every prediction is the image itself."""

    schedule: ms.schedules.Schedule = field(default_factory=ms.VP)
    shape: tuple[int, ...] = (3, 8, 8)
    dtype: torch.dtype = F64
    device: torch.device = torch.device("cpu")

    def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: Cond = None) -> Prediction:
        z = torch.ones_like(z_t)
        for row, label in enumerate(cond.expand(len(z)).tolist()):
            if label == 0:
                z[row, :, :4, :4] = COLORS[0, :, None, None]
            if label == 1:
                z[row, :, 4:, 4:] = COLORS[1, :, None, None]
        return Prediction.from_z(z_t, alpha, sigma, z)


PAINTED = PaintedPrior()
LABELS = ms.Conditions(positive=torch.tensor([0, 1]), null=torch.tensor([-1]))


def result(steps: Generator[Progress, None, Tensor]) -> tuple[list[Progress], Tensor]:
    shown = []
    while True:
        try:
            shown.append(next(steps))
        except StopIteration as end:
            return shown, end.value


def test_losses_of_a_gaussian_are_in_closed_form() -> None:
    """eps_hat - eps = sigma (alpha z + sigma eps) - eps for N(0, I), where alpha^2 + sigma^2 = 1."""
    samples = 2 * torch.randn(3, 2, 12, generator=torch.Generator().manual_seed(0), dtype=F64)
    found = denoising_loss(GAUSSIAN, samples, None, ms.Streams(4, items=(0, 1)))
    rng, want = ms.Streams(4, items=(0, 1)), torch.zeros(3, 2, dtype=F64)
    for t in (0.2, 0.4, 0.6, 0.8):
        alpha, sigma = (float(x) for x in ms.VP()(torch.tensor(t, dtype=F64)))
        assert alpha**2 + sigma**2 == pytest.approx(1)
        for _ in range(2):
            noise = randn((2, 12), rng, samples)
            want += (alpha * (sigma * samples - alpha * noise)).square().mean(2) / 8
    assert torch.allclose(found, want, rtol=1e-9)


def test_the_likeliest_candidate_of_each_image_is_kept() -> None:
    prior = ms.Counting(PAINTED)
    shown, images = result(sample_images(prior, Identity(), LABELS, 2, ms.Streams(1), steps=3, scale=2.0, candidates=4))
    assert prior.calls == 2 * 4 * (3 * 2 + 8) and [p.done for p in shown] == list(range(1, 13))
    assert images.min() >= 0 and images.max() <= 1 and images.dtype == torch.float32

    class Shy(PaintedPrior):
        """Prior that predicts no noise: the sample with the least noise in it is the likeliest."""

        def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: Cond = None) -> Prediction:
            return Prediction.from_z(z_t, alpha, sigma, 0.25 * (z_t / alpha[:, None, None, None]).clamp(-3, 3))

    shy, rng = Shy(), ms.Streams(5)
    singles = [ms.ddim(shy, shy.start(2, rng.at(k, (0, 1), "sample")), shy.grid(4), LABELS.positive) for k in range(3)]
    losses = denoising_loss(shy, torch.stack(singles), LABELS.positive, rng.at(0, (0, 1), "compare"))
    assert len(set(losses.argmin(0).tolist()) | {0}) > 1, "not always the first"
    _, kept = result(sample_images(shy, Identity(), LABELS, 2, rng, steps=4, candidates=3))
    for item, best in enumerate(losses.argmin(0).tolist()):
        assert torch.allclose(kept[item], singles[best][item].float().clamp(0, 1), atol=1e-6)
    _, first = result(sample_images(shy, Identity(), LABELS, 2, rng, steps=4))
    assert torch.allclose(first, singles[0].float().clamp(0, 1), atol=1e-6)


def test_saliency_is_averaged_over_standard_normal_noise_of_the_prediction() -> None:
    calls: list[tuple[Tensor, ...]] = []

    class Recording(PaintedPrior):
        def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: Cond = None) -> Prediction:
            calls.append((z_t, alpha, sigma))
            return super().at(z_t, alpha, sigma, cond)

    saliency_start(
        Recording(), Identity(), LABELS, 2, ms.Streams(0), size=(8, 8), paths=2, cubics=4, steps=2, draws=3, scale=1.0
    )
    image = PAINTED.at(torch.zeros(2, 3, 8, 8, dtype=F64), *torch.ones(2, 2, dtype=F64), LABELS.positive).z
    for z_t, alpha, sigma in calls[-2:]:
        own, a, s = z_t[:2], alpha[:2, None, None, None], sigma[:2, None, None, None]  # the conditional rows
        noise = (own - a * image) / s
        assert abs(noise.mean()) < 0.15 and noise.std().item() == pytest.approx(1, abs=0.12)
    assert not torch.equal(calls[-1][0], calls[-2][0])


def test_circles_lie_where_the_prompt_changes_the_prediction() -> None:
    prior = ms.Counting(PAINTED)
    settings: dict[str, Any] = {"size": (24, 24), "paths": 12, "cubics": 4, "steps": 3, "draws": 2, "scale": 1.5}
    paths = saliency_start(prior, Identity(), LABELS, 2, ms.Streams(0), **settings, background=(0.0, 0.0, 1.0))
    assert prior.calls == 2 * (2 * 3 + 2 * 2)
    assert (paths.n, paths.n_fills, paths.n_strokes, paths.cubics) == (2, 12, 0, 4)
    centers = paths.fills[:, :, ::3].mean(2)
    radii = (paths.fills[:, :, 0] - centers).norm(dim=-1)
    assert torch.allclose(radii[:, [0, -1]], torch.tensor([0.5, 0.08]), atol=1e-5)
    assert (radii.diff(dim=1) < 0).all()
    margin = 2 / 16  # half a cell of the prior, by which the interpolated map is wider
    assert (centers[0] < margin).all() and (centers[1] > -margin).all()
    assert (centers.std(1) > 0.15).all(), "spread over the quadrant"
    wanted = (1.5 * COLORS - 0.5).clamp(0, 1).float()  # guidance is against white
    own = paths.colors[..., :3] - wanted[:, None]
    assert (own.abs().amax(-1) < 1e-5).float().mean() > 0.5, "colours of the guided prediction, mixed at its edges"
    assert torch.allclose(paths.colors[..., 3], torch.tensor(0.7))
    assert paths.background.tolist() == [[0, 0, 1]] * 2
    again = saliency_start(PAINTED, Identity(), LABELS, 2, ms.Streams(0), **settings)
    assert torch.equal(again.fills, paths.fills)
    assert not torch.equal(saliency_start(PAINTED, Identity(), LABELS, 2, ms.Streams(1), **settings).fills, paths.fills)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: next(sample_images(PAINTED, Identity(), LABELS, 2, ms.Streams(0), candidates=0)), "got 2, 25 and 0"),
        (lambda: next(sample_images(PAINTED, Identity(), LABELS, 0, ms.Streams(0))), "got 0, 25 and 1"),
        (lambda: next(sample_images(PAINTED, Identity(), LABELS, 2, ms.Streams(0), scale=math.nan)), "scale"),
        (lambda: saliency_start(PAINTED, Identity(), LABELS, 2, ms.Streams(0), size=(8, 8), paths=0), "got 2, 0, 8, 4"),
        (
            lambda: saliency_start(
                PAINTED, Identity(), ms.Conditions(LABELS.positive), 2, ms.Streams(0), size=(8, 8), paths=3
            ),
            "baseline",
        ),
    ],
)
def test_settings_are_checked(call: Callable[[], object], match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        call()
    one_line(caught.value)
