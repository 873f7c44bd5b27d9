"""Image metrics against oracles in numpy, scipy, PIL and plain loops that share no code with them."""

from __future__ import annotations

import colorsys
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import torch
from PIL import Image

from modeseek.metrics.bootstrap import bootstrap_interval, mean_with_interval
from modeseek.metrics.frechet import fid, frechet_distance, kid
from modeseek.metrics.image_statistics import clipped_fraction, edges_on_grid, saturation, sharpness
from modeseek.rng import Streams

pytest.importorskip("torchmetrics", reason="pip install -e '.[evaluation]' runs the tests of FID")
pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of CLIP and image features")
import tiny_scorers  # noqa: E402 - needs transformers

from modeseek.metrics.clip import CLIPSimilarity  # noqa: E402
from modeseek.metrics.features import ImageFeatures  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def features(n: int, d: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    mixed = np.random.default_rng(99).normal(size=(d, d))
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)) @ mixed + shift)


def frechet_oracle(a: np.ndarray, b: np.ndarray) -> float:
    """Through the symmetric root `(A^(1/2) B A^(1/2))^(1/2)`, eigenvalues clipped at zero."""
    one, two = (np.cov(x, rowvar=False) for x in (a, b))
    values, vectors = scipy.linalg.eigh(one)
    root = vectors @ np.diag(np.sqrt(values.clip(0))) @ vectors.T
    inner = np.sqrt(scipy.linalg.eigvalsh(root @ two @ root).clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one) + np.trace(two) - 2 * inner)


@pytest.mark.parametrize(("n", "m", "d"), [(60, 90, 5), (7, 12, 20), (30, 6, 10)])
def test_fid_is_the_frechet_distance_of_gaussians(n: int, m: int, d: int) -> None:
    a, b = features(n, d, 1), features(m, d, 2, shift=0.3)
    want = frechet_oracle(a.numpy(), b.numpy())
    assert frechet_distance(a, b) == pytest.approx(want, rel=1e-7)
    assert fid(a, b, resamples=5).value == pytest.approx(want, rel=1e-5)  # torchmetrics: roots of tiny eigenvalues
    assert fid(a.float(), b.float(), resamples=5).value == pytest.approx(want, rel=1e-3)


def test_fid_of_known_gaussians_in_closed_form() -> None:
    """Samples whose means and covariances are exactly those of diagonal Gaussians."""
    raw = np.random.default_rng(0).normal(size=(40, 3))
    white = (raw - raw.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    one, two = np.array([1.0, 2.0, 0.5]), np.array([0.5, 3.0, 1.0])
    a, b = white * one + [1.0, 0.0, -1.0], white[::-1] * two + [0.0, 2.0, 0.0]
    want = (1 + 4 + 1) + ((one - two) ** 2).sum()
    assert fid(torch.from_numpy(a), torch.from_numpy(b.copy()), resamples=5).value == pytest.approx(want, rel=1e-9)


def test_fid_of_a_set_to_itself_is_zero() -> None:
    a = features(50, 6, 3)
    assert fid(a, a.flip(0), resamples=5).value == pytest.approx(0, abs=1e-6) and frechet_distance(a, a) < 1e-9


def kid_oracle(a: np.ndarray, b: np.ndarray) -> float:
    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    n, m = len(a), len(b)
    within = sum(kernel(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(kernel(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    across = sum(kernel(x, y) for x in a for y in b) / (n * m)
    return within + other - 2 * across


@pytest.mark.parametrize(("n", "m"), [(5, 5), (2, 9), (12, 4)])
def test_kid_is_the_unbiased_mmd(n: int, m: int) -> None:
    a, b = features(n, 4, 1), features(m, 4, 2, shift=0.5)
    assert kid(a, b, resamples=3).value == pytest.approx(kid_oracle(a.numpy(), b.numpy()), rel=1e-10)


def test_kid_agrees_with_torchmetrics_on_all_images() -> None:
    from torchmetrics.image.kid import poly_mmd

    a, b = features(9, 4, 1), features(9, 4, 2, shift=0.5)
    assert kid(a, b, resamples=3).value == pytest.approx(poly_mmd(a, b).item(), rel=1e-9)


def test_kid_is_zero_on_average_over_all_splits_of_one_set() -> None:
    pool = features(7, 3, 5)
    values = []
    for split in itertools.combinations(range(7), 3):
        rest = [i for i in range(7) if i not in split]
        values.append(kid(pool[list(split)], pool[rest], resamples=1).value)
    assert np.mean(values) == pytest.approx(0, abs=1e-10 * max(values)) and min(values) < 0 < max(values)


def test_intervals_of_distances_hold_their_value_and_ignore_the_global_stream() -> None:
    a, b = features(40, 3, 1), features(30, 3, 2, shift=0.4)
    for distance in (fid, kid):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = distance(a, b, seed=3)
        assert torch.equal(before, torch.get_rng_state())
        torch.manual_seed(2)
        assert distance(a, b, seed=3) == first != distance(a, b, seed=4)
        assert first.interval is not None and first.interval[0] < first.value < first.interval[1]
    for few in (2, 3):
        estimate = kid(features(few, 3, 1), b)
        assert (estimate.interval is None) == (few == 2) and np.isfinite(estimate.value)


def test_the_kernels_interval_is_centred_as_drawing_anew_is() -> None:
    """Its width against the scatter of fresh samples of the same size."""
    fresh = [kid(features(25, 3, 2 * k), features(25, 3, 2 * k + 1, 0.8), resamples=1).value for k in range(300)]
    widths = []
    for k in range(12):
        interval = kid(features(25, 3, 1000 + k), features(25, 3, 2000 + k, 0.8), resamples=200).interval
        assert interval is not None
        widths.append(interval[1] - interval[0])
    low, high = np.quantile(fresh, [0.025, 0.975])
    assert 0.6 < np.mean(widths) / (high - low) < 1.5


def test_resampled_kernels_leave_out_pairs_of_an_image_with_its_duplicates() -> None:
    """The same resamples by plain loops over pairs of different images, shifted onto the estimate."""
    a, b = features(4, 3, 1), features(5, 3, 2, shift=0.5)
    stream = Streams(7, use="bootstrap").generator(0, torch.device("cpu"))

    def pairs(x: np.ndarray, y: np.ndarray, i: list[int], j: list[int], apart: bool) -> float:
        return float(np.mean([(x[p] @ y[q] / 3 + 1) ** 3 for p in i for q in j if not apart or p != q]))

    values = []
    for _ in range(20):
        i, j = (torch.randint(n, (n,), generator=stream).tolist() for n in (4, 5))
        if len(set(i)) > 1 < len(set(j)):
            one, two = a.numpy(), b.numpy()
            within = pairs(one, one, i, i, True) + pairs(two, two, j, j, True)
            values.append(within - 2 * pairs(one, two, i, j, False))
    estimate = kid(a, b, seed=7, resamples=20)
    want = np.quantile(values, [0.025, 0.975]) - np.mean(values) + estimate.value
    assert estimate.interval == pytest.approx(tuple(want), rel=1e-9)


def test_the_bias_of_duplicates_is_removed() -> None:
    """How many different members a resample has: 63 % of them, though all are different."""
    interval = bootstrap_interval(lambda i: float(len(i.unique())), (100,), 100.0)
    assert interval is not None and sum(interval) / 2 == pytest.approx(100, abs=1) and interval[1] - interval[0] > 5


@pytest.mark.parametrize("distance", [fid, kid])
def test_a_distance_needs_two_images(distance: object) -> None:
    with pytest.raises(ValueError, match="at least two images, got 1 and 4"):
        distance(features(1, 3, 0), features(4, 3, 1))  # type: ignore[operator]


def test_intervals_of_a_mean_cover_it() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        values = torch.from_numpy(rng.exponential(size=40))
        interval = bootstrap_interval(
            lambda i, v=values: v[i].mean().item(), (40,), values.mean().item(), resamples=200
        )
        assert interval is not None
        held += interval[0] <= 1.0 <= interval[1]
    assert 0.85 <= held / 200 <= 0.98  # skewed and small: a little below 0.95


def test_averages_by_group_resample_groups() -> None:
    values = torch.tensor([0.0, 0.0, 0.0, 1.0, 2.0, 4.0])
    groups = torch.tensor([0, 0, 0, 1, 2, 3])
    assert mean_with_interval(values, groups).value == pytest.approx((0 + 1 + 2 + 4) / 4)
    alike = torch.arange(4).repeat_interleave(50).double()
    names = torch.arange(4).repeat_interleave(50)
    by_group, by_image = mean_with_interval(alike, names).interval, mean_with_interval(alike).interval
    assert by_group is not None and by_image is not None
    assert by_group[1] - by_group[0] > 3 * (by_image[1] - by_image[0])
    assert mean_with_interval(values[:2]).interval is None and mean_with_interval(values, groups // 2).interval is None


def test_edges_on_a_grid_are_counted_line_by_line() -> None:
    image = np.random.default_rng(5).random((3, 2, 11, 14))
    found = edges_on_grid(torch.from_numpy(image), 4)
    for picture, ratio in zip(image, found.tolist(), strict=True):
        on, off = [], []
        for axis, side in ((1, 11), (2, 14)):
            for k in range(1, side):
                step = np.abs(picture.take(k, axis) - picture.take(k - 1, axis)).mean()
                (on if k in (4, 8, 12) else off).append(step)
        assert ratio == pytest.approx(np.mean(on) / np.mean(off), rel=1e-12)


def test_blocks_have_all_their_edges_on_the_grid() -> None:
    blocks = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).repeat_interleave(4, 2)
    blocks = blocks.repeat_interleave(4, 3)
    assert (edges_on_grid(blocks, 4) > 1e9).all() and (edges_on_grid(blocks.roll(1, 2).roll(1, 3), 4) < 1).all()
    for period in (1, 16):
        with pytest.raises(ValueError, match="period of a grid must be at least 2 and below") as caught:
            edges_on_grid(blocks, period)
        assert "\n" not in str(caught.value)


def test_image_statistics() -> None:
    image = torch.rand(3, 3, 7, 9, generator=torch.Generator().manual_seed(0))
    image[0, :, 0, 0] = 0
    want = [
        np.mean([colorsys.rgb_to_hsv(*p)[1] for p in one.permute(1, 2, 0).reshape(-1, 3).tolist()]) for one in image
    ]
    assert torch.allclose(saturation(image), torch.tensor(want, dtype=torch.float32), atol=1e-6)
    eight = (255 * image).round().numpy()
    assert clipped_fraction(image).tolist() == pytest.approx(((eight <= 0) | (eight >= 255)).mean((1, 2, 3)).tolist())
    edges = torch.tensor([0.0, 1.0, 0.5, 0.0019]).reshape(1, 1, 2, 2).expand(1, 3, 2, 2)
    assert clipped_fraction(edges).item() == 0.75 and clipped_fraction(edges.clamp(0.002, 0.998)).item() == 0
    luma = np.tensordot(np.array([0.299, 0.587, 0.114]), image.double().numpy(), (0, 1))
    rough = [np.sqrt((scipy.ndimage.laplace(one)[1:-1, 1:-1] ** 2).mean()) for one in luma]
    assert sharpness(image).tolist() == pytest.approx(rough, rel=1e-5)
    assert sharpness(torch.rand(2, 3, 2, 8)).tolist() == [0, 0]


@pytest.fixture(scope="module")
def scorers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("scorers")
    return {name: getattr(tiny_scorers, name)(folder / name) for name in ("clip", "dino", "resnet")}


def smooth(n: int, height: int, width: int) -> torch.Tensor:
    """Images that eight bits represent exactly."""
    small = torch.rand(n, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    large = torch.nn.functional.interpolate(small, (height, width), mode="bilinear")
    return (255 * large).round() / 255


def by_pillow(image: torch.Tensor) -> torch.Tensor:
    """Images preprocessed by transformers' own PIL processor."""
    from transformers import CLIPImageProcessorPil

    settings = tiny_scorers.PREPARED
    images = [Image.fromarray((255 * one).byte().permute(1, 2, 0).numpy()) for one in image]
    return CLIPImageProcessorPil(**settings)(images, return_tensors="pt")["pixel_values"]


@pytest.mark.parametrize(("height", "width"), [(40, 60), (64, 32), (16, 16), (9, 12)])
def test_images_are_preprocessed_as_by_the_processor(height: int, width: int, scorers: dict[str, Path]) -> None:
    image = smooth(2, height, width)
    ours, theirs = CLIPSimilarity.load(scorers["clip"]).preprocess(image), by_pillow(image)
    assert ours.shape == theirs.shape == (2, 3, 16, 16)
    assert (ours - theirs).abs().max() < 2.5 / 255 / 0.26  # they round to eight bits in between


def test_clip_similarity_by_hand(scorers: dict[str, Path]) -> None:
    from transformers import CLIPModel

    clip, image, texts = CLIPSimilarity.load(scorers["clip"]), smooth(3, 16, 16), ["a red cone", "b", "a sphere " * 9]
    model = CLIPModel.from_pretrained(scorers["clip"]).eval()
    want = []
    with torch.no_grad():
        for one, text in zip(by_pillow(image), texts, strict=True):
            ids = clip.tokenizer(text, truncation=True, max_length=16, return_tensors="pt")["input_ids"]
            u = model.visual_projection(model.vision_model(one[None]).pooler_output)[0].double().numpy()
            v = model.text_projection(model.text_model(ids).pooler_output)[0].double().numpy()
            assert ids.shape[1] <= 16
            want.append(u @ v / np.sqrt((u @ u) * (v @ v)))
    got = clip(image, texts)
    assert got.tolist() == pytest.approx(want, abs=1e-4)  # alone or padded in a batch
    assert len({round(x, 3) for x in got.tolist()}) == 3 and got.abs().max() <= 1
    with pytest.raises(ValueError, match="must be equal, got 3 images and 1 texts"):
        clip(image, ["a"])


def test_features_are_what_the_authors_use(scorers: dict[str, Path]) -> None:
    from transformers import AutoModel

    image = smooth(2, 24, 20)
    for name, width in (("dino", 16), ("resnet", 12), ("clip", 12)):
        model_features = ImageFeatures.load(scorers[name])
        assert model_features.num_features == width
        model = AutoModel.from_pretrained(scorers[name]).eval()
        seen = model_features.preprocess(image)
        with torch.no_grad():
            if name == "clip":
                want = model.visual_projection(model.vision_model(seen).pooler_output)
            else:
                want = model(pixel_values=seen).pooler_output.flatten(1)  # DINOv2: class token; ResNet: mean
        assert torch.allclose(model_features(image), want, atol=1e-5)


def test_torchmetrics_takes_the_network_as_its_feature(scorers: dict[str, Path]) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    network = ImageFeatures.load(scorers["dino"])
    images = torch.rand(2, 9, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    metric = FrechetInceptionDistance(feature=network, normalize=True)
    metric.update(images[0], real=True)
    metric.update(images[1], real=False)
    want = fid(network(images[0]), network(images[1]), resamples=3).value
    assert metric.compute().item() == pytest.approx(want, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: (f / "config.json").unlink(), "no config.json"),
        (lambda f: (f / "preprocessor_config.json").unlink(), "preprocessor_config.json: No such file"),
        (lambda f: (f / "preprocessor_config.json").write_text("[1]"), "preprocessor_config.json"),
        (lambda f: (f / "preprocessor_config.json").write_text('{"resample": 7}'), "resample must be 2"),
        (
            lambda f: (f / "preprocessor_config.json").write_text('{"image_mean": [1], "image_std": [1]}'),
            "three numbers",
        ),
        (lambda f: (f / "model.safetensors").write_bytes(b"{}"), "cannot be loaded"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "cannot be loaded"),
        (lambda f: (f / "config.json").write_text('{"model_type": "nothing"}'), "cannot be loaded"),
    ],
)
def test_a_damaged_folder_is_one_line(harm: object, words: str, scorers: dict[str, Path], tmp_path: Path) -> None:
    for name, kind in (("dino", ImageFeatures), ("clip", CLIPSimilarity)):
        folder = tmp_path / name
        shutil.copytree(scorers[name], folder)
        harm(folder)  # type: ignore[operator]
        with pytest.raises(ValueError, match=words) as caught:
            kind.load(folder)
        assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


@pytest.mark.slow
def test_a_text_model_is_no_image_model(scorers: dict[str, Path], tmp_path: Path) -> None:
    from tiny import clip as words

    words().save_pretrained(tmp_path / "words")
    (tmp_path / "words" / "preprocessor_config.json").write_text(json.dumps(tiny_scorers.PREPARED))
    with pytest.raises(ValueError, match="cannot encode an image"):
        ImageFeatures.load(tmp_path / "words")
    with pytest.raises(ValueError, match="weights are missing"):
        CLIPSimilarity.load(scorers["dino"])
    half = tmp_path / "half"
    shutil.copytree(scorers["clip"], half)
    for file in half.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ValueError, match="no tokenizer.json or vocab.json"):
        CLIPSimilarity.load(half)
