"""Identity of a pipeline: every configuration that may change numbers counts, versions and paths do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from which_models.configuration import MEAN, STD, fields
from which_models.schedulers import scheduler

from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.priors import PipelinePriorConfig, ToyPriorConfig
from modeseek.priors.pipeline.identity import describe_changes
from modeseek.rundir.prior_identity import changed_prior

diffusers = pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
VAE, SCHEDULER, INDEX = "vae/config.json", "scheduler/scheduler_config.json", "model_index.json"


@pytest.fixture(scope="module")
def before(folder: Callable[[str], Path]) -> Callable[[str], LoadedPrior]:
    """Unchanged pipelines, loaded once."""
    priors: dict[str, LoadedPrior] = {}

    def get(base: str) -> LoadedPrior:
        if base not in priors:
            priors[base] = load(folder(base))
        return priors[base]

    return get


def load(folder: Path) -> LoadedPrior:
    return PipelinePriorConfig(str(folder), cache=False).load("cpu")


def weights(part: str, file: str) -> Callable[[Path], None]:
    """Change of a folder: the last number of a component's weights."""

    def change(folder: Path) -> None:
        path = folder / part / file
        content = bytearray(path.read_bytes())
        content[-2] ^= 1
        path.write_bytes(bytes(content))

    return change


def vocabulary(folder: Path) -> None:
    """Two letters change places in the tokenizer's files."""
    for name in ("vocab.json", "tokenizer.json"):
        path = folder / "tokenizer" / name
        if path.exists():
            content = json.loads(path.read_text())
            table = content["model"]["vocab"] if "model" in content else content
            table["a"], table["b"] = table["b"], table["a"]
            path.write_text(json.dumps(content))


CHANGES: list[tuple[str, Callable[[Path], None], str]] = [
    ("sd", fields(SCHEDULER, prediction_type="v_prediction"), 'scheduler/prediction_type was its default and is "v_'),
    ("sd", fields(SCHEDULER, beta_end=0.013), "scheduler/beta_end was 0.012 and is 0.013"),
    (
        "sd",
        fields(SCHEDULER, timestep_spacing="trailing"),
        'scheduler/timestep_spacing was its default and is "trailing"',
    ),
    (
        "sd",
        fields(SCHEDULER, rescale_betas_zero_snr=True),
        "scheduler/rescale_betas_zero_snr was its default and is true",
    ),
    ("sd", scheduler("EDMEulerScheduler"), 'scheduler/_class_name was "DDIMScheduler" and is "EDMEulerScheduler"'),
    ("sd", fields(VAE, scaling_factor=0.2), "vae/scaling_factor was its default and is 0.2"),
    ("sd3", fields(VAE, shift_factor=0.07), "vae/shift_factor was 0.06 and is 0.07"),
    ("sdxl", fields(VAE, latents_mean=MEAN, latents_std=STD), "vae/latents_mean was its default and is [0.1, -0.2"),
    ("sdxl", fields(INDEX, force_zeros_for_empty_prompt=False), "force_zeros_for_empty_prompt was true and is false"),
    ("sd", fields("unet/config.json", norm_eps=1e-4), "unet/norm_eps was its default and is 0.0001"),
    ("sd3", fields("scheduler/scheduler_config.json", shift=2.0), "scheduler/shift was 3.0 and is 2.0"),
    (
        "sd",
        fields("text_encoder/config.json", hidden_act="gelu"),
        'text_encoder/hidden_act was "quick_gelu" and is "ge',
    ),
    ("sd", fields("tokenizer/tokenizer_config.json", model_max_length=12), "model_max_length was 16 and is 12"),
    ("sd", vocabulary, "tokenizer/"),
    ("sd", weights("vae", "diffusion_pytorch_model.safetensors"), "vae/weights changed"),
    ("sd", weights("text_encoder", "model.safetensors"), "text_encoders/identity changed"),
    ("sd", weights("unet", "diffusion_pytorch_model.safetensors"), "the weights of its network changed"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "change", "words"), CHANGES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_change_is_noticed_and_named(
    base: str,
    change: Callable[[Path], None],
    words: str,
    folder: Callable[[str], Path],
    before: Callable[[str], LoadedPrior],
    tmp_path: Path,
) -> None:
    copy = Path(shutil.copytree(folder(base), tmp_path / base))
    change(copy)
    recorded = json.loads(json.dumps(before(base).record("x")))  # as it is read from env.json
    other = load(copy)
    phrase = changed_prior(recorded, other.record("x"))
    assert other.sha256 != before(base).sha256
    assert phrase is not None and words in phrase and "\n" not in phrase


def test_versions_paths_and_defaults_do_not_count(
    folder: Callable[[str], Path], before: Callable[[str], LoadedPrior], tmp_path: Path
) -> None:
    """A folder elsewhere, saved by another version, which writes fewer defaults and more remarks."""
    copy = Path(shutil.copytree(folder("sd"), tmp_path / "elsewhere"))
    for path in copy.rglob("*.json"):
        if path.parent.name == "tokenizer" and path.name != "tokenizer_config.json":
            continue
        content = json.loads(path.read_text())
        content.pop("num_train_timesteps", None)  # 1000, the default
        if path.parent.name == "tokenizer":
            content |= {"name_or_path": "/somewhere"}
        else:
            content |= {"_diffusers_version": "0.20.0", "_name_or_path": "/somewhere", "_commit_hash": "abc"}
        if path.parent.name == "text_encoder":
            content |= {"transformers_version": "4.0.0", "dtype": "float16"}
        path.write_text(json.dumps(content, indent=5))
    (copy / "README.md").write_text("A model.")
    (copy / "tokenizer" / ".DS_Store").write_bytes(b"\0")
    other = load(copy)
    assert changed_prior(before("sd").record("x"), other.record("x")) is None
    assert other.record("x") == before("sd").record("x")


def test_the_safety_checker_does_not_count(
    folder: Callable[[str], Path], before: Callable[[str], LoadedPrior], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(folder("sd"), tmp_path / "sd"))
    fields(INDEX, safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"], requires_safety_checker=True)(
        copy
    )
    assert load(copy).sha256 == before("sd").sha256


def test_a_run_of_an_earlier_version_is_compared_by_its_weights(before: Callable[[str], LoadedPrior]) -> None:
    """Its env.json has the SHA-256 of the network's weights alone."""
    loaded = before("sd")
    digest = loaded.weights
    assert digest is not None and digest != loaded.sha256
    assert changed_prior({"title": "x", "sha256": digest}, loaded.record("x")) is None
    assert changed_prior({"title": "x", "sha256": "0" * 64}, loaded.record("x")) == "its SHA-256 differs"
    assert changed_prior({"title": "x", "sha256": None}, loaded.record("x")) == "its SHA-256 differs"
    newer = loaded.record("x") | {"sha256": digest}
    assert changed_prior(newer, loaded.record("x")) is not None  # weights alone do not do where more is recorded


def test_a_record_is_small_and_plain(before: Callable[[str], LoadedPrior]) -> None:
    text = json.dumps(before("sdxl").record("x"))
    assert len(text) < 20_000 and "/tmp" not in text
    assert json.loads(text) == before("sdxl").record("x")
    fields = before("sdxl").configuration
    assert {"unet/block_out_channels", "scheduler/beta_end", "vae/weights"} <= set(fields)
    assert "vae/scaling_factor" not in fields  # its default: a later diffusers with more fields changes nothing


def test_many_changes_are_counted() -> None:
    first: dict[str, Any] = {str(i): i for i in range(5)}
    assert describe_changes(first, {str(i): -i - 1 for i in range(5)}).endswith("2 was 2 and is -3, and 2 more")
    assert describe_changes(first, dict(first)) == ""


def test_other_priors_keep_their_identity() -> None:
    plain = ToyPriorConfig("ring").load("cpu")
    assert plain.record("ring") == {"title": "ring", "sha256": plain.sha256}
