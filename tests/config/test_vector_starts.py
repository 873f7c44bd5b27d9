"""Starts of drawings under an exact prior of three images: fits, backgrounds, calls, learning rates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cases import one_line

import modeseek as ms
from modeseek.codec import Identity
from modeseek.config.built_generator import BuiltGenerator, StartContext
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.optimizers import AdamConfig, set_rate
from modeseek.config.vector import DrawingConfig
from modeseek.config.vector_starts import RandomStart, SaliencyStart, SampleStart, SvgStart
from modeseek.generators.vector.drawing import Drawing, Rates

pytest.importorskip("skimage", reason="pip install -e '.[vector]' runs the tests of drawings")
NEARLY_WHITE = 0.985
SAMPLE = SampleStart(steps=4, fit_steps=20)


def images(background: float) -> torch.Tensor:
    """A red square, a blue bar and a green corner on grey, (3, 3, 16, 16)."""
    data = torch.full((3, 3, 16, 16), background)
    for k, (rows, columns) in enumerate(
        ((slice(4, 12), slice(4, 12)), (slice(6, 10), slice(2, 14)), (slice(0, 8), slice(0, 8)))
    ):
        data[k, :, rows, columns] = torch.eye(3)[k][:, None, None]
    return data


def loaded(background: float = NEARLY_WHITE) -> LoadedPrior:
    return LoadedPrior(ms.Empirical(images(background), ms.VP(), labels=torch.arange(3)), "")


def started(
    config: DrawingConfig, prior: LoadedPrior, conditions: ms.Conditions | None = None
) -> tuple[BuiltGenerator[Drawing], int, list[str]]:
    """The generator after its start, the prior calls of that, and the stages that it reported."""
    built, counting = config.make(prior, 0), ms.Counting(prior.prior)
    context = StartContext(counting, conditions, 3.0, Identity(), 0, lambda *given: iter(()))
    stages = [] if built.initialize is None else [progress.stage for progress in built.initialize(context)]
    return built, counting.calls, list(dict.fromkeys(stages))


def test_a_sample_is_fitted() -> None:
    conditions = ms.Conditions(torch.tensor([0, 1]), null=torch.tensor([-1, -1]))
    built, calls, stages = started(DrawingConfig(2, paths=4, start=SAMPLE), loaded(), conditions)
    assert calls == 2 * 2 * 4 and stages == ["sampling", "tracing", "fitting"] and built.batch == 2
    image = built.module(built.module.preview_view()).image.detach()
    assert (image - images(1.0)[:2]).abs().mean() < 0.02


BACKGROUNDS = {
    "nearly white becomes white": (None, NEARLY_WHITE, 1.0),
    "that of the sample": (None, 0.5, 0.5),
    "a learned one begins there": ("learned", 0.5, 0.5),
    "a fixed one stays": ("#336633", 0.5, None),
    "a random one is white in files": ("random", 0.5, 1.0),
}


@pytest.mark.parametrize("case", BACKGROUNDS)
def test_the_background(case: str) -> None:
    background, of_sample, expected = BACKGROUNDS[case]
    built, _, _ = started(DrawingConfig(paths=3, start=SAMPLE, background=background), loaded(of_sample))
    color = built.module.paths.background.detach()
    wanted = torch.tensor([0.2, 0.4, 0.2]) if expected is None else torch.full((3,), expected)
    assert torch.allclose(color[0], wanted, atol=0.02) and (expected != 1 or (color == 1).all())


def test_strokes_stay_and_fills_alone_are_traced() -> None:
    start = replace(SAMPLE, fit_steps=0)
    config = DrawingConfig(paths=3, strokes=2, cubics=5, start=start)
    before = config.make(loaded(), 0).module.paths.detach()
    after = started(config, loaded())[0].module.paths.detach()
    assert torch.equal(before.strokes, after.strokes) and not torch.equal(before.fills, after.fills)
    assert torch.equal(before.colors[:, 3:], after.colors[:, 3:]) and after.fills.shape == (1, 3, 15, 2)
    alone = DrawingConfig(paths=0, strokes=2, start=SAMPLE)
    assert started(alone, loaded())[2] == ["sampling", "fitting"]


def test_circles_are_placed_where_the_condition_matters() -> None:
    conditions = ms.Conditions(torch.tensor([0]), null=torch.tensor([-1]))
    start = SaliencyStart(steps=3, draws=2)
    built, calls, stages = started(DrawingConfig(paths=5, start=start), loaded(), conditions)
    assert calls == 2 * 3 + 2 * 2 and stages == ["placing"]
    assert not torch.equal(
        built.module.paths.fills, DrawingConfig(paths=5, start=start).make(loaded(), 0).module.paths.fills
    )
    with pytest.raises(ValueError) as caught:
        started(DrawingConfig(paths=5, start=start), loaded())
    assert "a saliency start needs prompts and fills, got 5 fills and no prompts" in one_line(caught.value)


def test_random_paths_and_those_of_a_file_need_no_prior(tmp_path: Path) -> None:
    path = tmp_path / "owl.svg"
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8" fill="#0000ff"/>'
        '<path d="M1 1C2 1 3 1 3 3C3 4 2 4 1 4C1 3 1 2 1 1Z" fill="#f00"/></svg>'
    )
    built, calls, _ = started(DrawingConfig(3, start=SvgStart(path)), loaded())
    assert calls == 0 and built.initialize is None and built.module.paths.fills.shape[:2] == (3, 1)
    assert built.module.paths.background.tolist() == [[0, 0, 1]] * 3
    white = DrawingConfig(start=SvgStart(path), background="white").make(loaded(), 0).module
    assert white.paths.background.tolist() == [[1, 1, 1]]
    first, second, other = (DrawingConfig(start=RandomStart()).make(loaded(), seed).module for seed in (0, 0, 1))
    assert torch.equal(first.fills, second.fills) and not torch.equal(first.fills, other.fills)


def test_groups_keep_their_learning_rates_relative_to_each_other() -> None:
    config = DrawingConfig(start=RandomStart(), strokes=1, rates=Rates(color=5.0, width=0.25), background="learned")
    optimizer = AdamConfig(0.01).make(config.make(loaded(), 0).module.parameter_groups())
    set_rate(optimizer, 0.002)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.002, 0.01, 0.0005, 0.005])
    refined, other = (DrawingConfig(start=start).make(loaded(), 0).module for start in (SAMPLE, RandomStart()))
    assert refined.rates == SampleStart.rates != RandomStart.rates == other.rates
    assert refined.relocation is None and other.relocation is not None


def test_a_file_must_have_room_for_a_path() -> None:
    for cubics, least in ((4, 430), (20, 1150)):
        with pytest.raises(ValueError) as caught:
            DrawingConfig(cubics=cubics, max_bytes=least - 1).make(loaded(), 0)
        assert f"must be at least {least}, got {least - 1}" in one_line(caught.value)
        DrawingConfig(cubics=cubics, max_bytes=least).make(loaded(), 0)


def test_a_gray_prior_is_refused() -> None:
    gray = LoadedPrior(ms.Empirical(torch.zeros(2, 1, 8, 8), ms.VP()), "")
    with pytest.raises(ValueError) as caught:
        DrawingConfig().make(gray, 0)
    assert "a drawing needs a prior of colour images, got 1 channels" in one_line(caught.value)
