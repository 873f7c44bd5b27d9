"""Shifted: the law of its moves, one draw a step for all items, and its place in the optimisation loop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

import modeseek as ms
from modeseek.codec import Frame, Identity, Move, RandomCodec, RangeCodec, ResizeCodec, draw_frame

F64 = torch.float64
SIDE = 13
WHOLE = RangeCodec(0.0, 1.0)


def grid_image() -> torch.Tensor:
    """Coordinates as an image: channel 0 holds the row, channel 1 the column."""
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    return torch.stack([rows, columns]).to(F64)[None]


def drawn(codec: ms.Shifted, n: int, seed: int = 0) -> np.ndarray:
    """Shifts and factors of n steps, (n, 3), read off the coordinates at the centre."""
    out = []
    for step in range(n):
        row, column = draw_frame(codec, ms.Streams(seed).at(step, (0,), "codec")).move(grid_image())[0]
        factor = 8 / (row[20, 16] - row[12, 16])
        out.append((15.5 - row[15:17, 16].mean(), 15.5 - column[16, 15:17].mean(), factor))
    return np.array(out, dtype=float)


@pytest.mark.slow
@pytest.mark.parametrize("pixels", [2, 4])
def test_every_place_on_a_grid_of_four_is_equally_likely(pixels):
    """Shares of 4,000 draws within 5 standard errors of the binomial law; ends of the range are half as likely."""
    n = 4000
    shifts = drawn(ms.Shifted(WHOLE, pixels), n)
    assert np.array_equal(shifts[:, :2], shifts[:, :2].round()) and np.allclose(shifts[:, 2], 1.0)
    for axis in (0, 1):
        values = shifts[:, axis].astype(int)
        assert values.min() == -pixels and values.max() == pixels
        for residue in range(4):
            assert abs((values % 4 == residue).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / n)
        for end in (-pixels, pixels):
            share = 1 / (4 * pixels)
            assert abs((values == end).mean() - share) < 5 * np.sqrt(share * (1 - share) / n)
    assert abs(np.corrcoef(shifts[:, 0], shifts[:, 1])[0, 1]) < 5 / np.sqrt(n), "rows and columns are independent"


def test_the_scale_is_uniform_in_its_range():
    factors = drawn(ms.Shifted(WHOLE, 0, 0.05), 2000)[:, 2]
    assert 0.95 <= factors.min() < 0.952 and 1.048 < factors.max() <= 1.05
    assert abs(factors.mean() - 1) < 5 * 0.1 / np.sqrt(12 * 2000)
    assert factors.std() == pytest.approx(0.1 / np.sqrt(12), rel=0.06)


def test_the_expected_image_and_its_variance_are_those_of_the_shifts_alone():
    """A sharp binary image stays binary; mean and variance over draws are those of a convolution with the shift's law.

    An interpolated shift of the same range has the mean of a wider kernel and less variance.
    """
    pixels, n = 2, 4000
    image = (torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(3), dtype=F64) > 0.5).to(F64)
    codec = ms.Shifted(WHOLE, pixels)
    moved = torch.cat([draw_frame(codec, ms.Streams(1).at(k, (0,), "codec")).move(image) for k in range(n)])
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    law = np.array([1, 2, 2, 2, 1]) / 8
    padded = np.pad(image[0, 0].numpy(), pixels, mode="edge")
    expected = sum(
        law[i] * law[j] * padded[2 * pixels - i : 2 * pixels - i + SIDE, 2 * pixels - j : 2 * pixels - j + SIDE]
        for i in range(5)
        for j in range(5)
    )
    variance = expected * (1 - expected)
    assert np.abs(moved.mean(0)[0].numpy() - expected).max() < 5 * np.sqrt(0.25 / n)
    assert np.abs(moved.var(0)[0].numpy() - variance).max() < 5 * 0.25 / np.sqrt(n) + 1e-3


def test_called_directly_it_does_not_move_anything():
    image = torch.rand(2, 3, 8, 8)
    codec = ms.Shifted(RangeCodec(), 3, 0.1)
    assert torch.equal(codec.encode(image), RangeCodec().encode(image))
    assert torch.equal(codec.decode(image), RangeCodec().decode(image)) and codec.image_shape((3, 8, 8)) == (3, 8, 8)


def test_z_decodes_to_the_moved_image():
    frame = ms.Shifted(RangeCodec(-1.0, 1.0), 3).draw(ms.Streams(5))
    image = torch.rand(2, 3, 8, 8, dtype=F64)
    moved = frame.move(image)
    assert not torch.equal(moved, image)
    assert torch.allclose(frame.codec.decode(frame.codec.encode(moved)), moved, rtol=1e-14)


@pytest.mark.parametrize("pixels", [1, 3])
def test_images_are_resized_first_so_that_shifts_are_pixels_of_the_prior(pixels):
    image = torch.zeros(1, 1, 32, 32)
    image[..., 16:18, 16:18] = 1.0
    codec = ResizeCodec(ms.Shifted(WHOLE, pixels), 16, 16)
    small, places = ResizeCodec(WHOLE, 16, 16).encode(image), set()
    for step in range(60):
        frame = draw_frame(codec, ms.Streams(0).at(step))
        moved = frame.move(image)
        assert moved.shape == (1, 1, 16, 16) and frame.codec is WHOLE
        place = tuple((moved[0, 0] == small.max()).nonzero()[0].tolist())
        assert torch.equal(moved, Move(place[0] - 8, place[1] - 8)(small))
        places.add(place)
    assert {max(abs(row - 8), abs(column - 8)) for row, column in places} == set(range(pixels + 1))
    assert torch.equal(codec.encode(image), small) and codec.image_shape((1, 16, 16)) == (1, 16, 16)


def test_shifts_may_also_come_before_the_resizing():
    frame = ms.Shifted(ResizeCodec(WHOLE, 16, 16), 4).draw(ms.Streams(2))
    image = torch.rand(1, 3, 32, 32)
    down, right = _shift_of(ms.Streams(2))
    assert torch.equal(frame.move(image), ResizeCodec(WHOLE, 16, 16).encode(Move(down, right)(image)))


def _shift_of(rng: ms.Rng) -> tuple[int, int]:
    row, column = draw_frame(ms.Shifted(WHOLE, 4), rng).move(grid_image())[0]
    return 16 - int(row[16, 16]), 16 - int(column[16, 16])


def test_other_codecs_draw_nothing():
    codec, rng = RangeCodec(), torch.Generator().manual_seed(0)
    before, image = rng.get_state(), torch.rand(1, 3, 4, 4)
    frame = draw_frame(codec, rng)
    assert frame.codec is codec and frame.move(image) is image and torch.equal(rng.get_state(), before)
    assert isinstance(ms.Shifted(codec), RandomCodec) and not isinstance(codec, RandomCodec)


@dataclass(frozen=True)
class Recording:
    """Method that records what it is given, and descends along z."""

    references, guides = (), False
    calls: list[tuple[torch.Tensor, ms.RenderContext, torch.Tensor]]

    def init(self, z, prior):
        return 0

    def step(self, z, prior, state, *, context, **rest):
        self.calls.append((z, context, context.rendering.image.detach().clone()))
        return ms.Direction(z.clone(), 0.5 * context.image.detach()), state


PRIOR = ms.Empirical(torch.rand(3, 2, 8, 8, generator=torch.Generator().manual_seed(4), dtype=F64), ms.VP())


def images(n: int = 4, first: int = 0) -> ms.Image:
    start = torch.rand(4, 2, 8, 8, generator=torch.Generator().manual_seed(6), dtype=F64)
    return ms.Image(start[first : first + n])


def _move_of(z: torch.Tensor, image: torch.Tensor) -> tuple[int, int]:
    """Shift of at most three pixels that gave z = 2 moved - 1."""
    shifts = [(down, right) for down in range(-3, 4) for right in range(-3, 4)]
    (found,) = (shift for shift in shifts if torch.equal(2 * Move(*shift)(image) - 1, z))
    return found


def run(module: ms.Image, codec: object, steps: int = 5, method: object = None, rng: ms.Rng | None = None) -> list:
    calls: list = []
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    rng = ms.Streams(7) if rng is None else rng
    method = Recording(calls) if method is None else method
    found = list(ms.distill(module, PRIOR, method, optimizer, steps=steps, batch=module.n_items, codec=codec, rng=rng))
    return calls or found


def test_zero_pixels_are_no_shift_bit_for_bit():
    plain, still = images(), images()
    run(plain, WHOLE, method=ms.SDS())
    run(still, ms.Shifted(WHOLE, 0), method=ms.SDS())
    assert torch.equal(plain.pixels, still.pixels)


def test_all_items_of_a_step_are_moved_alike_and_steps_differently():
    calls = run(images(), ms.Shifted(RangeCodec(-1.0, 1.0), 3))
    assert len({_move_of(z, rendered) for z, _, rendered in calls}) > 2
    assert all(context.codec == RangeCodec(-1.0, 1.0) for _, context, _ in calls)


def test_four_items_are_moved_as_each_of_them_alone():
    """z of item 0 in a batch of four and alone; the draw does not depend on the items."""
    codec = ms.Shifted(RangeCodec(), 3, 0.03)
    together = run(images(), codec)
    for first in range(4):
        alone = run(images(1, first), codec, steps=1)
        assert torch.equal(alone[0][0][0], together[0][0][first])


def test_the_loop_reports_the_image_that_was_rendered():
    module = images()
    before = module.pixels.detach().clone()
    step = next(iter(ms.distill(
        module, PRIOR, ms.SDS(), torch.optim.SGD(module.parameters(), lr=0.1), steps=5, batch=4,
        codec=ms.Shifted(WHOLE, 3), rng=ms.Streams(3),
    )))  # fmt: skip
    assert torch.equal(step.image, before) and not torch.equal(step.z, before)


def test_both_gradients_go_back_through_the_move():
    """`theta.grad = M' (2 grad_z + grad_image) / n` with the codec `2 x - 1`: the adjoint by NumPy, pixel by pixel."""
    module, calls = images(2), []
    codec = ms.Shifted(RangeCodec(-1.0, 1.0), 2)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
    (step,) = ms.distill(module, PRIOR, Recording(calls), optimizer, steps=1, batch=2, codec=codec, rng=ms.Streams(12))
    ((z, _, rendered),) = calls
    down, right = _move_of(z, rendered)
    assert (down, right) != (0, 0)
    incoming = (2 * z + 0.5 * Move(down, right)(rendered)).numpy() / 2
    expected = np.zeros_like(incoming)
    for row in range(8):
        for column in range(8):
            source = min(max(row - down, 0), 7), min(max(column - right, 0), 7)
            expected[:, :, source[0], source[1]] += incoming[:, :, row, column]
    assert module.pixels.grad is not None
    assert np.allclose(module.pixels.grad.numpy(), expected, rtol=1e-12)


def test_view_method_and_codec_draw_from_independent_streams():
    """No item's stream, of the view or of the method, gives the shifts of the steps."""
    moves = [_move_of(z, rendered) for z, _, rendered in run(images(), ms.Shifted(RangeCodec(), 3), steps=12)]

    def implied(items: tuple[int, ...], use: str) -> list[tuple[int, int]]:
        streams = (ms.Streams(7).at(step, items, use) for step in range(12))
        numbers = [torch.rand((1, 3), generator=rng.generator(0, torch.device("cpu")))[0] for rng in streams]
        return [(round(6 * u.item() - 3), round(6 * v.item() - 3)) for u, v, _ in numbers]

    assert moves == implied((0,), "codec")
    for item in range(4):
        for use in ("", "view"):
            assert sum(a == b for a, b in zip(moves, implied((item,), use), strict=True)) < 6


@pytest.mark.parametrize("cut", [1, 4, 7])
def test_resumed_equals_uninterrupted_bit_for_bit(cut):
    codec, method = ms.Shifted(WHOLE, 3, 0.02), ms.MSD(ms.Geometric(1.0, 0.2), jitter=0.3)

    def optimise(module: ms.Image, stop: int, start: int = 0, state: object = None) -> object:
        optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
        for step in ms.distill(
            module, PRIOR, method, optimizer, steps=8, start=start, batch=4, codec=codec, rng=ms.Streams(1), state=state
        ):
            state = step.state
            if step.index + 1 == stop:
                break
        return state

    whole, parts = images(), images()
    optimise(whole, 8)
    optimise(parts, 8, cut, optimise(parts, cut))
    assert torch.equal(whole.pixels, parts.pixels)


def test_hifa_compares_its_decoded_prediction_with_the_image_in_the_same_frame():
    """A prior of the images at every shift: at low noise it predicts z itself, and both terms of the method vanish."""
    data = images().pixels.detach()
    every = torch.cat([Move(d, r)(data) for d in range(-2, 3) for r in range(-2, 3)])
    prior = ms.Empirical(2 * every - 1, ms.VP())
    method = ms.methods.HiFA(times=ms.Uniform(0.001, 0.002))
    module = images()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for step in ms.distill(
        module, prior, method, optimizer, steps=6, batch=4, codec=ms.Shifted(RangeCodec(), 2), rng=ms.Streams(9)
    ):
        assert step.direction.grad_image is not None
        assert step.direction.grad_image.abs().max() < 1e-9 and step.direction.grad.abs().max() < 1e-9


def test_a_plain_generator_is_drawn_from_in_sequence():
    first, second = (run(images(), ms.Shifted(WHOLE, 3), rng=torch.Generator().manual_seed(2)) for _ in range(2))
    for (z, *_), (again, *_) in zip(first, second, strict=True):
        assert torch.equal(z, again)


def test_bad_settings_are_one_line():
    for settings in ({"pixels": -1}, {"scale": -0.1}, {"scale": 1.0}, {"scale": float("nan")}):
        with pytest.raises(ValueError, match="Shifted needs pixels >= 0 and scale in") as caught:
            replace(ms.Shifted(Identity()), **settings)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="smaller than the image of 3 x 8 pixels, got 4"):
        ms.Shifted(Identity(), 4).image_shape((3, 3, 8))
    assert isinstance(ms.Shifted(Identity(), 2).draw(ms.Streams(0)), Frame)
