"""Scene-classifier metrics: renders of the captions score high, renders of other captions low."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modeseek.datasets.scenes import Scenes
from modeseek.experiments.caption_exam.caption_exam import held_out_captions
from modeseek.experiments.text_to_image.entries import ENTRIES
from modeseek.experiments.text_to_image.jobs import JobResult
from modeseek.experiments.text_to_image.plan import ImageBatch
from modeseek.experiments.text_to_image.scene_scores import are_captions, render_features, score_jobs
from modeseek.io.images import encode_png
from modeseek.metrics.scenes.classifier import SceneClassifier

CAPTIONS = held_out_captions(12, 3)


def job(folder: Path, captions: tuple[str, ...]) -> JobResult:
    """A finished job whose images are renders of those captions, two per prompt."""
    items = tuple((prompt, seed) for seed in range(2) for prompt in range(len(captions)))
    rng = torch.Generator().manual_seed(17)
    images = Scenes().render(Scenes().layouts_for([captions[prompt] for prompt, _ in items], rng)).image
    paths = tuple(folder / f"image-{index:03d}.png" for index in range(len(items)))
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(encode_png(image))
    return JobResult(ImageBatch(ENTRIES["msd"], "msd-000", items, 0), paths, calls=1, seconds=1.0)


@pytest.fixture(scope="module")
def classifier() -> SceneClassifier:
    return SceneClassifier.packaged()


def test_renders_are_right_and_near_renders(classifier: SceneClassifier, tmp_path: Path) -> None:
    truth = render_features(classifier, CAPTIONS, 0)
    assert truth.shape == (264, classifier.config.n_features)  # 22 of each of 12, the least that is 256 or more
    right = score_jobs(classifier, CAPTIONS, [job(tmp_path, CAPTIONS)], truth, 0)
    assert right.keys() == {"right", "object", "colour", "relation", "view", "truth"}
    for name, least in (("object", 0.7), ("colour", 0.85), ("relation", 0.85), ("view", 0.4)):
        assert right[name].value >= least, name
    others = (*CAPTIONS[5:], *CAPTIONS[:5])
    wrong = score_jobs(classifier, others, [job(tmp_path, CAPTIONS)], truth, 0)
    assert wrong["object"].value < 0.3 and wrong["right"].value <= 0.1
    low, high = right["truth"].interval
    assert low < high and wrong["truth"].value == pytest.approx(right["truth"].value), (
        "which caption says what is no matter"
    )


def test_the_distance_separates_noise_from_renders(classifier: SceneClassifier, tmp_path: Path) -> None:
    truth = render_features(classifier, CAPTIONS, 0)
    result = job(tmp_path, CAPTIONS)
    near = score_jobs(classifier, CAPTIONS, [result], truth, 0)["truth"]
    for path in result.images:
        path.write_bytes(encode_png(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(len(path.name)))))
    assert score_jobs(classifier, CAPTIONS, [result], truth, 0)["truth"].interval[0] > near.interval[1]


def test_what_is_a_caption() -> None:
    assert are_captions(CAPTIONS)
    assert not are_captions((*CAPTIONS, "a corgi riding a bicycle"))
