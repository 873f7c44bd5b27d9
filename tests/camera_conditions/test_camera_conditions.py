"""Camera conditions: view prompts, fine-grained prompts, multi-view groups and debiased prompts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import modeseek as ms
from modeseek.camera_conditions.cameras import CameraConditions
from modeseek.camera_conditions.debiased_prompts import DebiasedPrompts
from modeseek.camera_conditions.fine_prompts import FinePrompts
from modeseek.camera_conditions.multiview import MultiviewPrompts, blender_matrices
from modeseek.datasets.scenes.caption import parse
from modeseek.datasets.scenes.fine_view_prompts import fine_prompts
from modeseek.datasets.scenes.view_phrases import fine_phrase
from modeseek.diffusion.prediction import Prediction
from modeseek.generators.base import View
from modeseek.generators.camera import Cameras, CameraView
from modeseek.methods.mvdream import MVDream
from modeseek.priors.base import BasePrior, positive_condition
from modeseek.pytree import Cond

F64 = torch.float64


class Letters:
    """A prior whose condition of a text is the text itself, letter by letter."""

    def __init__(self) -> None:
        self.encodings = 0

    def conditions(self, texts: Sequence[str], negative: Sequence[str] | None = None) -> ms.Conditions:
        self.encodings += 1

        def encode(rows: Sequence[str]) -> Tensor:
            return torch.tensor([[float(ord(c)) for c in row.ljust(72)] for row in rows], dtype=F64)

        return ms.Conditions(encode(texts), null=encode([""]), negative=None if negative is None else encode(negative))


def decode(cond: Tensor) -> list[str]:
    return ["".join(chr(round(c)) for c in row).rstrip() for row in cond.tolist()]


def view_of(azimuth: list[float], elevation: list[float], items: tuple[int, ...] | None = None) -> CameraView:
    n = len(azimuth)
    cameras = Cameras(
        torch.tensor(azimuth, dtype=F64),
        torch.tensor(elevation, dtype=F64),
        torch.full((n,), 3.0, dtype=F64),
        torch.full((n,), 40.0, dtype=F64),
    )
    return CameraView(tuple(range(n)) if items is None else items, cameras, 8)


def test_each_item_is_conditioned_on_its_own_camera_and_prompt() -> None:
    conditions = ms.ViewPrompts().encode(Letters(), ["a dog", "a robot"], "blurry")
    view = view_of([0.0, 190.0, 90.0], [0.0, 0.0, 80.0], items=(4, 7, 9))
    found = CameraConditions(conditions)(view)
    assert decode(found.positive) == ["a dog, front view", "a dog, back view", "a dog, overhead view"]
    odd = CameraConditions(conditions, prompt=lambda item: item % 2)(view)
    assert decode(odd.positive) == ["a dog, front view", "a robot, back view", "a robot, overhead view"]
    assert decode(odd.null) == [""] and decode(odd.negative) == ["blurry"]
    for wrong in (CameraConditions(conditions), MultiviewPrompts(conditions)):
        with pytest.raises(ValueError, match="need cameras, got a View"):
            wrong(View((0,)))


FINE = fine_prompts(interpolate=False).encode(Letters(), ["a red cone", "a blue cube"], "blurry")
BLENDED = fine_prompts().encode(Letters(), ["a red cone"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-700, 700), st.floats(-90, 90), st.integers(0, 1)), min_size=1, max_size=4))
def test_fine_phrases_are_the_captions(cameras: list[tuple[float, float, int]]) -> None:
    cameras = [(a, e, i) for a, e, i in cameras if abs(a % 15 - 7.5) > 1e-6]
    if not cameras:
        return
    azimuth, elevation, which = (list(part) for part in zip(*cameras, strict=True))
    view = view_of(azimuth, elevation)
    found = CameraConditions(FINE, prompt=lambda item: which[item])(view)
    want = [f"{('a red cone', 'a blue cube')[i]}, {fine_phrase(a, e).phrase}" for a, e, i in cameras]
    assert decode(found.positive) == want
    assert all(parse(text) for text in want)
    assert decode(found.null) == [""] and decode(found.negative) == ["blurry"]


@settings(max_examples=60, deadline=None)
@given(st.floats(-700, 700), st.sampled_from([-30.0, 0.0, 20.0, 89.0]))
def test_between_two_phrases_their_embeddings_are_blended(azimuth: float, elevation: float) -> None:
    found = BLENDED.at(torch.tensor([azimuth], dtype=F64), torch.tensor([elevation], dtype=F64)).positive
    low = math.floor(azimuth / 15) * 15.0
    ends = [Letters().conditions([f"a red cone, {fine_phrase(a, elevation).phrase}"]).positive for a in (low, low + 15)]
    share = (azimuth - low) / 15
    assert torch.allclose(found, (1 - share) * ends[0] + share * ends[1], atol=1e-6)


def test_fine_phrases_are_encoded_once_and_invalid_arguments_are_refused() -> None:
    prior = Letters()
    conditions = fine_prompts().encode(prior, ["a red cone"])
    for azimuth in (0.0, 33.0, -170.0):
        conditions.at(torch.tensor([azimuth]), torch.zeros(1))
    assert prior.encodings == 1 and len(conditions.conditions.positive) == 24 * 5
    with pytest.raises(ValueError, match="at least one prompt"):
        fine_prompts().encode(prior, [])
    with pytest.raises(ValueError, match=r"must be in \[0, 1\), got"):
        conditions.at(torch.zeros(1), torch.zeros(1), torch.tensor([1]))
    with pytest.raises(ValueError, match="one height between"):
        FinePrompts((("a", "b"), ("c",)), (0.0,))
    with pytest.raises(ValueError, match="heights must ascend"):
        FinePrompts((("a",), ("b",), ("c",)), (10.0, 0.0))


def test_camera_matrices_of_mvdream() -> None:
    """Against rotations in Blender's own axes: z up, the front camera on -y."""
    for azimuth, elevation in ((0.0, 0.0), (90.0, 0.0), (35.0, 20.0), (-120.0, -10.0)):
        found = blender_matrices(view_of([azimuth], [elevation]).cameras).reshape(4, 4).numpy()
        a, e = math.radians(azimuth), math.radians(elevation)
        position = np.array([math.sin(a) * math.cos(e), -math.cos(a) * math.cos(e), math.sin(e)])
        right = np.array([math.cos(a), math.sin(a), 0.0])
        assert (
            np.allclose(found[:3, 3], position)
            and np.allclose(found[:3, 2], position)
            and np.allclose(found[:3, 0], right)
        )
        assert np.allclose(found[:3, 1], np.cross(position, right)) and found[3].tolist() == [0, 0, 0, 1]


@dataclass
class Group(BasePrior):
    """A prior of groups of two: each row predicts its partner's camera position, at every level; texts add 10."""

    shape: tuple[int, ...] = (3,)
    dtype: torch.dtype = F64
    device: torch.device = torch.device("cpu")
    schedule: ms.VP = ms.VP()

    def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: Cond = None) -> Prediction:
        row = positive_condition(cond)
        camera = row["camera"].reshape(-1, 4, 4)[:, :3, 3]
        partner = camera.reshape(-1, 2, 3).flip(1).reshape(-1, 3)
        return Prediction.from_z(z_t, alpha, sigma, partner + 10 * row["text"].reshape(len(z_t), 1))


def test_groups_go_through_the_prior_with_their_cameras() -> None:
    """MVDream's guided prediction by hand: the empty text has cameras too, and rows keep their partners."""
    azimuth = [0.0, 180.0, 90.0, -90.0]
    text = ms.Conditions(torch.ones(1, 1, dtype=F64), null=torch.zeros(1, 1, dtype=F64))
    conditions = MultiviewPrompts(text, views=2)(view_of(azimuth, [0.0] * 4))
    z = torch.zeros(4, 3, dtype=F64)
    method = MVDream(views=2, scale=3.0, rescale=0.0)
    direction, _ = method.step(
        z, Group(), None, conditions=conditions, progress=0.5, rng=ms.Streams(0, 0, (0, 1, 2, 3))
    )
    assert direction.prediction is not None
    partner = [180.0, 0.0, -90.0, 90.0]
    for row, angle in enumerate(partner):
        a = math.radians(angle)
        want = np.array([math.sin(a), -math.cos(a), 0.0]) + 3.0 * 10
        assert np.allclose(direction.prediction.z[row].numpy(), want)
    with pytest.raises(ValueError, match="groups have 3 views, got 4"):
        MultiviewPrompts(text, views=3)(view_of(azimuth, [0.0] * 4))
    with pytest.raises(ValueError, match="at least one view"):
        MultiviewPrompts(text, views=0)
    by_angle = MultiviewPrompts(ms.ViewPrompts().encode(Letters(), ["a dog"], "blurry"), views=2)(
        view_of(azimuth, [0.0] * 4)
    )
    assert decode(by_angle.positive["text"])[:2] == ["a dog, front view", "a dog, back view"]
    assert decode(by_angle.negative["text"]) == ["blurry"] and len(by_angle.negative["camera"]) == 4


def smiles(prompt: str) -> tuple[float, float, float, float]:
    """Smiling makes the front view likely, a tail the back view."""
    front = 6.0 if "smiling" in prompt else 1.0
    back = 4.0 if "tail" in prompt else 1.0
    total = front + back + 2
    return front / total, 1 / total, back / total, 1 / total


def test_words_that_contradict_a_view_are_removed() -> None:
    """The rule of the paper over all words and views, in plain numbers."""
    prompt, threshold = "a smiling dog with a tail", 0.9
    words = prompt.split()
    want = []
    for view in range(4):
        remaining = []
        for i, word in enumerate(words):
            without = smiles(" ".join(words[:i] + words[i + 1 :]))[view]
            whole = smiles(prompt)[view]
            if word == "a" or 2 * whole / (whole + without) >= threshold:
                remaining.append(word)
        want.append(" ".join(remaining))
    found = DebiasedPrompts(smiles, threshold=threshold)
    assert list(found.debias(prompt)) == want
    assert "smiling" in want[0] and "smiling" not in want[2] and "tail" not in want[0] and "tail" in want[2]
    assert found.texts(prompt)[2] == f"{want[2]}, back view"
    encoded = found.encode(Letters(), [prompt, "a cat"], "blurry")
    conditions = encoded.at(torch.tensor([180.0, 0.0]), torch.zeros(2), torch.tensor([0, 1]))
    assert decode(conditions.positive) == [f"{want[2]}, back view", "a cat, front view"] and encoded.n == 2
    kept = DebiasedPrompts(smiles, threshold=threshold, keep_words=("smiling",))
    assert "smiling" in kept.debias(prompt)[2]


def test_invalid_debiasing_is_refused() -> None:
    with pytest.raises(ValueError, match="in \\(0, 1\\)"):
        DebiasedPrompts(smiles, threshold=1.0)
    with pytest.raises(ValueError, match="four likelihoods"):
        DebiasedPrompts(lambda _: (1.0, 0.0)).debias("a dog")
    with pytest.raises(ValueError, match="leaves no words"):
        DebiasedPrompts(smiles).debias("smiling")
    with pytest.raises(ValueError, match="at least one prompt"):
        DebiasedPrompts(smiles).encode(Letters(), [])
