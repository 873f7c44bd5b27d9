"""Arguments that people try: prompts, seeds and numbers are taken as meant, and every mistake is one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import one_line

import modeseek as ms
from modeseek.generators.base import renders_images
from modeseek.priors.prompts import codec_of, encode_prompts

MIXTURE = ms.GaussianMixture(torch.ones(1), torch.zeros(1, 2), torch.eye(2)[None])
GREY = torch.full((1, 3, 4, 4), 0.5)


class TextPrior(ms.Empirical):
    """Exact prior of one grey image, which records the texts that it encodes."""

    def __init__(self) -> None:
        super().__init__(2 * GREY)
        self.texts: list[list[str]] = []
        self.codec = ms.codec.RangeCodec(-1.0, 1.0)

    @property
    def takes_text(self) -> bool:
        return True

    def at(self, z_t: Any, alpha: Any, sigma: Any, cond: Any = None) -> Any:
        return super().at(z_t, alpha, sigma)

    def conditions(self, texts: list[str], negative: list[str] | None = None) -> ms.Conditions:
        self.texts.append(texts)
        return ms.Conditions(torch.zeros(len(texts), 1), null=torch.zeros(1, 1))


def points() -> ms.Points:
    return ms.Points(torch.zeros(5, 2))


def step(generator: Any, prior: Any, method: Any = None, **options: Any) -> ms.Step:
    optimizer = torch.optim.SGD(generator.parameters(), 0.1)
    given = {"steps": 1, "rng": 0} | options
    return next(ms.distill(generator, prior, ms.MSD(0.5) if method is None else method, optimizer, **given))


def test_a_seed_is_its_streams() -> None:
    first, second = (step(points(), MIXTURE, ms.SDS(), rng=rng).direction.grad for rng in (7, ms.Streams(7)))
    assert torch.equal(first, second)
    assert not torch.equal(first, step(points(), MIXTURE, ms.SDS(), rng=8).direction.grad)
    a, b = (ms.Field(1, (4, 4), rng=rng).render(4, 4) for rng in (3, ms.Streams(3)))
    assert torch.equal(a, b)


def test_a_number_is_a_fixed_bandwidth() -> None:
    assert ms.MSD(0.2) == ms.MSD(ms.Fixed(0.2)) and ms.MSD(1.0).bandwidth == ms.Fixed(1.0)


@pytest.mark.parametrize("wrap", [lambda prior: prior, lambda prior: ms.Guided(ms.Counting(prior), 2.0)])
def test_the_codec_is_the_priors_own_where_images_are_rendered(wrap: Callable[[Any], Any]) -> None:
    prior = wrap(TextPrior())
    assert torch.equal(step(ms.Image(GREY), prior, conditions="a cone").z, 0 * GREY)  # RangeCodec
    assert torch.equal(step(ms.Latent(GREY), prior, conditions="a cone").z, GREY)
    assert torch.equal(step(ms.Image(GREY), prior, conditions="a cone", codec=ms.codec.Identity()).z, GREY)
    assert codec_of(prior) is not None and codec_of(MIXTURE) is None
    assert not renders_images(points()) and renders_images(ms.Image(GREY))


@pytest.mark.parametrize(
    ("prompts", "encoded"),
    [("a", ["a"]), (["a"], ["a"]), (["a", "b"], ["a", "b", "a"]), (("a", "b", "c"), ["a", "b", "c"])],
)
def test_prompts_are_encoded_by_the_prior(prompts: Any, encoded: list[str]) -> None:
    prior = TextPrior()
    step(ms.Image(GREY.expand(3, -1, -1, -1)), ms.Guided(prior, 3.0), conditions=prompts, batch=3)
    assert prior.texts == [encoded]
    conditions = ms.Conditions(torch.zeros(1))
    assert encode_prompts(conditions, prior, 3) is conditions and encode_prompts(None, prior, 3) is None


def rendered(channels: int) -> ms.Image:
    return ms.Image(torch.full((1, channels, 4, 4), 0.5))


IMAGES = ms.Empirical(GREY)
SGD = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "rng is text": (lambda: step(points(), MIXTURE, rng="x"), TypeError, "rng must be a seed such as 0, a torch.Gen"),
    "rng is true": (lambda: step(points(), MIXTURE, rng=True), TypeError, "rng must be a seed such as 0"),
    "rng is below 0": (lambda: step(points(), MIXTURE, rng=-1), ValueError, "a seed must be in [0, 2^63), got -1"),
    "rng of a field": (lambda: ms.Field(1, (4, 4), rng=None), TypeError, "rng must be a seed such as 0"),
    "bandwidth is text": (
        lambda: ms.MSD("a"),
        TypeError,
        "a bandwidth must be a number or an object such as Geometric",
    ),
    "bandwidth is a class": (lambda: ms.MSD(ms.Fixed), TypeError, "a bandwidth must be a number or an object"),
    "bandwidth is 0": (lambda: ms.MSD(0), ValueError, "h must be positive and finite, got 0.0"),
    "image is a side": (
        lambda: ms.Image(64),
        TypeError,
        "pixels must be a tensor (n, c, h, w), got 64; try torch.rand",
    ),
    "latent is a list": (lambda: ms.Latent([1.0]), TypeError, "latents must be a tensor (n, *d), got [1.0]"),
    "points are a list": (lambda: ms.Points([[1.0]]), TypeError, "points must be a tensor (n, *d), got [[1.0]]"),
    "a run is named": (lambda: ms.run("ring"), TypeError, "run takes a modeseek.Config, got 'ring'"),
    "condition is text": (
        lambda: ms.Guided(MIXTURE, 2.0)(torch.zeros(1, 2), torch.ones(1) / 2, "a cone"),
        TypeError,
        "Guided needs Conditions(positive=..., null=...), got str; try prior.conditions([prompt])",
    ),
    "method is a class": (
        lambda: step(points(), MIXTURE, ms.SDS),
        TypeError,
        "method must be an object such as MSD(0.2), got the class SDS; try SDS()",
    ),
    "generator is a tensor": (
        lambda: next(ms.distill(torch.zeros(3, 2), MIXTURE, ms.MSD(0.5), SGD, steps=1, rng=0)),
        TypeError,
        "generator must be such as ms.Points(z) or ms.Field(...), got Tensor",
    ),
    "prior is a name": (lambda: step(points(), "scenes"), TypeError, "prior must be such as ms.bundled('scenes')"),
    "option of image": (
        lambda: ms.image("a", stepz=3),
        TypeError,
        "ms.image has no option 'stepz'; did you mean steps?",
    ),
    "option of shape": (lambda: ms.shape("a", camera=3), TypeError, "ms.shape has no option 'camera'; did you mean"),
    "method is a name": (
        lambda: step(points(), MIXTURE, "sds"),
        TypeError,
        "method must be an object such as MSD(0.2)",
    ),
    "optimizer is a class": (
        lambda: next(ms.distill(points(), MIXTURE, ms.MSD(0.5), torch.optim.Adam, steps=1, rng=0)),
        TypeError,
        "optimizer must be such as torch.optim.Adam(generator.parameters()), got <class",
    ),
    "channels": (
        lambda: step(rendered(4), IMAGES),
        ValueError,
        "the generator must render what the prior evaluates, items of shape (3, 4, 4), got (4, 4, 4)",
    ),
    "axes": (lambda: step(rendered(3), MIXTURE), ValueError, "items of shape (2,), got (3, 4, 4)"),
    "prompts without a text prior": (
        lambda: step(points(), MIXTURE, conditions="a cone"),
        ValueError,
        "GaussianMixture takes no prompts",
    ),
    "prompt is empty": (
        lambda: step(rendered(3), TextPrior(), conditions=" "),
        ValueError,
        "prompts must not be empty",
    ),
    "no prompts": (lambda: step(rendered(3), TextPrior(), conditions=[]), ValueError, "prompts must not be empty"),
    "prompts of other types": (
        lambda: step(rendered(3), TextPrior(), conditions=["a", 3]),
        TypeError,
        "conditions must be a prompt, a list of prompts, ms.Conditions or a function of the view, got list",
    ),
    "more prompts than items": (
        lambda: step(rendered(3), TextPrior(), conditions=["a", "b"]),
        ValueError,
        "2 prompts need as many items, got batch=1; use batch=2",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line(case: str, unchecked: None) -> None:
    call, kind, words = MISTAKES[case]
    with pytest.raises(kind) as caught:
        call()
    assert words in one_line(caught.value)


def test_the_public_namespace_shows_what_belongs() -> None:
    shown = [name for name in dir(ms) if not name.startswith("__")]
    assert sorted(shown) == sorted(ms.__all__) and {"image", "shape", "Image"} <= set(shown)
    assert not {"pytree", "ramp", "distributed", "rng"} & set(shown)
    assert ms.image.__module__ == "modeseek.runs.text_to_image"
