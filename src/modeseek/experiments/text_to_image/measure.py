"""From pictures to numbers: each with its interval, and a line for whatever could not be measured."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modeseek.experiments.text_to_image import log_likelihood as density
from modeseek.experiments.text_to_image import scene_scores as truth
from modeseek.experiments.text_to_image.jobs import JobResult
from modeseek.experiments.text_to_image.pictures import in_turn
from modeseek.experiments.text_to_image.plan import TextToImage
from modeseek.io.progress import Progress
from modeseek.metrics.bootstrap import Estimate, average
from modeseek.metrics.clip import Clip
from modeseek.metrics.features import Features
from modeseek.metrics.frechet import fid, kid
from modeseek.metrics.image_statistics import clipped, saturation, sharpness
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.priors.pipeline import Pipeline
from modeseek.reports.table import Column, Row, Table

COLUMNS = (
    *truth.COLUMNS,
    Column("fid", "FID", "Frechet distance of features to the DDIM reference. Biased upwards for few pictures.", ".3g",
           "low"),
    Column("kid", "KID", "Unbiased squared MMD of features to the DDIM reference, by a cubic kernel.", ".3g", "low"),
    Column("clip", "CLIP", "Mean cosine of picture and prompt; resampled by prompt.", ".3f", "high"),
    density.COLUMN,
    Column("saturation", "Saturation", "Mean HSV saturation, 0 to 1.", ".3f"),
    Column("clipped", "Clipped", "Share of channel values at 0 or 255.", ".3f"),
    Column("sharpness", "Sharpness", "RMS Laplacian of the luma; noise counts as well as edges.", ".3f"),
    Column("relative_shift", "Shift", "|shift| / (h sqrt(d)) in the last step; 0 is a fixed point.", ".2e"),
    Column("calls", "Calls", "Prior calls a picture; guided answers are two.", ".0f"),
    Column("seconds", "Seconds", "A picture, its share of the batch's time; with decoding and pictures.", ".3g"),
)  # fmt: skip


@dataclass(frozen=True)
class Judges:
    """Networks that see.

    Attributes:
        features: of FID and KID, or None.
        clip: of the similarity, or None.
        scenes: of rendered scenes, where all prompts are captions of such; or None.
        density: the prior whose likelihood is wanted, or None.
    """

    features: Features | None = None
    clip: Clip | None = None
    scenes: SceneClassifier | None = None
    density: Pipeline | None = None


@dataclass(frozen=True)
class Measured(Table):
    """A table whose cells show their intervals: `key_low` and `key_high` in a row's values."""

    def text(self, row: Row, column: Column) -> str:
        told = super().text(row, column)
        edges = [row.values.get(f"{column.key}_{side}") for side in ("low", "high")]
        if edges[0] is None or edges[1] is None:
            return told
        return f"{told} [{edges[0]:{column.spec}}, {edges[1]:{column.spec}}]"

    def csv(self) -> str:
        """Intervals in columns of their own."""
        there = {key for row in self.rows for key in row.values}
        wide = []
        for column in self.columns:
            wide.append(column)
            sides = [f"{column.key}_{side}" for side in ("low", "high")]
            wide += [Column(key, key, column.meaning) for key in sides if key in there]
        return Table(tuple(wide), self.rows).csv()


@dataclass(frozen=True)
class Seen:
    """What the judges saw in some pictures.

    Attributes:
        features: (n, d), or None.
        clip: cosine with the prompt, (n,), or None.
        looks: saturation, clipping and sharpness, (n,) each.
        prompts: number of each picture's prompt, (n,).
    """

    features: Tensor | None
    clip: Tensor | None
    looks: dict[str, Tensor]
    prompts: Tensor


def measure(
    plan: TextToImage, jobs: Mapping[str, Sequence[JobResult]], reference: Sequence[JobResult], judges: Judges
) -> Generator[Progress, None, tuple[Measured, tuple[str, ...]]]:
    """The table, and remarks on what its numbers can bear.

    Args:
        plan: whose pictures.
        jobs: by player's name, finished ones only.
        reference: finished jobs of the reference.
        judges: what there is to see with, on the device wanted.
    """
    total = sum(len(job.pictures) for kept in (*jobs.values(), reference) for job in kept)
    done = 0
    real: Tensor | None = None
    if judges.features is not None and reference:
        real = look(plan, reference, Judges(judges.features)).features
        done += sum(len(job.pictures) for job in reference)
        yield Progress("measuring", done, total)
    rows, count, lost = [], 0, []
    renders = None if judges.scenes is None else truth.rendered(judges.scenes, plan.prompts, plan.seed)
    for name, kept in jobs.items():
        seen = look(plan, kept, judges)
        count = len(seen.prompts)
        told = _values(plan, seen, kept, real)
        if judges.scenes is not None and renders is not None:
            told |= _flat(truth.judged(judges.scenes, plan.prompts, kept, renders, plan.seed))
        if judges.density is not None:
            values, prompts = density.log_p(judges.density, plan.prompts, kept, plan.likelihood, plan.seed)
            if values.isfinite().all():
                told |= _flat({"log_p": average(values, torch.tensor(prompts), plan.seed)})
            else:
                lost.append(f"{int((~values.isfinite()).sum())} of {len(values)} of {name}")
        rows.append(Row(name, told, reference=name.split("@")[0] == "ddim"))
        done += count
        yield Progress("measuring", done, total)
    remarks = _remarks(plan, judges, real, count)
    if lost:
        remarks.append(
            f"Some likelihoods are not finite ({', '.join(lost)} pictures): the network's flow cannot be followed in "
            f"{plan.likelihood} steps, or not at all; raise --likelihood."
        )
    return Measured(COLUMNS, tuple(rows)), tuple(remarks)


def look(plan: TextToImage, jobs: Sequence[JobResult], judges: Judges) -> Seen:
    """Shows the pictures to the judges, some at a time."""
    features: list[Tensor] = []
    cosines: list[Tensor] = []
    looks: dict[str, list[Tensor]] = {"saturation": [], "clipped": [], "sharpness": []}
    prompts: list[int] = []
    device = torch.device(plan.device)
    for image, items in in_turn(jobs):
        if judges.features is not None:
            features.append(judges.features(image.to(device)).cpu())
        if judges.clip is not None:
            cosines.append(judges.clip(image.to(device), [plan.prompts[prompt] for prompt, _ in items]).cpu())
        for name, of in (("saturation", saturation), ("clipped", clipped), ("sharpness", sharpness)):
            looks[name].append(of(image))
        prompts += [prompt for prompt, _ in items]
    return Seen(
        torch.cat(features) if features else None,
        torch.cat(cosines) if cosines else None,
        {name: torch.cat(values) for name, values in looks.items()},
        torch.tensor(prompts),
    )


def _values(plan: TextToImage, seen: Seen, jobs: Sequence[JobResult], real: Tensor | None) -> dict[str, float]:
    told: dict[str, Estimate] = {}
    if seen.features is not None and real is not None and min(len(real), len(seen.features)) > 1:
        told["fid"] = fid(real, seen.features, plan.seed)
        told["kid"] = kid(real, seen.features, plan.seed)
    if seen.clip is not None:
        told["clip"] = average(seen.clip, seen.prompts, plan.seed)
    told |= {name: average(values, seed=plan.seed) for name, values in seen.looks.items()}
    shifts = [job.relative_shift for job in jobs if job.relative_shift is not None]
    if shifts:
        told["relative_shift"] = Estimate(sum(shifts) / len(shifts))
    told["calls"] = Estimate(sum(job.calls for job in jobs) / len(seen.prompts))
    told["seconds"] = Estimate(sum(job.seconds for job in jobs) / len(seen.prompts))
    return _flat(told)


def _flat(told: Mapping[str, Estimate]) -> dict[str, float]:
    """Values and the edges of their intervals, as a row holds them."""
    values: dict[str, float] = {}
    for name, estimate in told.items():
        values[name] = estimate.value
        if estimate.interval is not None:
            values[f"{name}_low"], values[f"{name}_high"] = estimate.interval
    return values


def _remarks(plan: TextToImage, judges: Judges, real: Tensor | None, n: int) -> list[str]:
    told = []
    if judges.features is None and judges.scenes is None:
        told.append(
            "FID and KID are missing: no feature network was given; call again with the same --out and --features "
            "FOLDER, a local image model of transformers such as DINOv2 (pictures that are done are kept)."
        )
    elif judges.features is not None and real is None:
        told.append(
            "FID and KID are missing: there is no reference to compare with; give --reference N and another --out."
        )
    elif n < 2:
        told.append(f"FID and KID are missing: they need two pictures a method and there is {n}; add seeds or prompts.")
    elif real is not None:
        width, least = real.shape[1], min(n, len(real))
        if least <= width:
            told.append(
                f"FID is taken from {n} pictures a method and {len(real)} of the reference with {width} features: a "
                f"covariance from {least} pictures has rank {least - 1} at most, so FID is mostly bias here; compare "
                "it with DDIM's own row only, and trust KID, which has none."
            )
    if judges.clip is None and judges.scenes is None:
        told.append(
            "CLIP similarity is missing: no CLIP model was given; call again with the same --out and --clip FOLDER, a "
            "local CLIPModel of transformers with its tokenizer (pictures that are done are kept)."
        )
    if len(plan.prompts) < 3 or n < 3:
        told.append(
            f"{n} pictures of {len(plan.prompts)} prompts a method are too few for all intervals: below three there "
            "is nothing to resample."
        )
    return told
