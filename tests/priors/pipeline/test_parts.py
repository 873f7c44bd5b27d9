"""Keys, files and variants of every component of every family; downloads of one set of weights; null components."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from modeseek.cli import main
from modeseek.priors.pipeline import Pipeline
from modeseek.priors.pipeline.configurations import component_class
from modeseek.priors.pipeline.parts import check_part, find_weights, load_part
from modeseek.priors.pipeline.weight_files import choose_weights, first_rows

diffusers = pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
from which_models.weights import as_variant, edited, sharded, weight_file  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
PARTS = {  # every class of a component
    "sd": ("unet", "vae", "text_encoder"),
    "sdxl": ("text_encoder_2",),
    "sd3": ("transformer", "text_encoder_3"),
    "flux": ("transformer",),
    "pixart": ("transformer",),
}
CASES = [(name, part) for name, parts in PARTS.items() for part in parts]
STEM = "diffusion_pytorch_model"


@pytest.fixture
def copy(folder: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a pipeline to change."""
    return lambda name: Path(shutil.copytree(folder(name), tmp_path / name))


def stored_keys(file: Path) -> dict[str, Tensor]:
    """Tensors of a component, without those that its library ties to another."""
    return {key: value for key, value in load_file(file).items() if key != "shared.weight" and value.ndim > 0}


@pytest.mark.parametrize(("name", "part"), CASES)
def test_every_key_of_every_component_is_checked(name: str, part: str, copy: Callable[[str], Path]) -> None:
    path = copy(name)
    file = weight_file(path / part)
    weights, (key, *_) = load_file(file), sorted(stored_keys(file))
    assert set(check_part(path, part)) == set(weights)
    faults: dict[str, dict[str, Tensor]] = {
        f"lacks the weights of {key}": {other: value for other, value in weights.items() if other != key},
        f"has another shape in {key} (7 x 5, not ": weights | {key: torch.zeros(7, 5)},
        "holds weights of no layer of its configuration: my.extra": weights | {"my.extra": torch.zeros(3)},
        "holds quantised weights (U8 in": weights | {key: torch.zeros(4, 4, dtype=torch.uint8)},
    }
    for line, changed in faults.items():
        save_file(changed, file, metadata={"format": "pt"})
        for call in (check_part, load_part) if line.startswith("lacks") else (check_part,):
            with pytest.raises(ValueError) as caught:
                call(path, part, torch.float32)
            assert line in str(caught.value) and str(path / part) in str(caught.value)
            assert "\n" not in str(caught.value)


def test_several_faults_are_one_line_with_their_numbers(copy: Callable[[str], Path]) -> None:
    path = copy("sd")
    file = weight_file(path / "unet")
    weights = {key: value for key, value in load_file(file).items() if "mid_block" not in key}
    n = len(load_file(file)) - len(weights)
    extra = {f"extra.{index}": torch.zeros(1) for index in range(5)}
    save_file(weights | extra | {"conv_in.bias": torch.zeros(2)}, file, metadata={"format": "pt"})
    with pytest.raises(ValueError) as caught:
        load_part(path, "unet", torch.float32)
    line = str(caught.value)
    assert f"({n} in all); it has another shape in conv_in.bias (2, not 8); it holds" in line
    assert "extra.0, extra.1, extra.2 ... (5 in all); copy" in line


@pytest.mark.parametrize(("name", "part"), [("sd3", "text_encoder_3"), ("flux", "transformer")])
def test_a_check_reads_no_weights(name: str, part: str, copy: Callable[[str], Path]) -> None:
    """A file of 20 GB that is all hole is checked in the time of a small one."""
    path = copy(name)
    field = "vocab_size" if part == "text_encoder_3" else "joint_attention_dim"
    key = "shared.weight" if part == "text_encoder_3" else "context_embedder.weight"
    file = weight_file(path / part)
    weights = load_file(file)
    config = json.loads((path / part / "config.json").read_text())
    rows, columns = weights[key].shape
    long = 5 * 2**30 // (rows if part == "transformer" else columns)
    shape = (long, columns) if part == "text_encoder_3" else (rows, long)
    config[field] = long
    (path / part / "config.json").write_text(json.dumps(config))
    header, end = {}, 0
    for other, value in weights.items():
        size = 4 * (shape[0] * shape[1] if other == key else value.numel())
        place = {
            "dtype": "F32",
            "shape": shape if other == key else list(value.shape),
            "data_offsets": [end, end + size],
        }
        header[other], end = place, end + size
    text = json.dumps(header).encode()
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + end)
    began = time.perf_counter()
    assert check_part(path, part)[key][1] == shape
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("part", ["vae", "text_encoder"])
def test_weights_that_are_no_numbers_are_refused(part: str, value: float, copy: Callable[[str], Path]) -> None:
    """In the file, or in float16, where 1e30 is infinite."""
    path = copy("sd")
    file = weight_file(path / part)
    weights = load_file(file)
    key = sorted(weights)[3]
    weights[key].view(-1)[1] = value
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"weights that are NaN or infinite in float16: .*{key}"):
        load_part(path, part, torch.float16)
    if value == 1e30:
        load_part(path, part, torch.bfloat16)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("name", "part"), [("sd", "unet"), ("sd", "vae"), ("sd", "text_encoder"), ("sd3", "text_encoder_3")]
)
def test_shards_of_a_variant_hold_what_one_file_held(
    name: str, part: str, legacy: bool, copy: Callable[[str], Path], tmp_path: Path
) -> None:
    path = copy(name)
    before = load_part(path, part, torch.float32).state_dict()
    sharded(part, "fp16", legacy)(path)
    dotted = path.rename(tmp_path / "v1.5.copy")  # diffusers itself splits the path at its dots
    after = load_part(dotted, part, torch.float32).state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize(
    ("names", "dtype", "label"),
    [
        (("", ".fp16", ".bf16"), torch.float16, f"{STEM}.safetensors"),
        ((".fp16", ".bf16", ".fp32"), torch.float16, f"{STEM}.fp16.safetensors"),
        ((".fp16", ".bf16"), torch.bfloat16, f"{STEM}.bf16.safetensors"),
        ((".fp16", ".bf16"), torch.float32, f"{STEM}.bf16.safetensors"),
        ((".fp16", ".non_ema"), torch.float32, f"{STEM}.fp16.safetensors"),
        ((".ema", ".non_ema"), torch.float32, f"{STEM}.ema.safetensors"),
        ((".non_ema",), None, f"{STEM}.non_ema.safetensors"),
    ],
)
def test_the_choice_among_variants(names: tuple[str, ...], dtype: torch.dtype | None, label: str) -> None:
    files = [f"{STEM}{name}.safetensors" for name in names]
    for order in (files, files[::-1]):
        assert choose_weights([*order, "config.json", f"{STEM}.bin"], STEM, dtype).label == label


def test_where_both_lie_there_the_librarys_own_choice_is_checked(copy: Callable[[str], Path]) -> None:
    """diffusers reads the shards, transformers the one file: a check of the other would prove nothing."""
    path = copy("sd")
    for part, whole in (("unet", False), ("text_encoder", True)):
        file = weight_file(path / part)
        kept = file.read_bytes()
        sharded(part)(path)
        file.write_bytes(kept)
        changed = file if whole else sorted((path / part).glob("*-of-*.safetensors"))[0]
        zeros = {key: torch.zeros_like(value) for key, value in load_file(changed).items()}
        save_file(zeros, changed, metadata={"format": "pt"})
        assert find_weights(path, part).label == (file.name if whole else f"{STEM}.safetensors.index.json")
        state = load_part(path, part, torch.float32).state_dict()
        assert all(not tensor.any() for key, tensor in state.items() if key in zeros)


def test_rounded_weights_are_those_of_the_file(copy: Callable[[str], Path]) -> None:
    path = copy("sd")
    expected = {key: value.half().float() for key, value in load_file(weight_file(path / "unet")).items()}
    as_variant("unet", "fp16", torch.float16, keep=True)(path)
    state = load_part(path, "unet", torch.float16).state_dict()
    assert all(torch.equal(state[key].float(), value) for key, value in expected.items())


def test_a_variant_that_is_no_precision_is_told(copy: Callable[[str], Path]) -> None:
    path = copy("sd")
    as_variant("unet", "non_ema")(path)
    with pytest.warns(UserWarning, match=r"unet: the weights are those of diffusion_pytorch_model.non_ema.safetensors"):
        Pipeline.load(path, cache=None, size=16)


def test_stable_diffusion_3_without_t5_is_that_of_diffusers(copy: Callable[[str], Path]) -> None:
    path = copy("sd3")
    edited("model_index.json", text_encoder_3=[None, None], tokenizer_3=[None, None])(path)
    for part in ("text_encoder_3", "tokenizer_3"):
        shutil.rmtree(path / part)
    pipe = diffusers.StableDiffusion3Pipeline.from_pretrained(path, text_encoder_3=None, tokenizer_3=None)
    embeds, null, pooled, _ = pipe.encode_prompt("red", "red", "red")
    conditions = Pipeline.load(path, cache=None, size=16).conditions(["red"])
    assert torch.allclose(conditions.positive["text"], embeds, atol=1e-6)
    assert torch.allclose(conditions.positive["pooled"], pooled, atol=1e-6)
    assert torch.allclose(conditions.null["text"], null, atol=1e-6) and not embeds[:, 16:].any()


def test_doctor_says_what_it_would_take(copy: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = copy("sd3")
    as_variant("transformer", "bf16", torch.bfloat16)(path)
    sharded("vae")(path)
    edited("model_index.json", text_encoder_3=[None, None], tokenizer_3=[None, None])(path)
    main(["doctor", "--prior", str(path)])
    out = capsys.readouterr().out
    assert "when optimising; from diffusion_pytorch_model.bf16.safetensors (BF16)" in out
    assert "when optimising; from diffusion_pytorch_model.safetensors.index.json (F32)" in out
    assert "part       text_encoder_3: none (null in model_index.json)" in out
    assert "every key of every part is there" in out
    assert component_class(path, "text_encoder_3") is None


def test_first_rows_change_with_every_tensor(tmp_path: Path) -> None:
    weights = {"a": torch.zeros(3, 2), "b": torch.zeros(4, dtype=torch.bfloat16), "c": torch.zeros(())}
    save_file(weights, tmp_path / "x.safetensors")
    before = list(first_rows(tmp_path / "x.safetensors"))
    for index, key in enumerate(weights):
        save_file(weights | {key: weights[key] + 1}, tmp_path / "x.safetensors")
        after = list(first_rows(tmp_path / "x.safetensors"))
        assert [a != b for a, b in zip(before, after, strict=True)] == [i == index for i in range(3)]
