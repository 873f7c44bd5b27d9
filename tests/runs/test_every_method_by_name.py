"""Every method by name under a prior that ships, as `image` and `shape` build it: two steps, or a line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import modeseek as ms
from modeseek.config.config import Config
from modeseek.config.image_config import image_config
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.shape_config import refined_config, shape_config
from modeseek.methods import METHODS
from modeseek.runs.build import build

PROMPTS = {
    "nfsd": {"negative": "a blue cube"},
    "dds": {"source": "a blue cube"},
    "pds": {"source": "a blue cube"},
    "cds": {"source": "a blue cube"},
    "dvrf": {"source": "a blue cube"},
    "sds-bridge": {"source": "a blue cube"},
}
REFUSED = {
    ("image", "mvdream"): "MVDream needs a multiple of 4 views, got 1 rows",
    ("image", "esd"): "ESD with entropy > 0 needs a camera",
}


@pytest.fixture(scope="module")
def loaded() -> LoadedPrior:
    return image_config(["a red cone"], device="cpu").prior.load("cpu")


def config_of(verb: str, name: str, **prompts: str) -> Config:
    if verb == "image":
        return image_config(["a red cone"], method=name, steps=2, device="cpu", **prompts)
    settings = ("generator.nerf.sides=[8]", "generator.nerf.samples=8", "generator.nerf.size=16")
    return shape_config("a red cone", method=name, steps=2, device="cpu", views="coarse", settings=settings, **prompts)


@pytest.mark.parametrize("verb", ["image", "shape"])
@pytest.mark.parametrize("name", METHODS)
def test_two_steps(name: str, verb: str, loaded: LoadedPrior) -> None:
    config = config_of(verb, name, **PROMPTS.get(name, {}))
    objects = build(config, loaded)
    steps = ms.distill(
        objects.generator,
        objects.prior,
        objects.method,
        objects.optimizer,
        steps=2,
        batch=objects.batch,
        inner_steps=config.inner_steps,
        conditions=objects.conditions,
        codec=objects.codec,
        rng=ms.Streams(0),
    )
    if (verb, name) in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[verb, name].replace("+", r"\+")):
            list(steps)
        return
    before = [parameter.detach().clone() for parameter in objects.generator.parameters()]
    taken = list(steps)
    assert len(taken) == 2 and all(step.direction.grad.isfinite().all() for step in taken)
    moved = any((a != b).any() for a, b in zip(before, objects.generator.parameters(), strict=True))
    assert moved or name in ("dds", "pds", "cds", "dvrf"), "an edit begins at its source, where it does not move"


@pytest.mark.parametrize("verb", ["image", "shape"])
@pytest.mark.parametrize("name", PROMPTS)
def test_a_missing_prompt_is_named_before_anything_is_built(name: str, verb: str) -> None:
    (need,) = PROMPTS[name]
    with pytest.raises(ValueError, match=f"{name} needs a {need} prompt, got none; try --{need}"):
        config_of(verb, name)


def test_a_second_score_is_a_lora_under_pipelines_and_a_small_network_elsewhere() -> None:
    for name in ("vsd", "esd", "asd"):
        assert isinstance(image_config(["a cone"], method=name).method.auxiliary, ms.methods.LoRAAuxiliary)  # pyright: ignore[reportAttributeAccessIssue]
        assert isinstance(shape_config("a cone", method=name).method.auxiliary, ms.methods.LoRAAuxiliary)  # pyright: ignore[reportAttributeAccessIssue]
        renders = shape_config("a red cone", "renders", method=name)
        assert isinstance(renders.method.auxiliary, ms.methods.MLPAuxiliary)  # pyright: ignore[reportAttributeAccessIssue]


def test_in_three_dimensions_phi_sees_the_camera_and_noise_lives_in_the_world() -> None:
    for prior in ("scenes", "renders"):
        for name in ("vsd", "esd", "asd"):
            method = shape_config("a red cone", prior, method=name).method
            assert isinstance(method, ms.VSD) and method.camera is ms.methods.pose
            assert method.auxiliary.cameras == ms.methods.POSE_NUMBERS  # pyright: ignore[reportAttributeAccessIssue]
        cfd, fsd = (shape_config("a red cone", prior, method=name).method for name in ("cfd", "fsd"))
        assert isinstance(cfd, ms.methods.CFD) and cfd.noise == ms.methods.Triplanes()
        assert isinstance(fsd, ms.methods.FSD) and fsd.noise == ms.methods.Voxels()
    assert image_config(["a cone"], method="vsd").method.camera is None  # pyright: ignore[reportAttributeAccessIssue]


def test_several_particles_by_name(loaded: LoadedPrior) -> None:
    config = config_of("shape", "rsd")
    config = replace(config, generator=replace(config.generator, particles=3, views=2))
    assert config.generator.rows == 6
    objects = build(config, loaded)
    assert isinstance(objects.generator, ms.Ensemble) and objects.batch == 6 and objects.is_3d
    with pytest.raises(ValueError, match="particles must be 1 to 64, got 0; try 4"):
        shape_config("a red cone", particles=0)
    with pytest.raises(ValueError, match="the second stage refines one mesh, got 3 particles; try particles=1"):
        refined_config(config, Path("mesh.ply"), 4)
