"""Scene-classifier metrics: renders of the captions score high, renders of other captions low."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modeseek.config.priors import PipelinePriorConfig
from modeseek.datasets.scenes import Scenes, are_captions
from modeseek.exams.caption_exam.caption_exam import held_out_captions
from modeseek.experiments.text_to_image.entries import ENTRIES
from modeseek.experiments.text_to_image.jobs import BatchResult
from modeseek.experiments.text_to_image.metrics import METRICS, EntryImages, MetricNetworks, render_features
from modeseek.experiments.text_to_image.plan import ImageBatch, TextToImage
from modeseek.io.images import encode_png
from modeseek.metrics.bootstrap import Estimate
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.metric import evaluate

CAPTIONS = held_out_captions(12, 3)


def job(folder: Path, captions: tuple[str, ...]) -> BatchResult:
    """A finished job whose images are renders of those captions, two per prompt."""
    items = tuple((prompt, seed) for seed in range(2) for prompt in range(len(captions)))
    rng = torch.Generator().manual_seed(17)
    images = Scenes().render(Scenes().layouts_for([captions[prompt] for prompt, _ in items], rng)).image
    paths = tuple(folder / f"image-{index:03d}.png" for index in range(len(items)))
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(encode_png(image))
    return BatchResult(ImageBatch(ENTRIES["msd"], "msd-000", items, 0), paths, calls=1, seconds=1.0)


KEYS = ("right", "object", "colour", "relation", "view", "truth")
SCENE_METRICS = [metric for metric in METRICS if metric.key in KEYS]


def score(
    classifier: SceneClassifier, captions: tuple[str, ...], result: BatchResult, truth: torch.Tensor
) -> dict[str, Estimate]:
    plan = TextToImage(PipelinePriorConfig("bundled"), captions, (ENTRIES["msd"],), {}, seeds=2)
    images = EntryImages(plan, (result,), MetricNetworks(scene_classifier=classifier), renders=truth)
    return evaluate(SCENE_METRICS, images)


@pytest.fixture(scope="module")
def classifier() -> SceneClassifier:
    return SceneClassifier.packaged()


@pytest.mark.slow
def test_renders_are_right_and_near_renders(classifier: SceneClassifier, tmp_path: Path) -> None:
    truth = render_features(classifier, CAPTIONS, 0)
    width = 2 * classifier.config.slot + classifier.config.scene
    assert truth.shape == (264, width)  # 22 of each of 12, the least that is 256 or more
    right = score(classifier, CAPTIONS, job(tmp_path, CAPTIONS), truth)
    assert right.keys() == {"right", "object", "colour", "relation", "view", "truth"}
    for name, least in (("object", 0.7), ("colour", 0.85), ("relation", 0.85), ("view", 0.4)):
        assert right[name].value >= least, name
    others = (*CAPTIONS[5:], *CAPTIONS[:5])
    wrong = score(classifier, others, job(tmp_path, CAPTIONS), truth)
    assert wrong["object"].value < 0.3 and wrong["right"].value <= 0.1
    low, high = right["truth"].interval
    assert low < high and wrong["truth"].value == pytest.approx(right["truth"].value), (
        "which caption says what is no matter"
    )


@pytest.mark.slow
def test_the_distance_separates_noise_from_renders(classifier: SceneClassifier, tmp_path: Path) -> None:
    truth = render_features(classifier, CAPTIONS, 0)
    result = job(tmp_path, CAPTIONS)
    near = score(classifier, CAPTIONS, result, truth)["truth"]
    for path in result.images:
        path.write_bytes(encode_png(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(len(path.name)))))
    assert score(classifier, CAPTIONS, result, truth)["truth"].interval[0] > near.interval[1]


def test_what_is_a_caption() -> None:
    assert are_captions(CAPTIONS)
    assert not are_captions((*CAPTIONS, "a corgi riding a bicycle"))
