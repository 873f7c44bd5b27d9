"""Comparison of methods that edit images: `python docs/edit_comparison.py` prints the tables of docs/edit.md.

Rendered scenes are edited under the prior `scenes`, and compared with renders of the same scene in which the change was
made. `--tune` prints the rates on scenes of another seed, `--image FILE` writes the first edits of every method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

import modeseek as ms
from modeseek.datasets.scenes import Layouts, Scenes, parse
from modeseek.datasets.scenes.sampling import SceneContents
from modeseek.metrics.scenes.caption_accuracy import score_captions
from modeseek.metrics.scenes.classifier import SceneClassifier

EDITS = (
    ("a red cone on a blue cube", "a green cone on a blue cube"),
    ("a red cone on a blue cube", "a blue cone on a red cube"),
    ("a yellow duck", "a blue duck"),
    ("a purple mug", "an orange mug"),
    ("a green robot head", "a red robot head"),
    ("an orange car beside a black cube", "a pink car beside a black cube"),
    ("a blue house", "a yellow house"),
    ("a yellow cube behind a blue sphere", "a yellow cube behind a red sphere"),
    ("a red sphere on a green cylinder", "a red cone on a green cylinder"),
    ("a pink cube", "a pink sphere"),
    ("a black cylinder beside a red cube", "a black cone beside a red cube"),
    ("a blue duck", "a blue car"),
)
SCALE, STEPS, TUNING = 3.0, 50, 100  # guidance, steps, and the seed of the scenes on which rates are tuned
SDEdit = float  # time up to which an image is noised


@dataclass(frozen=True)
class Scene:
    """Images to edit and the edits made by the renderer, (n, 3, 64, 64), with their prompts."""

    before: Tensor
    after: Tensor
    sources: list[str]
    targets: list[str]


def draw(seed: int, classifier: SceneClassifier) -> Scene:
    """Scenes of all edits at a seed, such that the scene classifier reads both renders right."""
    sources, targets = map(list, zip(*EDITS, strict=True))
    found: dict[int, tuple[Tensor, Tensor]] = {}
    rng = torch.Generator().manual_seed(seed)
    while len(found) < len(EDITS):
        layouts = Scenes().layouts_for(sources, rng)
        pair = [Scenes().render(scenes).image for scenes in (layouts, _changed(layouts, targets))]
        right = [
            score_captions(classifier, *both).by_attribute["all"] for both in zip(pair, (sources, targets), strict=True)
        ]
        for k in (right[0] & right[1]).nonzero()[:, 0].tolist():
            found.setdefault(k, (pair[0][k], pair[1][k]))
    before, after = (torch.stack([found[k][side] for k in range(len(EDITS))]) for side in (0, 1))
    return Scene(before, after, sources, targets)


def _changed(layouts: Layouts, targets: Sequence[str]) -> Layouts:
    """The same scenes with the objects and colours of other captions."""
    contents = SceneContents.from_captions([parse(target) for target in targets])
    return replace(layouts, captions=list(targets), object_type=contents.object_type, colour=contents.colour)


def optimise(prior: ms.Pipeline, scene: Scene, method: ms.Method, lr: float, seed: int, steps: int = STEPS) -> Tensor:
    """Edits by a method under SGD on latents, as `modeseek edit` does them."""
    target = prior.conditions(scene.targets)
    conditions = replace(target, source=prior.conditions(scene.sources).positive)
    with torch.no_grad():
        generator = ms.Latent(prior.codec.encode(scene.before))
    n = len(scene.before)
    optimizer = torch.optim.SGD(generator.parameters(), lr=lr * n)
    rng = ms.Streams(seed)
    for _ in ms.distill(generator, prior, method, optimizer, steps=steps, batch=n, conditions=conditions, rng=rng):
        pass
    return decode(prior, generator.z.detach())


@torch.no_grad()
def sdedit(prior: ms.Pipeline, scene: Scene, t: float, seed: int) -> Tensor:
    """Edits by noising up to a time and sampling under the target (SDEdit, Meng et al. 2022, arXiv 2108.01073)."""
    grid = torch.as_tensor(prior.grid(25))
    times = torch.cat([torch.full((1,), t).to(grid), grid[grid < t]])
    z = prior.codec.encode(scene.before)
    alpha, sigma = prior.schedule(times[:1])
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(seed))
    z = ms.ddim(ms.Guided(prior, SCALE), alpha * z + sigma * noise, times, prior.conditions(scene.targets))
    return decode(prior, z)


def decode(prior: ms.Pipeline, z: Tensor) -> Tensor:
    """Images of latents, in [0, 1]."""
    with torch.no_grad():
        return prior.codec.decode(z).float().clamp(0, 1)


def score(classifier: SceneClassifier, scene: Scene, images: Tensor) -> dict[str, float]:
    """Shares of edits that were made and of other attributes that were kept, and distances, RMS of pixels."""
    right = score_captions(classifier, images, scene.targets)
    made: list[bool] = []
    kept: list[bool] = []
    for k, pair in enumerate(zip(scene.sources, scene.targets, strict=True)):
        source, target = map(parse, pair)
        recoloured = [item.colour for item in source.objects] != [item.colour for item in target.objects]
        made.append(bool((right.colour if recoloured else right.object)[k]))
        kept.append(bool((right.object if recoloured else right.colour)[k] & right.relation[k]))
    return {
        "made": sum(made) / len(made),
        "kept": sum(kept) / len(kept),
        "both": sum(a and b for a, b in zip(made, kept, strict=True)) / len(made),
        "to_truth": (images - scene.after).square().flatten(1).mean(1).sqrt().mean().item(),
        "to_source": (images - scene.before).square().flatten(1).mean(1).sqrt().mean().item(),
    }


METHODS: Mapping[str, Callable[[ms.Pipeline, Scene, float, int], Tensor]] = {
    "dds": lambda prior, scene, rate, seed: optimise(prior, scene, ms.methods.DDS(scale=SCALE), rate, seed),
    "pds": lambda prior, scene, rate, seed: optimise(
        prior, scene, ms.methods.PDS(scale=SCALE, coefficients="official"), rate, seed
    ),
    "pds-exact": lambda prior, scene, rate, seed: optimise(prior, scene, ms.methods.PDS(scale=SCALE), rate, seed),
    "sds-bridge": lambda prior, scene, rate, seed: optimise(
        prior, scene, ms.methods.SDSBridge(scale=SCALE, since=0.0), rate, seed
    ),
    "sdedit": sdedit,
}
RATES: Mapping[str, tuple[float, ...]] = {  # those that are tried; of sdedit times
    "dds": (0.1, 0.2, 0.4, 0.8),
    "pds": (0.05, 0.2, 0.8),
    "pds-exact": (1.0, 4.0, 16.0),
    "sds-bridge": (0.05, 0.2, 0.8),
    "sdedit": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
}
