"""HiFA: latent and image terms, and decoder calls."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from cases_methods import (
    NAMES,
    POSITIVE,
    PerRow,
    Z,
    branch_sum,
    check_batch,
    check_linear,
    class_prior,
    count_calls,
    eps_of,
    label_conditions,
    levels,
    one_line,
    step,
)
from cases_shift import generator

import modeseek as ms
from modeseek.codec import Identity, RangeCodec
from modeseek.generators.base import Rendering, View
from modeseek.methods.base import RenderContext
from modeseek.methods.hifa import HiFA


@dataclass(frozen=True)
class RecordingCodec:
    """A codec that counts its decodings, image = 2 z + 1."""

    decoded: list = field(default_factory=list)

    def encode(self, image):
        return (image - 1) / 2

    def decode(self, z):
        self.decoded.append(torch.is_grad_enabled())
        return 2 * z + 1


def context(image: torch.Tensor, codec) -> RenderContext:
    """Render context as `distill` would pass it."""
    view = View(tuple(range(len(image))))
    return RenderContext(view, Rendering(view, image), image, codec, torch.arange(len(image)), torch.arange(len(image)))


LATENT = {"image_weight": 0.0}


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("weight", [ms.weights.unit_weight, ms.sigma_squared])
def test_the_latent_term_is_sds_with_weight_sigma_over_alpha(schedule, weight):
    alpha, sigma = levels(schedule)
    mean, factor = branch_sum({POSITIVE: 1.0}, -1.0, alpha, sigma)
    w = sigma / alpha * (sigma**2 if weight is ms.sigma_squared else 1.0)
    check_linear(
        HiFA(PerRow(), weight, **LATENT), class_prior(schedule), w * mean, w * factor, conditions=label_conditions()
    )


@pytest.mark.parametrize("schedule", NAMES)
def test_more_denoising_steps_are_ddim_steps_down_to_the_last_denoised_point(schedule):
    direction = step(HiFA(PerRow(), denoise_steps=3, **LATENT), class_prior(schedule), Z, conditions=label_conditions())
    alpha, sigma = levels(schedule)
    z_t = alpha * Z + sigma * direction.eps
    for k in range(3):
        alpha, sigma = levels(schedule, tuple(t * (1 - k / 3) for t in PerRow().t))
        if k:
            z_t = alpha * z_hat + sigma * eps  # noqa: F821 (set in the first pass)
        eps = eps_of(POSITIVE, z_t, alpha, sigma)
        z_hat = (z_t - sigma * eps) / alpha
    assert torch.allclose(direction.grad, Z - z_hat, rtol=1e-9, atol=1e-9)


def test_the_image_term_compares_images():
    """With the identity it is image_weight times the latent term; with another codec it is in image units."""
    conditions = label_conditions()
    for method in (HiFA(PerRow(), ms.sigma_squared, 0.3), HiFA(PerRow(), ms.weights.unit_weight, 2.0, denoise_steps=2)):
        same = step(method, class_prior(), Z, conditions=conditions, context=context(Z, Identity()))
        assert torch.allclose(same.grad_image, method.image_weight * same.grad, rtol=0, atol=1e-12)
        half = step(method, class_prior(), Z, conditions=conditions, context=context((Z + 1) / 2, RangeCodec()))
        assert torch.equal(half.grad, same.grad)
        assert torch.allclose(half.grad_image, method.image_weight * same.grad / 2, rtol=0, atol=1e-12)
    # the rendered image need not be the encoded one
    shown = step(method, class_prior(), Z, conditions=conditions, context=context(Z + 5.0, Identity()))
    assert torch.allclose(shown.grad_image - same.grad_image, torch.full_like(Z, 10.0), rtol=0, atol=1e-12)


def test_nothing_is_decoded_where_the_image_term_is_off_and_never_with_a_graph():
    codec = RecordingCodec()
    assert step(HiFA(**LATENT), class_prior(), Z, context=context(2 * Z + 1, codec)).grad_image is None
    assert codec.decoded == []
    image = (2 * Z + 1).requires_grad_()
    direction = step(HiFA(denoise_steps=4), class_prior(), Z, context=context(image, codec))
    assert codec.decoded == [False] and not direction.grad_image.requires_grad


def test_times_fall_with_the_square_root_of_progress():
    for progress in (0.0, 0.09, 0.64, 1.0):
        expected = 0.98 - 0.68 * progress**0.5
        t = step(HiFA(**LATENT), class_prior(), Z, progress=progress).t
        assert torch.allclose(t, torch.full_like(t, expected), rtol=0, atol=1e-6)


def test_the_loop_adds_both_terms():
    """Free points, no codec: the image is the point, and the step is 1 + image_weight times the latent one."""
    moved = []
    for weight in (0.0, 0.5):
        points = ms.Points(Z.clone())
        optimizer = torch.optim.SGD(points.parameters(), lr=1.0)
        (done,) = ms.distill(points, class_prior(), HiFA(image_weight=weight), optimizer, steps=1, rng=generator())
        after = next(iter(points.parameters())).detach().reshape(4, 2)
        moved.append(after - done.z)
    assert torch.allclose(moved[1], 1.5 * moved[0], rtol=1e-12, atol=1e-12) and (moved[0] != 0).all()


@pytest.mark.parametrize("method", [HiFA(ms.Uniform()), HiFA(ms.Uniform(), denoise_steps=3)])
def test_a_batch_goes_as_its_items_do(method):
    for prior in (class_prior(), ms.Guided(class_prior("Flow"), 4.0)):
        check_batch(method, prior, label_conditions(), context=lambda rows: context(Z[rows], Identity()))


def test_calls():
    assert count_calls(HiFA(**LATENT)) == 4 and count_calls(HiFA(denoise_steps=3, **LATENT)) == 12
    assert count_calls(HiFA(denoise_steps=3, **LATENT), guided=3.0, conditions=label_conditions()) == 24


def test_bad_use_is_one_clear_line():
    with pytest.raises(ValueError, match="HiFA's image term needs a context, got none") as error:
        step(HiFA(), class_prior(), Z)
    one_line(error.value)
    for options in ({"denoise_steps": 0}, {"image_weight": -1.0}, {"image_weight": float("nan")}):
        with pytest.raises(ValueError, match="HiFA needs denoise_steps >= 1.*got") as error:
            HiFA(**options)
        one_line(error.value)
