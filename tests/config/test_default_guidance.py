"""Default guidance scales: the published one of each method by the family of the pipeline, or the measured one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modeseek.config.defaults import configure, default_scale
from modeseek.config.guidance import default_guidance
from modeseek.config.image_config import image_config
from modeseek.config.priors import PipelinePriorConfig, PriorConfig, RenderedPriorConfig, ToyPriorConfig
from modeseek.config.shape_config import shape_config
from modeseek.methods import CSD, DDS, METHODS, SDS
from modeseek.methods.base import own_scale

# method, class of the pipeline ("" where there is no folder to read), scale: from the papers and their code
PUBLISHED = [
    ("sds", "StableDiffusionPipeline", 101.0),  # DreamFusion's (1 + w) with w = 100
    ("sds", "", 101.0),
    ("sds", "IFPipeline", 21.0),  # threestudio's deep-floyd-guidance
    ("sjc", "StableDiffusionPipeline", 101.0),
    ("hifa", "StableDiffusionPipeline", 101.0),
    ("vsd", "StableDiffusionPipeline", 7.5),
    ("sdi", "StableDiffusionXLPipeline", 7.5),
    ("ism", "StableDiffusionPipeline", 7.5),
    ("nfsd", "StableDiffusionPipeline", 7.5),
    ("async-sd", "StableDiffusionPipeline", 7.5),
    ("sds-bridge", "StableDiffusionPipeline", 40.0),
    ("mvdream", "StableDiffusionPipeline", 50.0),
    ("rfds", "StableDiffusion3Pipeline", 100.0),
    ("cfd", "StableDiffusionPipeline", 70.0),
    ("msd", "StableDiffusionPipeline", 7.5),
    ("msd", "FluxPipeline", 1.0),
    ("csd", "StableDiffusionPipeline", 1.0),
]


def pipeline(folder: Path, kind: str) -> PipelinePriorConfig:
    if not kind:
        return PipelinePriorConfig("stabilityai/stable-diffusion-2-1-base")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    return PipelinePriorConfig(str(folder))


@pytest.mark.parametrize(("method", "kind", "scale"), PUBLISHED)
def test_the_published_scale(method: str, kind: str, scale: float, tmp_path: Path) -> None:
    default = default_guidance(method, pipeline(tmp_path, kind))
    assert default.scale == scale and default.reason
    configs = [shape_config("a cat", pipeline(tmp_path, kind), method, negative="blurry", source="a dog")]
    if method != "mvdream":  # which needs views
        configs.append(image_config(["a cat"], pipeline(tmp_path, kind), method, negative="blurry", source="a dog"))
    for config in configs:
        own = config.scale if own_scale(config.method) is None else own_scale(config.method)
        assert own == scale and (config.scale == 1 or not config.method.guides)


def test_a_method_that_guides_by_coefficients_has_no_scale(tmp_path: Path) -> None:
    assert CSD.guides and own_scale(CSD) is None and own_scale(CSD()) is None and own_scale(SDS()) is None
    assert own_scale(DDS) == 7.5 and own_scale(DDS(scale=2.0)) == 2.0
    line = "csd has no guidance scale, its coefficients are its guidance: scale must be 1, got 3; try sds, or --set"
    for make in (
        lambda: image_config(["a cone"], method="csd", scale=3.0),
        lambda: shape_config("a cone", method=CSD(), scale=3.0),
        lambda: configure({"prior": "scenes", "prompts": ["a cone"], "method": "csd", "scale": 3.0}),
    ):
        with pytest.raises(ValueError, match=line):
            make()
    settings = ["method.csd.positive=3", "method.csd.null=-3"]
    assert image_config(["a cone"], method="csd", settings=settings).method == CSD(positive=3.0, null=-3.0)
    assert configure({"prior": "scenes", "prompts": ["a cone"], "method": "csd"}).scale == 1
    with pytest.raises(ValueError, match=r"sdi applies guidance itself: scale must be 1, got 3; use method.sdi.scale"):
        configure({"prior": "scenes", "prompts": ["a cone"], "method": "sdi", "scale": 3.0})


@pytest.mark.parametrize("method", [name for name in METHODS if name != "csd"])
@pytest.mark.parametrize(
    ("prior", "scale"),
    [
        (PipelinePriorConfig("scenes"), 3.0),
        (PipelinePriorConfig("emoji"), 3.0),
        (ToyPriorConfig("ring"), 1.0),
        (RenderedPriorConfig("a red cone"), 1.0),
    ],
)
def test_the_measured_scale(method: str, prior: PriorConfig, scale: float) -> None:
    assert default_guidance(method, prior).scale == scale


def test_a_given_scale_is_kept() -> None:
    assert image_config(["a cube"], method="sds", scale=7.0).scale == 7.0
    assert image_config(["a cube"], method="sdi", scale=2.0).method.scale == 2.0  # pyright: ignore[reportAttributeAccessIssue]
    assert "DreamFusion's 100" in default_guidance("sds", PipelinePriorConfig("owner/name")).reason
    assert default_guidance("sds", PipelinePriorConfig("scenes")).reason == "default under scenes"


@pytest.mark.parametrize(
    ("path", "scale"),
    [("scenes", 3.0), ("emoji", 3.0), ("owner/name", 7.5), ("./emoji", 7.5), ("model.safetensors", 7.5)],
)
def test_samples_of_a_pipeline_have_the_scale_of_its_samplers(path: str, scale: float) -> None:
    assert default_scale(path) == scale
