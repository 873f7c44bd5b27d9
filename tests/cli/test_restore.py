"""`modeseek restore` end to end on a small pipeline: operators, generators, files, scores, resume, mistakes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import convolve
from terminal import cli_error, help_text

import modeseek as ms
from modeseek.cli import main
from modeseek.config.config import CheckpointConfig
from modeseek.config.measurement import MeasurementConfig
from modeseek.config.optimizers import SGDConfig
from modeseek.config.priors import RenderedPriorConfig
from modeseek.config.restore_config import restore_config
from modeseek.rundir.restoration_records import RestorationRecord, read_restoration_records
from modeseek.runs.api import create_run
from modeseek.runs.train import train

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.usefixtures("loaded_once"),
]


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make("sd", tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image, a mask of its size, masks that are not fit, and a kernel."""
    path = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path / "cone.png")
    mask = np.zeros((16, 16), np.uint8)
    mask[4:10, 5:12] = 255
    Image.fromarray(mask).save(path / "mask.png")
    Image.fromarray(mask[:, :8]).save(path / "narrow.png")
    Image.fromarray(np.full((16, 16), 255, np.uint8)).save(path / "all.png")
    Image.fromarray(np.array([[0, 80, 0], [80, 160, 80], [0, 80, 0]], np.uint8)).save(path / "kernel.png")
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(path / "black.png")
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODESEEK_CACHE", str(tmp_path / "cache"))


def restore(folder: Path, sd: Path, out: Path, *more: str) -> ms.Run:
    argv = ["restore", str(folder / "cone.png"), "a cone", "--prior", str(sd), "--size", "16", "--steps", "2"]
    main([*argv, "--film", "none", "--out", str(out), *more])
    return ms.Run.load(out)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("generator", "more"),
    [
        ("latent", ["--mask", "mask.png"]),
        ("pixels", ["--operator", "downsample", "--factor", "2"]),
        ("field", ["--operator", "blur", "--kernel", "kernel.png"]),
    ],
)
def test_files_and_scores(generator: str, more: list[str], folder: Path, sd: Path, tmp_path: Path) -> None:
    more = [str(folder / part) if part.endswith(".png") else part for part in more]
    run = restore(folder, sd, tmp_path / "run", "--generator", generator, "--degrade", *more)
    assert run.status.state == "finished"
    files = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    assert files >= {"media/degraded.png", "media/source.png", "media/difference.png", "results.png", "report.html"}
    (record,) = read_restoration_records(run.path)
    truth = np.asarray(Image.open(run.path / "media" / "source.png")).astype(float) / 255
    assert np.array_equal(truth * 255, np.asarray(Image.open(folder / "cone.png")))
    result = np.load(run.path / "exports" / "images.npy")[0].transpose(1, 2, 0)
    expected = -10 * np.log10(((result.clip(0, 1) - truth) ** 2).mean())
    assert record.psnr == pytest.approx(expected, abs=0.2) and record.residual > 0 and record.ssim is not None
    page = (run.path / "report.html").read_text()
    assert "Residual over noise" in page and "PSNR of the data" in page and f"Data: {record.operator}" in page


def test_black_margins_of_a_kernel_cost_no_data(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), "white").save(tmp_path / "part.png")
    loaded = RenderedPriorConfig("a red cube", 16, 4).load("cpu")
    shares = {}
    for margin in (0, 3):
        wide = np.pad(np.full((3, 1), 9, np.uint8), margin)
        Image.fromarray(wide).save(tmp_path / "kernel.png")
        config = MeasurementConfig(tmp_path / "part.png", "blur", kernel=tmp_path / "kernel.png")
        missing = config.load(loaded, 0).missing
        assert missing is not None
        shares[margin] = missing.sum().item()
    assert shares == {0: 2 * 16, 3: 2 * 16}
    with pytest.warns(match="only 6% of the blurred pixels are free of what lies outside"):
        MeasurementConfig(tmp_path / "part.png", "blur", sigma=2.0).load(loaded, 0)
    assert (
        MeasurementConfig(tmp_path / "part.png", "blur", sigma=2.0, boundary="circular").load(loaded, 0).missing is None
    )


@pytest.mark.parametrize("name", ["kernel.png", "even.png"])
def test_a_blur_assumes_nothing_of_what_lies_outside(name: str, folder: Path, tmp_path: Path) -> None:
    """A photograph is a part of a larger blurred world: only its inner pixels are those of the blurred part."""
    world = np.random.default_rng(0).random((22, 24, 3)).round(2)
    even = np.array([[10, 40, 0, 90], [30, 80, 50, 20]], np.uint8)
    Image.fromarray(even).save(tmp_path / "even.png")
    kernel = tmp_path / name if name == "even.png" else folder / name
    weights = np.asarray(Image.open(kernel)).astype(float)
    blurred = np.stack([convolve(world[..., c], weights / weights.sum(), mode="constant") for c in range(3)], -1)
    inner = (slice(3, 19), slice(4, 20))
    Image.fromarray((255 * blurred[inner]).round().astype(np.uint8)).save(tmp_path / "part.png")
    loaded = RenderedPriorConfig("a red cube", 16, 4).load("cpu")
    truth = torch.tensor(world[inner]).permute(2, 0, 1)[None]
    error = {}
    for boundary in ("valid", "circular"):
        config = MeasurementConfig(tmp_path / "part.png", "blur", kernel=kernel, boundary=boundary)
        measurement = config.load(loaded, 0)
        error[boundary] = (measurement.operator(truth) - measurement.y).abs().max().item()
        missing = 0 if measurement.missing is None else int(measurement.missing.sum())
        used = (17 - weights.shape[0]) * (17 - weights.shape[1])
        assert missing == (0 if boundary == "circular" else 16 * 16 - used)
        assert measurement.shown.shape == (3, 16, 16)
    assert error["valid"] < 0.51 / 255 < 0.1 < error["circular"]


def test_data_are_fitted_as_far_as_their_noise_says(folder: Path, sd: Path, tmp_path: Path) -> None:
    """The residual of less noise is smaller, and an image that is degraded already has no truth."""
    residuals = []
    for noise in ("0.3", "0.01"):
        options = ["--operator", "downsample", "--factor", "4", "--noise", noise, "--steps", "4"]
        (record,) = read_restoration_records(restore(folder, sd, tmp_path / noise, *options).path)
        assert record.psnr is None and record.ssim is None and record.noise == float(noise)
        residuals.append(record.residual)
    assert residuals[1] < 0.5 * residuals[0]


def test_a_resumed_restoration_is_an_uninterrupted_one(folder: Path, sd: Path, tmp_path: Path) -> None:
    mask = ["--mask", str(folder / "mask.png"), "--steps", "4"]
    whole = restore(folder, sd, tmp_path / "whole", *mask)
    config = restore_config(
        folder / "cone.png",
        ["a cone"],
        "inpaint",
        str(sd),
        mask=folder / "mask.png",
        size=(16, 16),
        steps=4,
        film="none",
    )
    config = replace(config, saving=CheckpointConfig(steps=1))
    run, objects = create_run(config, ["test"], tmp_path / "part")
    job = train(run, objects, 4)
    for _ in range(2):
        next(job)
    job.close()
    main(["resume", str(run.path)])
    first, second = (np.load(r.path / "exports" / "images.npy") for r in (whole, run))
    assert np.array_equal(first, second)
    assert read_restoration_records(whole.path) == read_restoration_records(run.path)


def test_each_step_of_latents_goes_to_the_target(folder: Path, sd: Path) -> None:
    config = restore_config(folder / "cone.png", ["a", "b"], "downsample", str(sd), copies=3, noise=0.1)
    assert config.optimizer == SGDConfig(6.0) and config.scale == 1 and config.steps == 50
    assert config.measurement == MeasurementConfig(folder / "cone.png", "downsample", 0.1)
    given = restore_config(folder / "cone.png", ["a"], "blur", str(sd), settings=["method.msd.jitter=0.5"])
    assert isinstance(given.method, ms.MSD) and given.method.jitter == 0.5


MISTAKES = [
    (["none.png", "a"], "none.png: No such file or directory"),
    (["cone.png", "a"], "a mask must be given for inpaint alone, got none; try --operator inpaint --mask FILE"),
    (["cone.png", "a", "--operator", "blur", "--mask", "mask.png"], "a mask must be given for inpaint alone, got one"),
    (["cone.png", "--mask", "mask.png"], "prompts must not be empty"),
    (["cone.png", "a", "--operator", "blur", "--noise", "-1"], "noise must be at least 0 and finite, got -1.0"),
    (["cone.png", "a", "--operator", "blur", "--noise", "0"], "noise must be above 0 for a blur whose edges are"),
    (["cone.png", "a", "--operator", "blur", "--set", "measurement.boundary=open"], "unknown value 'open'"),
    (["cone.png", "a", "--operator", "blur", "--sigma", "0"], "sigma must be positive and finite, in pixels, got 0.0"),
    (["cone.png", "a", "--operator", "downsample", "--factor", "0"], "factor must be a whole number >= 1, got 0"),
    (["cone.png", "a", "--mask", "mask.png", "--generator", "nerf"], "unknown generator 'nerf'"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "words"), MISTAKES)
def test_a_mistake_is_one_line_before_anything_is_loaded(
    more: list[str], words: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    out = tmp_path / "run"
    assert words in cli_error(["restore", *more, "--prior", "no/such/model", "--out", str(out)], capsys)
    assert not out.exists()


WRONG_DATA = [
    (["--mask", "narrow.png"], "mask must have the size of the image, 16 x 16 pixels, got 8 x 16; try another"),
    (["--mask", "all.png"], "mask must leave some of the image, got all.png, which is white everywhere"),
    (["--operator", "blur", "--kernel", "black.png"], "kernel must be a finite matrix that is not 0 everywhere"),
    (["--operator", "blur", "--kernel", "cone.png", "--size", "8"], "kernel must be no larger than the image of 8 x 8"),
    (["--operator", "downsample", "--factor", "3"], "factor must divide the height and width of the image, got 3"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "words"), WRONG_DATA)
def test_data_that_do_not_fit_are_one_line(
    more: list[str], words: str, folder: Path, sd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    out = tmp_path / "run"
    argv = ["restore", "cone.png", "a", "--prior", str(sd), "--size", "16", "--out", str(out), *more]
    assert words in cli_error(argv, capsys)
    assert not out.exists()


def test_a_measurement_needs_msd_and_images(folder: Path, sd: Path) -> None:
    config = restore_config(folder / "cone.png", ["a"], "blur", str(sd))
    with pytest.raises(ValueError, match="a measurement needs the method msd, got sds; try --method msd"):
        replace(config, method=ms.SDS())


def test_the_help_names_the_image_and_the_operators(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_text(["restore", "--help"], capsys)
    assert "IMAGE" in text and "inpaint|blur|downsample" in text and "--degrade" in text


def test_from_python(folder: Path, sd: Path, tmp_path: Path) -> None:
    prior = ms.Pipeline.from_pretrained(sd, size=16, cache=None)
    result = ms.restore(
        folder / "cone.png", "a cube", "downsample", prior, factor=2, steps=2, degrade=True, out=tmp_path / "run"
    )
    assert isinstance(result, ms.RestoreResult) and isinstance(result.scores[0], RestorationRecord)
    assert result.image.size == (16, 16) and torch.isfinite(torch.tensor(result.scores[0].psnr))
    with pytest.raises(TypeError, match=r"ms.restore has no option 'nois'; did you mean noise"):
        ms.restore(folder / "cone.png", "a", "blur", prior, nois=3)
