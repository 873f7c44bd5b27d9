"""Memory requirements against the loaded pipeline, and the output of `modeseek doctor --prior`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from modeseek.cli import main
from modeseek.priors.pipeline import Pipeline
from modeseek.priors.pipeline.requirements import read_requirements

diffusers = pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def stored(part: torch.nn.Module) -> int:
    """Number of parameters of a component; tied ones are stored once."""
    return sum({x.data_ptr(): x.numel() for x in part.state_dict().values()}.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sdxl", "if", "sd3", "flux", "pixart"])
def test_requirements_are_those_of_the_loaded_pipeline(name: str, tmp_path: Path) -> None:
    path = tiny.make(name, tmp_path)
    size = None if name == "if" else 16
    required = read_requirements(path, torch.float16, size)
    prior = Pipeline.load(path, dtype=torch.float16, size=size, cache=None)
    pipe = diffusers.DiffusionPipeline.from_pretrained(path, safety_checker=None, dtype=torch.float16)
    expected = {key: stored(part) for key, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    assert {part.name: part.n_parameters for part in required.components} == expected
    assert required.shape == prior.shape and required.kind == type(pipe).__name__
    assert required.pixels == tuple(prior.codec.decode(torch.zeros(1, *prior.shape)).shape[2:])
    weights = stored(prior.network) * 2 + (stored(prior.pipe.vae) * 4 if hasattr(pipe, "vae") else 0)
    assert required.bytes_in_phase("optimising") == weights


def test_shards_are_counted_once(tmp_path: Path) -> None:
    path = tiny.make("sd", tmp_path)
    whole = read_requirements(path)
    network = diffusers.UNet2DConditionModel.from_pretrained(path / "unet")
    for file in (path / "unet").iterdir():
        file.unlink()
    network.save_pretrained(path / "unet", max_shard_size="100KB")
    (path / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"a second precision, which is not read")
    assert len(list((path / "unet").glob("*-of-*"))) > 1
    sharded = read_requirements(path)
    assert [c.n_parameters for c in sharded.components] == [c.n_parameters for c in whole.components]
    index = next((path / "unet").glob("*.index.json"))
    index.write_text(json.dumps([]))
    with pytest.raises(ValueError, match="is damaged"):
        read_requirements(path)


def test_doctor_reports_and_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny.make("sd", tmp_path)
    main(["doctor", "--prior", str(path), "--size", "32", "16", "--measure"])
    out = capsys.readouterr().out
    numbers = sum(p.numel() for p in diffusers.UNet2DConditionModel.from_pretrained(path / "unet").parameters())
    assert "StableDiffusionPipeline, 32 x 16 pixels, z 4 x 16 x 8" in out
    assert f"unet (UNet2DConditionModel): {numbers / 1e6:.3g} M numbers, {4 * numbers / 2**20:.2f} MiB" in out
    assert "text_encoder (CLIPTextModel)" in out and "guided SDS from pixels in" in out
    assert math.isfinite(float(out.split("from pixels in ")[1].split(" s")[0]))


def test_doctors_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny.make("sd", tmp_path)

    capsys.readouterr()

    def refused(*more: str) -> str:
        with pytest.raises(SystemExit) as caught:
            main(["doctor", *more])
        assert caught.value.code == 2
        message = capsys.readouterr().err.strip()
        assert "\n" not in message
        return message

    assert "there is no pipeline" in refused("--prior", str(tmp_path / "none"))
    assert "multiples of 2 pixels" in refused("--prior", str(path), "--size", "17", "16")
    weights = next((path / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:40])
    assert "holds no safetensors" in refused("--prior", str(path))
    (path / "unet" / "config.json").unlink()
    assert "config.json cannot be read" in refused("--prior", str(path))
    if not torch.cuda.is_available():
        assert "CUDA device" in refused("--prior", str(path), "--device", "cuda")
