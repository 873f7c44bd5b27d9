"""`modeseek paper restoration`: problems, the exact posterior, tuning on other images, files, and resuming."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import oracles
import pytest
import torch
from cases import points
from terminal import cli_error

from modeseek.cli import main
from modeseek.codec import RangeCodec
from modeseek.experiments.restoration.annealing import anneal
from modeseek.experiments.restoration.degradations import DEGRADATIONS
from modeseek.experiments.restoration.exact import ExactPosterior
from modeseek.experiments.restoration.findings import edges
from modeseek.experiments.restoration.jobs import RestorationJob
from modeseek.experiments.restoration.plan import Restoration, RestorationCell
from modeseek.experiments.restoration.problem import ImagePrior, Problem, Truth
from modeseek.experiments.restoration.restorers import RESTORERS
from modeseek.experiments.restoration.subjects import DigitImages
from modeseek.meanshift.bandwidth import Geometric
from modeseek.operators import Matrix
from modeseek.priors import Counting, KernelDensity
from modeseek.rng import Streams
from modeseek.runs.jobs import PriorCache
from modeseek.sampling.posterior import Measurement

SMALL = ["--images", "3", "--tuning-images", "2", "--calls", "8", "--noises", "0.05", "--operators", "blur"]
METHODS = ["--methods", "degraded", "mean-shift", "diffpir", "daps-mean", "exact-mean"]


@pytest.fixture(scope="module")
def space() -> ImagePrior:
    data = points(12, 64, seed=2).reshape(12, 1, 8, 8)
    prior = KernelDensity(data, 0.4)
    return ImagePrior(prior, RangeCodec(), True, 1.0, 0.5, density=prior)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("restoration") / "run"
    main(["paper", "restoration", *SMALL, *METHODS, "--out", str(folder)])
    return folder


def problem(space: ImagePrior, name: str, noise: float = 0.0, n: int = 2) -> Problem:
    image = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Problem(space, Truth(image, None, tuple(range(n)), ("a",) * n), DEGRADATIONS[name], noise, 0)


@pytest.mark.parametrize("name", list(DEGRADATIONS))
def test_a_measurement_of_the_image_is_one_of_z(space: ImagePrior, name: str) -> None:
    """z = 2 x - 1 explains the measurement of x exactly, at twice the noise."""
    found = problem(space, name, 0.03)
    clean = problem(space, name)
    z = 2 * clean.truth.image - 1
    assert clean.measurement.residual(z).abs().max() < 1e-6
    noise = (found.y - clean.y).flatten(1)
    assert torch.allclose(found.measurement.residual(z).flatten(1), 2 * noise, atol=1e-6)
    assert found.measurement.noise == pytest.approx(0.06)
    assert found.degraded.shape == found.truth.image.shape


def test_hidden_pixels_are_grey_and_have_no_noise(space: ImagePrior) -> None:
    found = problem(space, "box", 0.2)
    assert found.degraded[:, :, 2:6, 2:6].eq(0.5).all()
    assert found.y[:, :, 2:6, 2:6].eq(0).all() and found.y[:, :, :2].ne(0).all()
    hidden = problem(space, "pixels").operator(torch.ones(1, 1, 8, 8)).eq(0).sum()
    assert hidden == round(0.7 * 64)


def test_noise_does_not_depend_on_the_number_of_images(space: ImagePrior) -> None:
    few, many = problem(space, "blur", 0.1, n=2), problem(space, "blur", 0.1, n=3)
    assert torch.equal(few.y - few.operator(few.truth.image), (many.y - many.operator(many.truth.image))[:2])


def test_the_exact_posterior_is_the_mixture_given_y() -> None:
    data, b, s = points(4, 3, seed=5), 0.5, 0.3
    a, y = np.array([[1.0, 0.4, -0.7]]), np.array([0.6])
    prior = KernelDensity(data, b)
    exact = ExactPosterior(prior, Measurement(Matrix(torch.tensor(a)), torch.tensor(y).expand(8000, -1), s))
    law = b * b * a @ a.T + s * s * np.eye(1)
    gain = b * b * a.T @ np.linalg.inv(law)
    weights = np.array([np.exp(oracles.gaussian_log_prob(y, a @ z, law)) for z in data.numpy()])
    means = np.stack([z + gain @ (y - a @ z) for z in data.numpy()])
    want = oracles.Mixture(weights / weights.sum(), means, np.stack([b * b * (np.eye(3) - gain @ a)] * 4))
    np.testing.assert_allclose(exact.mean()[0], want.mean, atol=1e-10)
    drawn = exact.sample(Streams(0)).numpy()
    np.testing.assert_allclose(drawn.mean(0), want.mean, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), want.cov, atol=0.08)


def test_annealed_mean_shift_ends_at_a_maximum_of_the_posterior(space: ImagePrior) -> None:
    """At one call a step; no point around it is likelier, and its start is less likely."""
    prior = space.prior
    assert isinstance(prior, KernelDensity)

    def log_prob(z: torch.Tensor) -> torch.Tensor:
        ones = torch.ones(len(z), dtype=torch.float64)
        return prior.evaluate(z.double(), ones, 0 * ones)[1]

    counting = Counting(prior)
    found = problem(replace(space, prior=counting, log_prob=log_prob), "box", 0.05)
    z = anneal(found, 60, Geometric(1.0, 0.05), found.rng("run"), noisy=0.0)
    assert counting.calls == 2 * 60

    def density(point: torch.Tensor) -> torch.Tensor:
        value = found.log_posterior(point)
        assert value is not None
        return value

    assert (density(z) > density(found.start)).all()
    for seed in range(20):
        assert (density(z) > density(z + 0.1 * points(2, 64, seed=seed).reshape(z.shape))).all()


def test_every_method_keeps_to_its_calls(space: ImagePrior) -> None:
    for entry in (entry for entry in RESTORERS.values() if not entry.averages):
        counting = Counting(space.prior)
        found = problem(space, "downsample", 0.05).with_prior(counting)
        z = entry.run(found, 8, entry.settings[0], 1)
        assert z.shape == (1, 2, 1, 8, 8) and z.isfinite().all()
        free = entry.restore is None or entry.exact_only
        assert counting.calls == (0 if free else 2 * 8), entry.name


def test_the_run_writes_its_files(out: Path) -> None:
    results = json.loads((out / "exports" / "results.json").read_text())
    methods = results["methods"]
    assert list(methods) == METHODS[1:]
    assert methods["mean-shift"]["calls"] == 8 and methods["daps-mean"]["calls"] == 64
    assert methods["exact-mean"]["calls"] == 0
    assert methods["exact-mean"]["gain_low"] <= methods["exact-mean"]["gain"] <= methods["exact-mean"]["gain_high"]
    assert "gain" not in methods["mean-shift"] and methods["daps-mean"]["diversity"] > 0
    assert methods["mean-shift"]["log_posterior"] > methods["degraded"]["log_posterior"]
    assert set(results["facts"]["cells"]) == {"blur-0.05"}
    for name in ("report.html", "exports/table.md", "exports/results.csv", "media/sheet.png"):
        assert (out / name).is_file()
    assert "**PSNR at noise 0.05**\n\n| Method | Blur" in (out / "exports" / "table.md").read_text()


def test_settings_are_chosen_on_other_images(out: Path) -> None:
    chosen = json.loads((out / "exports" / "results.json").read_text())["facts"]["chosen"]["blur-0.05"]
    for name in ("mean-shift", "diffpir"):
        trials = {}
        for setting in RESTORERS[name].settings:
            values = json.loads((out / "jobs" / f"tune-blur-0.05-{name}-{setting:g}.json").read_text())["values"]
            assert len(values["psnr"]) == 2
            trials[setting] = sum(values["psnr"])
        assert chosen[name] == max(trials, key=lambda setting: trials[setting])


def test_settings_at_the_edge_are_said() -> None:
    entry = RESTORERS["diffpir"]
    least = min(entry.settings)
    lines = edges([entry, RESTORERS["degraded"]], [{"diffpir": least}, {"diffpir": least}, {"diffpir": 1.0}])
    assert lines == (
        f"The chosen setting of DiffPIR is the lowest tried ({least:g}) in 2 of 3 cells: a lower one may be better.",
    )


def test_a_finished_run_is_not_computed_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (out / "exports" / "results.csv").read_text()

    def refuse(*args: object) -> None:
        raise AssertionError("a finished job ran again")

    monkeypatch.setattr(RestorationJob, "run", refuse)
    main(["paper", "restoration", *SMALL, *METHODS, "--out", str(out)])
    assert (out / "exports" / "results.csv").read_text() == before


def test_a_method_whose_result_is_not_finite_is_left_out(space: ImagePrior, tmp_path: Path) -> None:
    entry = replace(RESTORERS["dps"], restore=lambda problem, calls, setting, rng: problem.start * float("nan"))
    plan = Restoration((DEGRADATIONS["box"],), (0.05,), (entry,), images=2)
    job = RestorationJob(plan, RestorationCell(DEGRADATIONS["box"], 0.05), entry, 1.0, tunes=False)
    job.run(problem(space, "box", 0.05), tmp_path)
    assert job.load(tmp_path) == "DPS is left out at Box, noise 0.05: the result is not finite"


def test_more_digits_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="there are 364 held-out digits, got 400"):
        DigitImages().load(PriorCache("cpu"), 400, 20, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prior", "faces"], "--prior must be digits, scenes or emoji"),
        (["--prior", "emoji"], "--prior emoji needs --icons"),
        (["--noises", "-1"], "noises must be finite and at least 0"),
        (["--images", "0"], "images must be at least 1"),
        (["--calls", "4"], "calls must be at least 8"),
        (["--operators", "smear"], "operator"),
        (["--methods", "guess"], "method"),
    ],
)
def test_bad_options_are_one_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in cli_error(["paper", "restoration", *options, "--out", str(tmp_path / "out")], capsys)
