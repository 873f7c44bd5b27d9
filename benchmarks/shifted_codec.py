"""Effect of random shifts before the encoder on text to image: edges on the encoder's grid, and quality.

Every case optimises the same prompts from the same seeds with the same noise, steps and prior calls; only the shift of
the codec differs. Images are kept in runs/shifted-codec/, so that an interrupted benchmark resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import goal, parse_args, result_of, result_path, save
from torch import Tensor

import modeseek as ms
from modeseek.codec import Move
from modeseek.config.defaults import default_config
from modeseek.config.generators import FieldConfig, GeneratorConfig, PixelsConfig
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.priors import PipelinePriorConfig
from modeseek.datasets.emoji import read_icons, render_icons, with_article
from modeseek.exams.caption_exam.caption_exam import held_out_captions
from modeseek.io.atomic import write_atomic
from modeseek.metrics.bootstrap import mean_with_interval
from modeseek.metrics.drawing_distance import drawing_distances
from modeseek.metrics.image_statistics import edges_on_grid, sharpness
from modeseek.metrics.scenes.caption_accuracy import score_captions
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.runs.build import build

FOLDER = Path("runs/shifted-codec")
PROMPTS, SEEDS, STEPS, GRID, SCALE = 16, 1, 200, 4, 3.0
LEVELS = (0.1, 0.2, 0.35, 0.5)  # times of the denoising error
GENERATORS: dict[str, Callable[[int], GeneratorConfig]] = {
    "pixels": PixelsConfig,
    "fourier": FieldConfig,
    "hash": lambda n: FieldConfig(n, "hash"),
}
THINGS = (
    *("owl", "red apple", "grinning face", "umbrella", "cactus", "guitar", "pizza", "sunflower", "cat face", "rocket"),
    *("mushroom", "rainbow", "lemon", "penguin", "hot air balloon", "key"),  # no drawing is called a hot air balloon
)
_SHOWN = 6  # prompts on the images


@dataclass(frozen=True)
class Case:
    """One setting: all prompts and seeds in one batch.

    Attributes:
        prior: name of the prior.
        generator: name of the generator.
        method: name of the method, with its default settings.
        shift: largest shift, pixels.
    """

    prior: str
    generator: str
    method: str
    shift: int = 0

    @property
    def name(self) -> str:
        """Name of the case, of its files and of its row."""
        return f"{self.prior}-{self.generator}-{self.method}-{self.shift}"

    @property
    def baseline(self) -> Case:
        """The same without shifts."""
        return replace(self, shift=0)


SHIFTS = (
    *(("emoji", "fourier", m, s) for m in ("msd", "sds") for s in (0, 2, 4)),
    *(("emoji", "pixels", m, s) for m in ("msd", "sds") for s in (0, 2)),
    *(("emoji", "hash", "msd", s) for s in (0, 2)),
    *(("scenes", "fourier", "msd", s) for s in (0, 2)),
)
CASES = tuple(Case(*key) for key in SHIFTS)


@cache
def load(name: str) -> LoadedPrior:
    return PipelinePriorConfig(name).load("cpu")


@cache
def prompts(prior: str, n: int) -> tuple[str, ...]:
    """Prompts of a prior: held-out captions of scenes, or everyday objects; image k shows prompt k % n."""
    return held_out_captions(n, 0) if prior == "scenes" else tuple(map(with_article, THINGS[:n]))


def optimise(case: Case, n: int, steps: int, seed: int) -> Tensor:
    """Images after the last step, in [0, 1]: n prompts x SEEDS."""
    generator, given = GENERATORS[case.generator](SEEDS * n), prompts(case.prior, n)
    config = default_config(
        case.method,
        PipelinePriorConfig(case.prior),
        generator,
        SCALE,
        case.shift,
        prompts=given,
        steps=steps,
        seed=seed,
    )
    objects = build(config, load(case.prior))
    for step in ms.distill(
        objects.generator,
        objects.prior,
        objects.method,
        objects.optimizer,
        steps=steps,
        batch=objects.batch,
        conditions=objects.conditions,
        codec=objects.codec,
        rng=ms.Streams(seed),
    ):
        rate = config.optimizer.rate(min(1.0, (step.index + 1) / max(1, steps - 1)))
        for group in objects.optimizer.param_groups:
            group["lr"] = rate
    return objects.render_preview().detach().clamp(0, 1)


def sample(name: str, n: int, seed: int) -> Tensor:
    """Plain samples of the prior for the same prompts and seeds: 25 DDIM steps."""
    prior = load(name).prior
    guided, rows = ms.Guided(prior, SCALE), SEEDS * n
    conditions = prior.conditions([prompts(name, n)[k % n] for k in range(rows)], None)
    with torch.no_grad():
        start = prior.start(rows, rng=torch.Generator().manual_seed(seed))
        return prior.codec.decode(ms.ddim(guided, start, prior.grid(25), conditions)).clamp(0, 1)


def kept(name: str, folder: Path, make) -> Tensor:
    """Images of a finished case, or new ones, which are kept."""
    path = folder / f"{name}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.save(path, make().numpy())
        print(f"{name} done", flush=True)
    return torch.from_numpy(np.load(path))


@torch.no_grad()
def denoising_error(key: str, images: Tensor, n: int, move: Move) -> Tensor:
    """Mean squared error of the predicted noise over LEVELS at the moved images, with the same noise for all cases."""
    prior, given = load(key.partition("-")[0]).prior, prompts(key.partition("-")[0], n)
    z = prior.codec.encode(move(images))
    conditions = prior.conditions([given[k % len(given)] for k in range(len(z))], None).positive
    rng, errors = torch.Generator().manual_seed(0), []
    for level in LEVELS:
        t = torch.full((len(z),), level)
        alpha, sigma = (part[:, None, None, None] for part in prior.schedule(t))
        eps = torch.randn(z.shape, generator=rng)
        errors.append((prior(alpha * z + sigma * eps, t, conditions).eps - eps).square().flatten(1).mean(1))
    return torch.stack(errors).mean(0)


@torch.no_grad()
def measure(key: str, images: Tensor, n: int) -> dict[str, Tensor]:
    """Every metric of each image."""
    codec, given = load(key.partition("-")[0]).codec, prompts(key.partition("-")[0], n)
    values = {
        "edges on grid": edges_on_grid(images, GRID),
        "off the decoder": (images - codec.decode(codec.encode(images))).square().flatten(1).mean(1).sqrt(),
        "error at 0": denoising_error(key, images, n, Move()),
        "error at 2, 1": denoising_error(key, images, n, Move(2, 1)),
        "sharpness": sharpness(images),
    }
    if key.startswith("scenes"):
        captions = [given[k % len(given)] for k in range(len(images))]
        scores = score_captions(SceneClassifier.packaged(), images, captions).by_attribute
        values |= {f"{key} right": scores[key].double() for key in ("object", "colour", "all")}
    return values


def compare_drawings(images: dict[str, Tensor], n: int, folder: Path) -> dict[str, dict[str, Tensor]]:
    """Distance of each image to the drawings of its name, and whether the nearest of all drawings is one of them."""
    icons = read_icons(folder)
    names = [icon.name for icon in icons]
    distances = result_of(drawing_distances(torch.cat(list(images.values())), render_icons(icons)))
    own = torch.tensor([[with_article(name) == prompt for name in names] for prompt in prompts("emoji", n)])
    own = own.repeat(SEEDS * len(images), 1)
    values = {
        "to its drawing": distances.masked_fill(~own, torch.inf).amin(1),
        "nearest is it": own.gather(1, distances.argmin(1, keepdim=True))[:, 0].double(),
    }
    values = {key: value.where(own.any(1), torch.nan) for key, value in values.items()}  # no drawing has such a name
    split = {key: value.split(SEEDS * n) for key, value in values.items()}
    return {case: {key: value[k] for key, value in split.items()} for k, case in enumerate(images)}


def row(values: dict[str, Tensor], baseline: dict[str, Tensor] | None, key: str, n: int) -> dict[str, list[float]]:
    """Mean and interval of each metric, and of its paired difference to the baseline, by resampling prompts."""
    groups = torch.arange(len(values["sharpness"])) % len(prompts(key.partition("-")[0], n))
    record = {}
    for metric, value in values.items():
        pairs = {metric: value} | ({} if baseline is None else {f"{metric}, difference": value - baseline[metric]})
        for label, numbers in pairs.items():
            known = ~numbers.isnan()
            estimate = mean_with_interval(numbers[known].double(), groups[known], 0)
            record[label] = [estimate.value, *(estimate.interval or ())]
    return record


def table(rows: dict[str, dict[str, list[float]]]) -> str:
    """Table of means and paired differences, with intervals where there are three prompts or more."""
    lines = []
    for name, record in rows.items():
        lines.append(name)
        for metric in (metric for metric in record if not metric.endswith("difference")):
            change = record.get(f"{metric}, difference")
            text = "" if change is None else f"   against none: {_with_interval(change, '+.4f')}"
            lines.append(f"  {metric:16} {_with_interval(record[metric], '.4f')}{text}")
    return "\n".join(lines)


def _with_interval(numbers: list[float], form: str) -> str:
    value, *ends = (format(number, form) for number in numbers)
    return f"{value} [{', '.join(ends)}]" if ends else value


def picture(images: dict[str, Tensor], n: int) -> bytes:
    """Contact sheet: prompts down, cases across."""
    names = list(images)
    labels = prompts(names[0].partition("-")[0], n)[:_SHOWN]
    return ContactSheet(
        ([[Tile(images[name][k])] for name in names] for k in range(len(labels))),
        [name.partition("-")[2] for name in names],
        labels,
        side=96,
        label_width=160,
    ).png()


def main() -> None:
    args = parse_args(
        __doc__.split("\n")[0], threads=1, icons="packages of the emoji drawings, as `modeseek exam` takes"
    )
    n, steps = (3, 3) if args.quick else (PROMPTS, STEPS)
    cases = [c for c in CASES if c.generator == "pixels" and c.method == "msd"] if args.quick else list(CASES)
    folder = FOLDER / "quick" if args.quick else FOLDER
    images: dict[str, Tensor] = {}
    for name in ("emoji", "scenes"):
        images[f"{name}-samples"] = kept(f"{name}-samples", folder, lambda name=name: sample(name, n, args.seed))
        for case in (case for case in cases if case.prior == name):
            images[case.name] = kept(case.name, folder, lambda case=case: optimise(case, n, steps, args.seed))
    values = {key: measure(key, tensor, n) for key, tensor in images.items()}
    if args.icons is not None:
        drawn = {key: tensor for key, tensor in images.items() if key.startswith("emoji")}
        for key, compared in compare_drawings(drawn, n, args.icons).items():
            values[key] |= compared
    baselines = {case.name: case.baseline.name for case in cases if case != case.baseline}
    rows = {key: row(value, values.get(baselines.get(key, "")), key, n) for key, value in values.items()}
    result_path(args, ".txt").write_text(table(rows) + "\n")
    print(table(rows))
    for prior in ("emoji", "scenes"):
        shown = {key: tensor for key, tensor in images.items() if key.startswith(prior)}
        write_atomic(result_path(args, f"_{prior}.png"), picture(shown, n))
    weights = {name: load(name).sha256 for name in ("emoji", "scenes")}
    save(
        args,
        {"weights": weights, "rows": rows},
        targets(rows, [case for case in cases if case.shift == 2]),
    )


def targets(rows: dict[str, dict[str, list[float]]], shifted: Sequence[Case]) -> dict[str, Any]:
    """Expected of shifts: images are better at places relative to the grid at which they are not seen without them."""
    key = "error at 2, 1, difference"
    return {
        f"{case.name} is better off the grid": goal(
            "error at 2, 1 falls, interval below 0", rows[case.name][key], rows[case.name][key][-1] < 0
        )
        for case in shifted
    }


if __name__ == "__main__":
    main()
