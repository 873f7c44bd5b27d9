"""Scene classifier: accuracy criteria against hand-written cases, storage, accuracy, and the caption exam."""

from __future__ import annotations

import csv
import json
import math
import shutil

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from modeseek.cli import main
from modeseek.datasets.scenes import Scenes, is_held_out, parse
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.view_phrases import AZIMUTHS
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS
from modeseek.exams.caption_exam.caption_exam import held_out_captions, mistakes
from modeseek.io.packaged import data_folder
from modeseek.metrics.scenes.caption_accuracy import (
    Predictions,
    accuracy_by_attribute,
    compare_predictions,
    score_captions,
)
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.metrics.scenes.classifier_config import ClassifierConfig
from modeseek.metrics.scenes.classifier_output import ClassifierOutput
from modeseek.metrics.scenes.view_symmetry import indistinguishable_views, shows_elevation
from modeseek.priors.pipeline.diffusers_sampling import find_stable_diffusion, sample_with_diffusers
from tools.bundled_priors.augment import augment
from tools.bundled_priors.classifier_loss import ClassifierTargets, classifier_loss
from tools.bundled_priors.train_classifier import ClassifierRecipe, train_classifier

ATTRIBUTES = ("object", "colour", "relation", "view", "all")
SMALL = ClassifierConfig((4, 4, 8), (0, 1, 0), 2, 6, 4, 8)


def seen(first, relation=None, second=None, azimuth=0, elevation=15.0):
    """Predictions of one image in words: "red cone", "on", "blue cube"."""
    things, colours = [*OBJECT_TYPES, None], [*COLOURS, None]
    pairs = [(None, None) if one is None else one.split(" ", 1) for one in (first, second)]
    return Predictions(
        torch.tensor([[things.index(thing) for _, thing in pairs]]),
        torch.tensor([[colours.index(colour) for colour, _ in pairs]]),
        torch.tensor([[*RELATIONS, None].index(relation)]),
        torch.tensor([AZIMUTHS.index(azimuth)]),
        torch.tensor([float(elevation)]),
    )


def wrong_attributes(caption, predictions):
    return set(compare_predictions(predictions, [parse(caption)]).wrong_attributes(0))


@pytest.mark.parametrize(
    "caption, predictions, wrong",
    [
        ("a red cone on a blue cube", seen("red cone", "on", "blue cube"), ""),
        ("a small red cone on a large blue cube", seen("red cone", "on", "blue cube"), ""),  # sizes are not scored
        ("a red cone on a blue cube", seen("blue cube", "on", "red cone"), "relation"),
        ("a red cone behind a blue cube", seen("blue cube", "behind", "red cone"), "relation"),
        ("a red cone beside a blue cube", seen("red cone", "beside", "blue cube"), ""),
        ("a red cone beside a blue cube", seen("blue cube", "beside", "red cone"), ""),
        ("a red cone on a blue cube", seen("red cone", "beside", "blue cube"), "relation"),
        ("a red cone on a blue cube", seen("blue cube", "beside", "red cone"), "relation"),
        ("a red cone beside a blue cube", seen("blue cube", "on", "red cone"), "relation"),
        ("a red cone on a blue cube", seen("blue cone", "on", "red cube"), "colour"),
        ("a red cone beside a blue cube", seen("blue cone", "beside", "red cube"), "colour"),
        ("a red cone on a blue cube", seen("red cone", "on", "blue torus"), "object"),
        ("a red cone on a blue cube", seen("red cone"), "object colour relation"),
        ("a red cube on a blue cube", seen("blue cube", "on", "red cube"), "relation"),
        ("a red cube beside a blue cube", seen("blue cube", "beside", "red cube"), ""),
        ("a red cone", seen("red cone"), ""),
        ("a red cone", seen("orange cone"), "colour"),
        ("a red cone", seen("red cylinder"), "object"),
        ("a red cone", seen("red cone", "beside", "blue cube"), "object"),
        ("a red cone", seen("blue cube", "beside", "red cone"), "object"),
        ("a red robot head, front view", seen("red robot head", azimuth=45), ""),
        ("a red robot head, front view", seen("red robot head", azimuth=60), "view"),
        ("a red robot head, front view", seen("red robot head", azimuth=180), "view"),
        ("a red robot head, front view", seen("red robot head", elevation=62.4), ""),
        ("a red robot head, front view", seen("red robot head", elevation=62.6), "view"),
        ("a red robot head, side view", seen("red robot head", azimuth=-90), ""),
        ("a red robot head, back view", seen("red robot head", azimuth=-165), ""),
        ("a red robot head, overhead view", seen("red robot head", azimuth=120, elevation=48), ""),
        ("a red robot head, overhead view", seen("red robot head", elevation=47), "view"),
        ("a red robot head, from 30 degrees left, slightly above", seen("red robot head", azimuth=-45), ""),
        ("a red robot head, from 30 degrees left, slightly above", seen("red robot head", azimuth=0), "view"),
        ("a red robot head, from 30 degrees left, slightly above", seen("red robot head", azimuth=30), "view"),
        ("a red robot head, from the back, above", seen("red robot head", azimuth=-165, elevation=30), ""),
        ("a red robot head, from the back, above", seen("red robot head", azimuth=-165, elevation=22), "view"),
        ("a red robot head, from the front, high above", seen("red robot head", elevation=89), ""),
        ("a red cone, back view", seen("red cone", azimuth=0), ""),  # it has no front
        ("a red cone, back view", seen("red cone", elevation=70), "view"),
        ("a red cube, from 15 degrees left, above", seen("red cube", azimuth=75, elevation=40), ""),
        ("a red cube, from 15 degrees left, above", seen("red cube", azimuth=45, elevation=40), "view"),
        ("a red torus, side view", seen("red torus", azimuth=0), "view"),
        ("a red torus, front view", seen("red torus", azimuth=180), ""),
        ("a red sphere, overhead view", seen("red sphere", elevation=0), ""),  # from everywhere alike
        ("a red sphere on a blue cube, side view", seen("red sphere", "on", "blue cube", elevation=70), "view"),
        ("a red cube with a white face, back view", seen("red cube", azimuth=180), ""),  # indistinguishable from a cube
        ("a red cube with a white face, back view", seen("red cube", azimuth=0), ""),
        ("a red cube with a white face, front view", seen("red cube"), "object"),
        ("a red cube with a white face, from 150 degrees left, above", seen("red cube", azimuth=30, elevation=40), ""),
        ("a red cube with a white face, from 150 degrees left, above", seen("red cube", azimuth=60, elevation=40),
         "object view"),
        ("a red cube", seen("red cube with a white face", azimuth=180), ""),
        ("a red cube", seen("red cube with a white face", azimuth=30), "object"),
        ("a red cone beside a blue duck, back view", seen("red cone", "beside", "blue duck", azimuth=0), "view"),
    ],
)  # fmt: skip
def test_criteria_against_cases_by_hand(caption, predictions, wrong) -> None:
    assert wrong_attributes(caption, predictions) == set(wrong.split())


def test_all_is_every_attribute_and_only_applicable_attributes_are_scored() -> None:
    captions = ["a red cone", "a red cone on a blue cube, from 30 degrees left, above", "a red sphere, front view"]
    parts = [seen("red cone"), seen("red cone", "on", "blue torus", azimuth=0), seen("red sphere")]
    both = Predictions(*(torch.cat([getattr(p, name) for p in parts]) for name in vars(parts[0])))
    scores = compare_predictions(both, [parse(caption) for caption in captions])
    assert scores.by_attribute["all"].tolist() == [True, False, True]
    assert scores.applicable("relation").tolist() == [False, True, False] and scores.applicable("colour").all()
    assert scores.applicable("view").tolist() == [False, True, False], (
        "the view of a single sphere is not distinguishable"
    )
    shares = {name: one.value for name, one in accuracy_by_attribute(scores).items()}
    assert shares == pytest.approx({"object": 2 / 3, "colour": 1, "relation": 1, "view": 0, "all": 2 / 3})
    twice = accuracy_by_attribute(scores, torch.tensor([0, 1, 1]))  # two images of one caption count as one
    assert twice["object"].value == pytest.approx(0.75)
    wanted = {"thing": [("cube", "torus", 1)], "colour": [], "relation": []}
    assert mistakes(both, [parse(caption) for caption in captions]) == wanted


@pytest.mark.slow
def test_ground_truth_of_renders_is_right() -> None:
    """Given the ground truth as predictions, no caption is wrong: criteria and renderer agree."""
    layouts = Scenes().draw(200, torch.Generator().manual_seed(5), held_out=None)
    truth = ClassifierTargets.from_layouts(layouts)
    row = ((layouts.azimuth - AZIMUTHS[0]) / 15).round().long() % 24
    predictions = Predictions(truth.object_type, truth.colour, truth.relation, row, layouts.elevation)
    scores = compare_predictions(predictions, [parse(caption) for caption in layouts.captions])
    assert scores.by_attribute["all"].all() and scores.view_visible.sum() > 100


def test_which_views_look_alike() -> None:
    turns = (torch.arange(24)[:, None] - torch.arange(24)).abs()
    for thing in ("sphere", "cone", "cylinder", "capsule", "tree", "lamp"):
        assert indistinguishable_views(thing, thing).all(), thing
    assert torch.equal(indistinguishable_views("cube", "cube"), turns % 6 == 0)
    for thing in ("torus", "table"):
        assert torch.equal(indistinguishable_views(thing, thing), turns % 12 == 0)
    for thing in ("chair", "car", "duck", "bear head", "mug"):
        assert torch.equal(indistinguishable_views(thing, thing), torch.eye(24, dtype=torch.bool)), thing
    rocket, back, side, front = indistinguishable_views("rocket", "rocket"), *(AZIMUTHS.index(a) for a in (180, 90, 0))
    assert rocket[back, side] and not rocket[back, front] and not rocket[side, front]
    assert [thing for thing in OBJECT_TYPES if not shows_elevation(thing)] == ["sphere"]
    with pytest.raises(ValueError, match="got 'ball'"):
        indistinguishable_views("ball", "ball")


def answers(n: int, seed: int = 0) -> ClassifierOutput:
    rng = torch.Generator().manual_seed(seed)
    shapes = ((n, 2, len(OBJECT_TYPES) + 1), (n, 2, len(COLOURS) + 1), (n, len(RELATIONS) + 1), (n, 24), (n,))
    return ClassifierOutput(*(torch.randn(shape, generator=rng) for shape in shapes))


def test_the_loss_by_hand_and_the_better_order_side_by_side() -> None:
    said, rows = answers(3), [("on", 1), ("beside", 1), ("beside", -1)]
    thing, colour = torch.tensor([[3, 1]]), torch.tensor([[0, 4]])

    def nll(logits, index):
        weights = [math.exp(x) for x in logits.tolist()]
        return -math.log(weights[index] / sum(weights))

    for i, (relation, turn) in enumerate(rows):
        objects = (thing, colour) if turn == 1 else (thing.flip(1), colour.flip(1))
        rest = (torch.tensor([number]) for number in (RELATIONS.index(relation), 178.0, 20.0))
        truth = ClassifierTargets(*objects, *rest)
        one = ClassifierOutput(*(getattr(said, name)[i : i + 1] for name in vars(said)))
        orders = []
        for order in ((0, 1), (1, 0)):
            pairs = list(zip(order, thing[0].tolist(), colour[0].tolist(), strict=True))
            orders.append(sum(nll(said.object_type[i, k], t) + nll(said.colour[i, k], c) for k, t, c in pairs))
        objects = orders[0] if relation == "on" else min(orders)
        turns = 13 / 15 * nll(said.azimuth[i], 23) + 2 / 15 * nll(said.azimuth[i], 22)  # 178 lies from 165 to 180
        away = abs(said.elevation[i].item() - 20) / 10
        height = 2 * (away - 0.5 if away > 1 else away**2 / 2)
        want = objects + nll(said.relation[i], RELATIONS.index(relation)) + turns + height
        assert classifier_loss(one, truth).item() == pytest.approx(want, rel=1e-5)
    around = ClassifierTargets(
        thing, colour, torch.tensor([0]), torch.tensor([-172.5]), torch.tensor([0.0])
    )  # from 180 to -165
    one = ClassifierOutput(*(value[:1] for value in vars(said).values()))
    half = classifier_loss(one, around) - classifier_loss(
        one, ClassifierTargets(**(vars(around) | {"azimuth": torch.tensor([180.0])}))
    )
    assert half.item() == pytest.approx((nll(said.azimuth[0], 0) - nll(said.azimuth[0], 23)) / 2, rel=1e-4)


def test_an_augmented_image_keeps_its_colours() -> None:
    renders = Scenes().batch(32, torch.Generator().manual_seed(1))
    one, again, other = (augment(renders.image, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert one.shape == renders.image.shape and one.min() >= 0 and one.max() <= 1
    assert (one.mean((2, 3)) - renders.image.mean((2, 3))).abs().max() < 0.2
    flat = torch.full((64, 3, 64, 64), 0.5)
    spread = augment(flat, torch.Generator().manual_seed(0)).std((1, 2, 3))
    assert 0 < spread.min() and spread.max() < 0.06


def test_save_and_load(tmp_path) -> None:
    classifier = SceneClassifier(SMALL, {"object": 0.5}, seed=1).eval()
    classifier.save(tmp_path / "deep" / "one")
    again = SceneClassifier.load(tmp_path / "deep" / "one")
    assert again.config == SMALL and again.accuracy == {"object": 0.5} and not again.training
    image = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, value in vars(classifier(image)).items():
            assert torch.allclose(value, getattr(again(image), name), atol=2e-2, rtol=2e-2), name
        assert classifier.features(image).shape == (3, 16) and classifier.features(image[..., :32, :48]).shape == (
            3,
            16,
        )
    with pytest.raises(FileExistsError, match="must be a new folder"):
        classifier.save(tmp_path / "deep" / "one")
    before = torch.get_rng_state()
    assert not torch.equal(SceneClassifier(SMALL, seed=2).gaze.weight, SceneClassifier(SMALL, seed=3).gaze.weight)
    assert torch.equal(before, torch.get_rng_state())


def test_normalized_features_have_a_mean_square_of_one_and_the_same_outputs() -> None:
    classifier = SceneClassifier(SMALL, seed=4).eval()
    image = torch.rand(20, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, old = classifier(image), classifier.features(image)
        classifier.normalize_features(image)
        after, new = classifier(image), classifier.features(image)
    assert new.square().mean().item() == pytest.approx(1, rel=1e-4) and abs(old.square().mean().item() - 1) > 0.1
    for name, value in vars(before).items():
        assert torch.allclose(value, getattr(after, name), atol=1e-4), name


def change_metadata(folder, **changes):
    path = folder / "judge.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def make_nan(folder, name):
    path = folder / "judge.safetensors"
    weights = load_file(path)
    weights[name] = weights[name] * float("nan")
    save_file(weights, path)


@pytest.mark.parametrize(
    "harm, line",
    [
        (lambda f: (f / "judge.json").unlink(), "No such file"),
        (lambda f: (f / "judge.safetensors").unlink(), "judge.safetensors"),
        (lambda f: (f / "judge.json").write_text("{"), "Expecting"),
        (lambda f: (f / "judge.json").write_text("[]"), "list"),
        (lambda f: (f / "judge.safetensors").write_bytes(b"no"), "header"),
        (lambda f: change_metadata(f, format="else-1"), "format is 'else-1'"),
        (lambda f: change_metadata(f, words={"things": ["sphere"]}), "its vocabulary is not"),
        (
            lambda f: change_metadata(
                f,
                shape={"channels": [4, 4, 10**9], "blocks": [0, 1, 0], "gazes": 2, "slot": 6, "scene": 4, "hidden": 8},
            ),
            "not of",
        ),
        (lambda f: change_metadata(f, accuracy={"object": "good"}), "could not convert"),
        (lambda f: make_nan(f, "scene.weight"), "not finite"),
    ],
)
def test_a_damaged_folder_is_reported_in_one_line(tmp_path, harm, line) -> None:
    folder = tmp_path / "judge"
    SceneClassifier(SMALL).save(folder)
    harm(folder)
    with pytest.raises(ValueError, match="is not a readable scene classifier") as caught:
        SceneClassifier.load(folder)
    assert line in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.slow
def test_training_saves_a_classifier_and_is_fixed_by_its_seed(tmp_path) -> None:
    recipe = ClassifierRecipe(SMALL, batch=4, first=8, pool=12, chunk=8, every=2, tested=8, steps=4)
    weights = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        before = torch.get_rng_state()
        for progress in train_classifier(tmp_path / name, budget=1e9, seed=seed, recipe=recipe):
            assert 0 < progress.done <= progress.total
        assert torch.equal(before, torch.get_rng_state())
        weights.append(load_file(tmp_path / name / "judge.safetensors"))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["scene.weight"], weights[2]["scene.weight"])
    assert set(SceneClassifier.load(tmp_path / "one").accuracy) == set(ATTRIBUTES)
    with pytest.raises(FileExistsError, match="must be a new folder"):
        next(train_classifier(tmp_path / "one", budget=1.0, recipe=recipe))


@pytest.mark.slow
def test_the_packaged_classifier_is_small_and_accurate() -> None:
    """On combinations that its training never saw, drawn anew."""
    classifier = SceneClassifier.packaged()
    assert sum(p.numel() for p in classifier.parameters()) <= 1_100_000
    assert sum(path.stat().st_size for path in (data_folder() / "judge").iterdir()) <= 2.2e6
    renders = Scenes().batch(300, torch.Generator().manual_seed(77), held_out=True)
    assert all(is_held_out(parse(caption)) for caption in renders.captions)
    found = accuracy_by_attribute(score_captions(classifier, renders.image, renders.captions))
    for name in ("object", "colour", "relation"):
        assert found[name].value >= (0.93 if name == "object" else 0.97), (name, found[name])
    assert found["view"].value >= 0.85
    assert classifier.accuracy["colour"] >= 0.99 and classifier.accuracy["object"] >= 0.95
    with torch.no_grad():
        assert classifier.features(renders.image[:5]).shape == (5, 144)
    swapped = score_captions(classifier, renders.image, [*renders.captions[1:], renders.captions[0]])
    assert swapped.object.float().mean() < 0.2, "captions of other images are wrong for these"
    with pytest.raises(ValueError, match="must have one caption"):
        score_captions(classifier, renders.image, renders.captions[:2])
    with pytest.raises(ValueError, match="in the grammar of the scenes"):
        score_captions(classifier, renders.image[:1], ["a zebra"])


def test_captions_of_an_examination() -> None:
    captions = held_out_captions(10, 3)
    kinds = [parse(caption).relation for caption in captions]
    assert kinds == ([None, *RELATIONS] * 3)[:10] and captions == held_out_captions(10, 3)
    assert all(is_held_out(parse(caption)) and parse(caption).view for caption in captions)
    assert captions != held_out_captions(10, 4) and captions != held_out_captions(10, 3, part=1)
    assert captions[:6] == held_out_captions(6, 3)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return tiny.make("sd", tmp_path_factory.mktemp("pipelines"))


def test_stock_pictures_are_those_of_diffusers_whatever_the_batch(pipeline) -> None:
    captions = ["a red cone", "a blue cube", "a green torus"]
    settings = {"scale": 2.0, "steps": 2, "seed": 5}
    whole = torch.cat(list(sample_with_diffusers(pipeline, captions, **settings)))
    parts = list(sample_with_diffusers(pipeline, captions, batch=2, **settings))
    assert [len(part) for part in parts] == [2, 1] and whole.shape == (3, 3, 16, 16)
    assert torch.allclose(torch.cat(parts), whole, atol=1e-4)
    assert whole.min() >= 0 and whole.max() <= 1 and (whole[0] - whole[1]).abs().max() > 0.01


def test_where_a_pipeline_is_found(pipeline, tmp_path) -> None:
    assert find_stable_diffusion(pipeline) == pipeline
    shutil.copytree(pipeline, tmp_path / "training" / "pipeline")
    assert find_stable_diffusion(tmp_path / "training") == tmp_path / "training" / "pipeline"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(ValueError, match="got a FluxPipeline"):
        find_stable_diffusion(tmp_path / "other")
    with pytest.raises(ValueError, match="no pipeline"):
        find_stable_diffusion(tmp_path / "nothing")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*was truncated")  # the tiny tokenizer reads 16 letters
def test_an_examination_from_end_to_end(pipeline, tmp_path, capsys) -> None:
    out = tmp_path / "exam"
    main(["exam", str(pipeline), "--captions", "4", "--steps", "2", "--seed", "1", "--out", str(out)])
    said = capsys.readouterr().out
    assert "4 held-out captions" in said and "Report:" in said
    results = json.loads((out / "exports" / "results.json").read_text())
    assert [one["caption"] for one in results["facts"]["captions"]] == list(held_out_captions(4, 1))
    names = ["pipeline", "- alone", "- on", "- beside", "- behind", "renders", "by luck"]
    assert list(results["methods"]) == names
    for row in results["methods"].values():
        assert all(0 <= row[name] <= 1 for name in ATTRIBUTES if name in row)
    assert results["methods"]["pipeline"]["object"] < 1, "random weights draw nothing"
    assert results["methods"]["renders"]["colour"] >= 0.75 and results["methods"]["renders"]["n"] == 4
    assert results["methods"]["pipeline"]["kid"] > results["methods"]["renders"]["kid"]
    with (out / "exports" / "results.csv").open() as file:
        assert [row["method"] for row in csv.DictReader(file)] == names
    assert (out / "media" / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((out / "exports").glob("image-*.png"))) == 4
    page = (out / "report.html").read_text()
    assert "Confusion pairs" in page and "held-out captions" in page
    assert json.loads((out / "status.json").read_text())["state"] == "finished"


@pytest.mark.parametrize(
    "words, line",
    [
        (["--captions", "0"], "--captions must be at least 1, got 0"),
        (["--steps", "0"], "--steps must be at least 1, got 0"),
        (["--judge", "nowhere"], "nowhere is not a readable scene classifier"),
    ],
)
def test_mistakes_in_what_is_asked_are_one_line(pipeline, tmp_path, monkeypatch, capsys, words, line) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["exam", str(pipeline), *words])
    stderr = capsys.readouterr().err
    assert ended.value.code == 2 and line in stderr and stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
