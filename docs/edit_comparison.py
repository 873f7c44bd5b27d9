"""Comparison of methods that edit images: `python docs/edit_comparison.py` prints the tables of docs/edit.md.

Rendered scenes are edited under the prior `scenes`, and compared with renders of the same scene in which the change was
made. `--tune` prints every rate, on scenes of another seed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

import modeseek as ms
from modeseek.datasets.scenes import Layouts, Scenes, parse
from modeseek.datasets.scenes.sampling import SceneContents
from modeseek.io.atomic import write_atomic
from modeseek.metrics.scenes.caption_accuracy import score_captions
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.contact_sheet import ContactSheet, Tile

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
SCALE, STEPS = 3.0, 50  # guidance, and steps of the methods
SEEDS, TUNING = (0, 1), 100  # of scenes and noise; rates are tuned on those of another seed


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


Edit = Callable[[ms.Pipeline, Scene, float, int], Tensor]


def by(method: ms.Method) -> Edit:
    """Edits by a method at a rate and a seed."""
    return lambda prior, scene, rate, seed: optimise(prior, scene, method, rate, seed)


METHODS: Mapping[str, tuple[Edit, tuple[float, ...], float]] = {  # edits, the rates tried (of sdedit times), the chosen
    "dds": (by(ms.methods.DDS(scale=SCALE)), (0.2, 0.4, 0.8), 0.4),
    "sds-bridge": (by(ms.methods.SDSBridge(scale=SCALE)), (0.1, 0.2), 0.2),
    "sdedit": (sdedit, (0.5, 0.6, 0.7, 0.8), 0.7),
    "pds": (by(ms.methods.PDS(scale=30.0)), (0.2,), 0.2),  # at its authors' guidance 100 and at 3 and 10 fewer are made
    "pds-exact": (by(ms.methods.PDS(scale=SCALE, coefficients="exact")), (1.0, 4.0), 1.0),
}
COLUMNS = {
    "made": "Made", "kept": "Kept", "both": "Both", "to_truth": "To the true edit", "to_source": "To the source"
}  # fmt: skip


def compare(names: Sequence[str], seeds: Sequence[int], tune: bool, folder: Path) -> list[Mapping[str, object]]:
    """Rows of the comparison, each printed when it is there; images go to the folder, by row and seed."""
    classifier, prior = SceneClassifier.packaged(), ms.bundled("scenes")
    scenes = {seed: draw(seed, classifier) for seed in seeds}
    rows: list[Mapping[str, object]] = []
    for name in names:
        edit, rates, chosen = METHODS[name]
        for rate in rates if tune else (chosen,):
            images = {seed: edit(prior, scenes[seed], rate, seed) for seed in seeds}
            scores = [score(classifier, scenes[seed], images[seed]) for seed in seeds]
            rows.append(
                {"method": name, "rate": rate} | {key: sum(s[key] for s in scores) / len(seeds) for key in COLUMNS}
            )
            print(table_row(rows[-1]), flush=True)
            for seed, batch in images.items():
                tiles = [[[Tile(image)] for image in line] for line in (scenes[seed].before, scenes[seed].after, batch)]
                sheet = ContactSheet(tiles, labels=["source", "true edit", name], side=96, label_width=110, gap=6)
                write_atomic(folder / f"{name}-{rate:g}-{seed}.png", sheet.png())
    return rows


def table_row(row: Mapping[str, object]) -> str:
    """Row of the table in Markdown."""
    return f"| {row['method']} | {row['rate']:g} | " + " | ".join(f"{row[key]:.2f}" for key in COLUMNS) + " |"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: prints the table; an error is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=f"methods of {', '.join(METHODS)}; default all")
    parser.add_argument("--tune", action="store_true", help="every rate, on scenes of another seed")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder of rows.json and the images")
    args = parser.parse_args(argv)
    try:
        if unknown := sorted(set(args.methods) - METHODS.keys()):
            raise ValueError(f"METHOD must be one of {', '.join(METHODS)}, got {unknown[0]}")
        print(f"| Method | Rate | {' | '.join(COLUMNS.values())} |\n|{'---|' * (2 + len(COLUMNS))}")
        rows = compare(args.methods or list(METHODS), (TUNING,) if args.tune else SEEDS, args.tune, args.out)
        write_atomic(args.out / "rows.json", json.dumps(rows, indent=1) + "\n")
    except (OSError, ValueError) as error:
        print(f"edit_comparison: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
