"""`modeseek image` end to end on small pipelines: every generator, several prompts, resume, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from terminal import cli_error, help_text

import modeseek as ms
from modeseek import runs
from modeseek.cli import main
from modeseek.runs.api import create_run
from modeseek.runs.build import build
from modeseek.runs.train import train

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make("sd", tmp_path_factory.mktemp("sd"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODESEEK_CACHE", str(tmp_path / "cache"))


def image(sd: Path, out: Path, *more: str, film: str = "none") -> ms.Run:
    argv = ["image", "a red cone", "a cube", "--prior", str(sd), "--size", "16", "16", "--steps", "6"]
    main([*argv, "--film", film, "--out", str(out), *more])
    return ms.Run.load(out)


@pytest.mark.slow
@pytest.mark.usefixtures("loaded_once")
@pytest.mark.parametrize("method", ["msd", "sds", "sdi"])
@pytest.mark.parametrize("generator", ["field", "pixels", "latent"])
def test_every_generator_under_every_method(generator: str, method: str, sd: Path, tmp_path: Path) -> None:
    more = ["--set", "method.sdi.inversion_steps=2"] if method == "sdi" else []
    run = image(sd, tmp_path / "run", "--generator", generator, "--method", method, *more)
    assert run.status.state == "finished" and run.config.prompts == ("a red cone", "a cube")
    calls = {"msd": 6 * 4, "sds": 6 * 4, "sdi": 6 * (2 * 4 + 4)}[method]  # guided: two a row, two rows
    assert run.status.calls == calls
    names = {path.name for path in (run.path / "exports").iterdir()}
    stems = ("a-red-cone-s0", "a-cube-s0")
    images = {f"{stem}{size}.png" for stem in stems for size in ("", "@16x")}
    assert names == {"generator.safetensors", "images.npy", *images}
    exported = np.load(run.path / "exports" / "images.npy")
    assert exported.shape == (2, 3, 16, 16) and np.isfinite(exported).all()
    for index, stem in enumerate(stems):
        with Image.open(run.path / "exports" / f"{stem}.png") as png:
            pixels = np.asarray(png, dtype=float) / 255
        assert np.abs(pixels - exported[index].clip(0, 1).transpose(1, 2, 0)).max() <= 0.5 / 255 + 1e-6
    assert (run.path / "report.html").stat().st_size > 10_000
    guided = {"sdi": "", "sds": ", guidance 101", "msd": ", guidance 7.5"}[method]
    assert run.config.title == f"{method.upper()}: 'a red cone' and 1 more, under sd{guided}"


@pytest.mark.slow
def test_prompts_matter_and_items_are_their_own(sd: Path, tmp_path: Path) -> None:
    both = np.load(image(sd, tmp_path / "both").path / "exports" / "images.npy")
    argv = ["image", "a red cone", "a sphere", "--prior", str(sd), "--size", "16", "16", "--steps", "6"]
    main([*argv, "--out", str(tmp_path / "other")])
    other = np.load(tmp_path / "other" / "exports" / "images.npy")
    assert np.abs(both[0] - other[0]).max() < 1e-4 and np.abs(both[1] - other[1]).max() > 1e-3
    main([*argv, "--negative", "a cube", "--out", str(tmp_path / "negative")])
    assert np.abs(np.load(tmp_path / "negative" / "exports" / "images.npy") - other).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("generator", [runs.FieldConfig(2), runs.LatentConfig(2), runs.PixelsConfig(2, levels=3)])
def test_interrupted_and_resumed_equals_uninterrupted(
    generator: runs.FieldConfig | runs.LatentConfig | runs.PixelsConfig, sd: Path, tmp_path: Path
) -> None:
    config = ms.Config(
        runs.PipelinePriorConfig(str(sd), (16, 16)),
        ms.MSD(ms.Along(), weight=ms.weights.alpha_sigma, jitter=ms.Until(0.7)), generator, steps=9,
        prompts=("a red cone",), scale=3.0, inner_steps=2, saving=runs.CheckpointConfig(steps=3), previews=2,
        device="cpu",
    )  # fmt: skip
    whole = ms.run(config, tmp_path / "whole")
    run, job = create_run(config, ["test"], tmp_path / "pieces")
    for progress in train(run, job, 9):
        if progress.done == 5:
            break
    ms.resume(run)
    ends = [(r.path / "exports" / "generator.safetensors").read_bytes() for r in (whole, run)]
    assert ends[0] == ends[1]
    assert run.config == config and build(run.config).loaded.sha256 == run.environment["prior"]["sha256"]


def test_images_are_shifted_on_request_and_latents_never(
    sd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    still, moved = (
        image(sd, tmp_path / f"shift-{pixels}", "--generator", "pixels", "--shift", str(pixels)) for pixels in (0, 3)
    )
    assert (still.config.shift, moved.config.shift) == (0, 3)
    first, second = (np.load(run.path / "exports" / "images.npy") for run in (still, moved))
    capsys.readouterr()  # progress of the runs
    assert first.shape == second.shape and not np.array_equal(first, second)
    for options, words in (
        (["--generator", "latent", "--shift", "2"], "shift must be 0 for a generator in the prior's own space"),
        (["--generator", "pixels", "--shift", "-1"], "shift must be at least 0, got -1"),
        (["--generator", "field", "--shift", "16"], "smaller than the image of 16 x 16 pixels, got 16"),
    ):
        error = cli_error(["image", "a cube", "--prior", str(sd), "--size", "16", "16", *options], capsys)
        assert words in error


def test_inner_steps_are_for_methods_with_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (["image", "a cube"], ["run", "--prior", "emoji", "--generator", "pixels"]):
        error = cli_error([*verb, "--method", "csd", "--inner-steps", "4"], capsys)
        assert "inner_steps must be 1 for CSD, whose directions have no target in z, got 4; try msd or sds" in error
        assert "inner_steps must be at least 1, got 0" in cli_error([*verb, "--inner-steps", "0"], capsys)
        for options, number in (([], 4), (["--inner-steps", "2"], 2), (["--method", "csd"], 1)):
            main([*verb, *options, "--dry-run"])
            assert f"inner_steps: {number}\n" in capsys.readouterr().out
    for options, steps, number in (([], 100, 2), (["--inner-steps", "1"], 300, 1), (["--prior", "renders"], 300, 1)):
        main(["shape", "a cube", *options, "--dry-run"])
        output = capsys.readouterr().out
        assert f"inner_steps: {number}\n" in output and f"\nsteps: {steps}\n" in output
    main(["shape", "a cube", "--inner-steps", "3", "--steps", "7", "--dry-run"])
    output = capsys.readouterr().out
    assert "inner_steps: 3\n" in output and "\nsteps: 7\n" in output
    assert "inner_steps must be 1 for CSD" in cli_error(
        ["shape", "a cube", "--method", "csd", "--inner-steps", "3"], capsys
    )


def test_another_network_is_another_prior(sd: Path, tmp_path: Path) -> None:
    other = tiny.make("sd-v", tmp_path)
    a, b = (runs.PipelinePriorConfig(str(path), (16, 16)).load("cpu").sha256 for path in (sd, other))
    assert a != b and a == runs.PipelinePriorConfig(str(sd), (16, 16)).load("cpu").sha256


def test_half_precision_predicts_in_float32(sd: Path) -> None:
    full, half = (ms.Pipeline.load(sd, size=16, dtype=d, cache=None) for d in (torch.float32, torch.bfloat16))
    z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    answers = [p.at(z, torch.tensor([0.6]), torch.tensor([0.8]), p.encode(["a red cone"])).eps for p in (full, half)]
    assert answers[1].dtype == torch.float32
    assert torch.allclose(answers[0], answers[1], atol=0.05) and not torch.equal(*answers)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--method", "msdd"], "did you mean msd?"),
        (["--size", "15", "16"], "multiples of 2 pixels: got 15 x 16"),
        (["--copies", "0"], "copies must be at least 1"),
        (["--prior", "/nowhere"], "there is no pipeline /nowhere"),
        (["--set", "generator.field.knd=hash"], "did you mean kind?"),
        (["--steps", "0"], "steps must be 1 to 1e9"),
    ],
)
def test_invalid_settings_are_refused(
    more: list[str], words: str, sd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["image", "a red cone", "--prior", str(sd), "--out", str(tmp_path / "run"), *more]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("modeseek.priors.pipeline.pipeline.Pipeline._expanded", None, raising=True)
        assert words in cli_error(argv, capsys)
    assert not (tmp_path / "run").exists()


def test_plain_samples_are_the_samplers(sd: Path, tmp_path: Path) -> None:
    argv = ["sample", "a red cone", "a cube", "--prior", str(sd), "--size", "16", "16", "--steps", "5", "--scale", "3"]
    main([*argv, "--copies", "3", "--out", str(tmp_path / "a")])
    prior = ms.Pipeline.load(sd, size=16, cache=None)
    conditions = prior.conditions(["a red cone", "a cube"] * 3)
    z = prior.start(6, ms.Streams(0, items=tuple(range(6)), use="start"))
    with torch.no_grad():
        want = prior.codec.decode(ms.ddim(ms.Guided(prior, 3.0), z, prior.grid(5), conditions))
    run = ms.Run.load(tmp_path / "a")
    stems = [f"{stem}-s0-{copy}" for copy in (1, 2, 3) for stem in ("a-red-cone", "a-cube")]
    names = {path.name for path in (run.path / "exports").iterdir()}
    assert names == {f"{stem}{size}.png" for stem in stems for size in ("", "@16x")}
    for index, stem in enumerate(stems):
        with Image.open(run.path / "exports" / f"{stem}.png") as image:
            pixels = np.asarray(image, dtype=float) / 255
        assert np.abs(pixels - want[index].clamp(0, 1).permute(1, 2, 0).numpy()).max() <= 1.01 * 0.5 / 255
    assert run.status.state == "finished" and "60 prior calls" in (run.path / "report.html").read_text()
    with Image.open(run.path / "media" / "sheet.png") as sheet:
        assert sheet.width * (3 * 17 + 1) == sheet.height * (2 * 17 + 1), "a column a prompt, a row a copy"
    main(["run", str(run.path), "--out", str(tmp_path / "again")])
    same = [(tmp_path / name / "exports" / "a-cube-s0-2.png").read_bytes() for name in ("a", "again")]
    assert same[0] == same[1]


def test_prompts_need_a_text_conditional_prior(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["run", "--prior", "ring", "--set", "prompts=[a cone]", "--out", str(tmp_path / "run")]
    assert "ring takes no prompts" in cli_error(argv, capsys)
    assert "prompts must not be empty" in cli_error(["image", " ", "--prior", "x"], capsys)


def test_the_help_shows_options_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    output = help_text(["image", "--help"], capsys)
    for words in ("modeseek image", "--generator", "101", "--negative", "--copies"):
        assert words in output


def test_the_film_holds_the_previews_of_the_run(sd: Path, tmp_path: Path) -> None:
    import av

    run = image(sd, tmp_path / "run", film="auto")
    with av.open(run.path / "media" / "optimisation.mp4") as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert film.streams.video[0].codec_context.name == "h264"
    previews = sorted((run.path / "previews").glob("step-*.png"))
    assert len(frames) == len(previews) + 12, "the last one is held"
    for frame, path in zip(frames, previews, strict=False):
        with Image.open(path) as preview:
            want = np.asarray(preview.convert("RGB"), dtype=float)
        want = want.repeat(2, 0).repeat(2, 1)  # previews of 234 pixels: a film has 462 or more
        height, width = frame.shape[:2]
        assert abs(height - want.shape[0]) <= 1 and abs(width - want.shape[1]) <= 1
        assert np.abs(frame - want[:height, :width]).mean() < 12, "but for what the codec loses"


def test_a_lora_of_the_command_line_is_kept(sd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import save_file

    layer = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
    down, up = torch.randn(2, 2, 16, generator=torch.Generator().manual_seed(0))
    weights = {f"{layer}.lora_A.weight": down, f"{layer}.lora_B.weight": up.T.contiguous()}
    save_file(weights, tmp_path / "style.safetensors")
    plain = image(sd, tmp_path / "plain", "--generator", "latent")
    run = image(sd, tmp_path / "styled", "--generator", "latent", "--lora", f"{tmp_path}/style.safetensors=0.5")
    assert run.config.prior.loras == (ms.priors.LoRA(f"{tmp_path}/style.safetensors", 0.5),)
    a, b = (np.load(each.path / "exports" / "images.npy") for each in (plain, run))
    assert np.abs(a - b).max() > 1e-3
    capsys.readouterr()
    line = cli_error(["image", "a cone", "--prior", str(sd), "--lora", "style.safetensors=much"], capsys)
    assert "FILE=SCALE" in line
