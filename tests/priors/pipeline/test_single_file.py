"""Single-file checkpoints against the folder that they were made from, and every fault of one in one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from modeseek.cli import main
from modeseek.priors.pipeline import Pipeline
from modeseek.priors.pipeline.requirements import read_requirements

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers
from original_checkpoint import original_tensors, write_checkpoint  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
Tensors = dict[str, Tensor]
NETWORK, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.text_model."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Stable Diffusion as a folder."""
    return tiny.make("sd", tmp_path_factory.mktemp("pipelines"))


@pytest.fixture(scope="module")
def configurations(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder without its weights."""
    copy = tmp_path_factory.mktemp("configurations") / "x"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.safetensors"))
    return copy


def results(path: Path, **options: object) -> tuple[Tensor, Tensor]:
    """Prediction for two texts, and a latent."""
    prior = Pipeline.load(path, cache=None, size=16, **options)  # type: ignore[arg-type]
    g = torch.Generator().manual_seed(3)
    z, image = torch.randn(2, *prior.shape, generator=g), torch.rand(1, 3, 16, 16, generator=g)
    return prior(z, torch.tensor([0.3, 0.8]), prior.encode(["red", "a cube"])).eps, prior.codec.encode(image)


def test_a_single_file_is_the_pipeline_it_was_made_from(folder: Path, configurations: Path, tmp_path: Path) -> None:
    file = write_checkpoint(folder, tmp_path / "x.safetensors")
    expected = results(folder)
    for found in (results(file, config=configurations), results(_beside(file, configurations))):
        for ours, ground_truth in zip(found, expected, strict=True):
            assert torch.equal(ours, ground_truth)


def test_a_file_in_the_folder_of_its_pipeline_is_read(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "p")
    file = write_checkpoint(folder, tmp_path / "p" / "v1.safetensors")
    for weights in (tmp_path / "p").rglob("unet/*.safetensors"):
        weights.unlink()
    assert torch.equal(results(file)[0], results(folder)[0])


@pytest.mark.parametrize("part", [VAE, TEXT])
def test_a_component_that_the_file_lacks_is_of_the_folder(part: str, folder: Path, tmp_path: Path) -> None:
    kept = {key: value for key, value in original_tensors(folder).items() if not key.startswith(part)}
    save_file(kept, tmp_path / "x.safetensors")
    assert torch.equal(results(tmp_path / "x.safetensors", config=folder)[0], results(folder)[0])


def test_texts_of_another_checkpoint_are_encoded_anew(folder: Path, configurations: Path, tmp_path: Path) -> None:
    """Both have the same size, and differ in one layer of the text encoder."""
    tensors, cache = original_tensors(folder), tmp_path / "cache"
    save_file(tensors, tmp_path / "x.safetensors")
    options = {"config": configurations, "cache": cache, "size": 16}
    first = Pipeline.load(tmp_path / "x.safetensors", **options).encode(["red"])["text"]
    save_file(tensors | {f"{TEXT}encoder.layers.0.mlp.fc1.weight": torch.zeros(32, 16)}, tmp_path / "x.safetensors")
    assert (Pipeline.load(tmp_path / "x.safetensors", **options).encode(["red"])["text"] - first).abs().max() > 1e-3


def _lacks(key: str) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.pop(key)


def _holds(key: str, shape: tuple[int, ...]) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.update({key: torch.zeros(shape)})


def _drop(start: str) -> Callable[[Tensors], object]:
    return lambda tensors: [tensors.pop(key) for key in list(tensors) if key.startswith(start)]


BROKEN: dict[str, tuple[Callable[[Tensors], object], str]] = {
    "network lacks": (
        _lacks(f"{NETWORK}middle_block.0.in_layers.2.weight"),
        "unet, lacks the weights of mid_block.resnets.0.conv1.weight",
    ),
    "autoencoder lacks": (
        _lacks(f"{VAE}decoder.mid.block_1.conv1.weight"),
        "vae, lacks the weights of decoder.mid_block.resnets.0.conv1.weight",
    ),
    "text encoder lacks": (
        _lacks(f"{TEXT}encoder.layers.1.mlp.fc1.weight"),
        "text_encoder, lacks the weights of encoder.layers.1.mlp.fc1.weight",
    ),
    "other shape": (
        _holds(f"{NETWORK}out.2.weight", (4, 8, 1, 1)),
        "unet, has another shape in conv_out.weight (4 x 8 x 1 x 1, not 4 x 8 x 3 x 3)",
    ),
    "other shape of a text encoder": (_holds(f"{TEXT}final_layer_norm.weight", (3,)), "as the text_encoder of"),
    "a layer more": (_holds(f"{NETWORK}input_blocks.7.0.weight", (9, 9)), "see model.diffusion_model.input_blocks.7.0"),
    "a name that diffusers drops": (_holds(f"{VAE}loss.weight", (3, 7)), "see first_stage_model.loss.weight"),
    "inpainting": (
        _holds(f"{NETWORK}input_blocks.0.0.weight", (8, 9, 3, 3)),
        "takes 9 input channels, not 4: it is an",
    ),
    "no autoencoder": (_drop(VAE), "holds no vae, nor does"),
    "no text encoder": (_drop(TEXT), "holds no text_encoder, nor does"),
    "of SDXL": (
        _holds("conditioner.embedders.1.model.ln_final.bias", (3,)),
        "is a file of StableDiffusionXLPipeline, but",
    ),
    "no network": (_drop(NETWORK), "is a file that holds no checkpoint that is known"),
    "8 bits": (
        lambda tensors: tensors.update({f"{NETWORK}out.2.weight": torch.zeros(4, 8, 3, 3, dtype=torch.int8)}),
        "holds quantised weights (I8",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_of_a_single_file_is_one_line(fault: str, folder: Path, configurations: Path, tmp_path: Path) -> None:
    tensors = original_tensors(folder)
    BROKEN[fault][0](tensors)
    save_file(tensors, tmp_path / "x.safetensors")
    for call in (
        lambda: read_requirements(tmp_path / "x.safetensors", size=16, config=configurations),
        lambda: Pipeline.load(tmp_path / "x.safetensors", cache=tmp_path / "cache", size=16, config=configurations),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert BROKEN[fault][1] in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_without_configurations_the_line_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    file = write_checkpoint(folder, tmp_path / "x.safetensors")
    for config in (None, tmp_path):
        with pytest.raises(ValueError, match="without its configurations .*from_single_file"):
            Pipeline.load(file, config=config)
    with pytest.raises(ValueError, match="config is for single-file checkpoints"):
        Pipeline.load(folder, config=folder)


def test_doctor_reads_a_single_file(
    folder: Path, configurations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_checkpoint(folder, tmp_path / "x.safetensors")
    main(["doctor", "--prior", str(file), "--config", str(configurations)])
    out = capsys.readouterr().out
    assert "StableDiffusionPipeline, 16 x 16 pixels" in out and out.count("from x.safetensors (F32)") == 3


def _beside(file: Path, configurations: Path) -> Path:
    shutil.copytree(configurations, file.with_suffix(""))
    return file
