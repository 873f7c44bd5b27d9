"""From pictures to numbers: each with its interval, and a line for whatever could not be measured."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.common.metric_table import MetricTable, flatten
from modeseek.experiments.text_to_image import scene_scores as truth
from modeseek.experiments.text_to_image.job_images import iterate_images
from modeseek.experiments.text_to_image.jobs import JobResult
from modeseek.experiments.text_to_image.plan import TextToImage
from modeseek.io.progress import Progress
from modeseek.metrics.bootstrap import Estimate, mean_with_interval
from modeseek.metrics.clip import CLIPSimilarity
from modeseek.metrics.features import ImageFeatures
from modeseek.metrics.frechet import fid, kid
from modeseek.metrics.image_statistics import clipped_fraction, saturation, sharpness
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.priors.pipeline import Pipeline
from modeseek.reports.table import Column, Row
from modeseek.rng import Streams
from modeseek.sampling.likelihood import log_likelihood

COLUMNS = (
    *truth.COLUMNS,
    Column("fid", "FID", "Frechet distance of features to the DDIM reference. Biased upwards for few pictures.", ".3g",
           "low"),
    Column("kid", "KID", "Unbiased squared MMD of features to the DDIM reference, by a cubic kernel.", ".3g", "low"),
    Column("clip", "CLIP", "Mean cosine of picture and prompt; resampled by prompt.", ".3f", "high"),
    Column("log_p", "Log p", "Log-likelihood of the picture's z given its prompt, without guidance, by the probability-flow " "ODE; nats a dimension of z; resampled by prompt. High for what is typical and for what is merely smooth.", ".3f", "high"),
    Column("saturation", "Saturation", "Mean HSV saturation, 0 to 1.", ".3f"),
    Column("clipped", "Clipped", "Share of channel values at 0 or 255.", ".3f"),
    Column("sharpness", "Sharpness", "RMS Laplacian of the luma; noise counts as well as edges.", ".3f"),
    Column("relative_shift", "Shift", "|shift| / (h sqrt(d)) in the last step; 0 is a fixed point.", ".2e"),
    Column("calls", "Calls", "Prior calls a picture; guided answers are two.", ".0f"),
    Column("seconds", "Seconds", "A picture, its share of the batch's time; with decoding and pictures.", ".3g"),
)  # fmt: skip


@dataclass(frozen=True)
class MetricNetworks:
    """Networks that see.

    Attributes:
        features: of FID and KID, or None.
        clip: of the similarity, or None.
        scenes: of rendered scenes, where all prompts are captions of such; or None.
        density: the prior whose likelihood is wanted, or None.
    """

    features: ImageFeatures | None = None
    clip: CLIPSimilarity | None = None
    scene_classifier: SceneClassifier | None = None
    likelihood_prior: Pipeline | None = None


@dataclass(frozen=True)
class ImageStatistics:
    """What the judges saw in some pictures.

    Attributes:
        features: (n, d), or None.
        clip: cosine with the prompt, (n,), or None.
        looks: saturation, clipping and sharpness, (n,) each.
        prompts: number of each picture's prompt, (n,).
    """

    features: Tensor | None
    clip: Tensor | None
    statistics: dict[str, Tensor]
    prompts: Tensor


def measure(
    plan: TextToImage, jobs: Mapping[str, Sequence[JobResult]], reference: Sequence[JobResult], networks: MetricNetworks
) -> Generator[Progress, None, tuple[MetricTable, tuple[str, ...]]]:
    """The table, and remarks on what its numbers can bear.

    Args:
        plan: whose pictures.
        jobs: by player's name, finished ones only.
        reference: finished jobs of the reference.
        judges: what there is to see with, on the device wanted.
    """
    total = sum(len(job.images) for kept in (*jobs.values(), reference) for job in kept)
    done = 0
    real: Tensor | None = None
    if networks.features is not None and reference:
        real = measure_images(plan, reference, MetricNetworks(networks.features)).features
        done += sum(len(job.images) for job in reference)
        yield Progress("measuring", done, total)
    rows, count, lost = [], 0, []
    renders = None if networks.scene_classifier is None else truth.render_features(networks.scene_classifier, plan.prompts, plan.seed)
    for name, kept in jobs.items():
        seen = measure_images(plan, kept, networks)
        count = len(seen.prompts)
        told = _values(plan, seen, kept, real)
        if networks.scene_classifier is not None and renders is not None:
            told |= flatten(truth.score_jobs(networks.scene_classifier, plan.prompts, kept, renders, plan.seed))
        if networks.likelihood_prior is not None:
            values, prompts = log_p(networks.likelihood_prior, plan.prompts, kept, plan.likelihood, plan.seed)
            if values.isfinite().all():
                told |= flatten({"log_p": mean_with_interval(values, torch.tensor(prompts), plan.seed)})
            else:
                lost.append(f"{int((~values.isfinite()).sum())} of {len(values)} of {name}")
        rows.append(Row(name, told, reference=name.split("@")[0] == "ddim"))
        done += count
        yield Progress("measuring", done, total)
    remarks = _remarks(plan, networks, real, count)
    if lost:
        remarks.append(
            f"Some likelihoods are not finite ({', '.join(lost)} pictures): the network's flow cannot be followed in "
            f"{plan.likelihood} steps, or not at all; raise --likelihood."
        )
    return MetricTable(COLUMNS, tuple(rows)), tuple(remarks)


def measure_images(plan: TextToImage, jobs: Sequence[JobResult], networks: MetricNetworks) -> ImageStatistics:
    """Shows the pictures to the judges, some at a time."""
    features: list[Tensor] = []
    cosines: list[Tensor] = []
    statistics: dict[str, list[Tensor]] = {"saturation": [], "clipped": [], "sharpness": []}
    prompts: list[int] = []
    device = torch.device(plan.device)
    for image, items in iterate_images(jobs):
        if networks.features is not None:
            features.append(networks.features(image.to(device)).cpu())
        if networks.clip is not None:
            cosines.append(networks.clip(image.to(device), [plan.prompts[prompt] for prompt, _ in items]).cpu())
        for name, of in (("saturation", saturation), ("clipped", clipped_fraction), ("sharpness", sharpness)):
            statistics[name].append(of(image))
        prompts += [prompt for prompt, _ in items]
    return ImageStatistics(
        torch.cat(features) if features else None,
        torch.cat(cosines) if cosines else None,
        {name: torch.cat(values) for name, values in statistics.items()},
        torch.tensor(prompts),
    )


def _values(
    plan: TextToImage, seen: ImageStatistics, jobs: Sequence[JobResult], real: Tensor | None
) -> dict[str, float]:
    told: dict[str, Estimate] = {}
    if seen.features is not None and real is not None and min(len(real), len(seen.features)) > 1:
        told["fid"] = fid(real, seen.features, plan.seed)
        told["kid"] = kid(real, seen.features, plan.seed)
    if seen.clip is not None:
        told["clip"] = mean_with_interval(seen.clip, seen.prompts, plan.seed)
    told |= {name: mean_with_interval(values, seed=plan.seed) for name, values in seen.statistics.items()}
    shifts = [job.relative_shift for job in jobs if job.relative_shift is not None]
    if shifts:
        told["relative_shift"] = Estimate(sum(shifts) / len(shifts))
    told["calls"] = Estimate(sum(job.calls for job in jobs) / len(seen.prompts))
    told["seconds"] = Estimate(sum(job.seconds for job in jobs) / len(seen.prompts))
    return flatten(told)


def _remarks(plan: TextToImage, networks: MetricNetworks, real: Tensor | None, n: int) -> list[str]:
    told = []
    if networks.features is None and networks.scene_classifier is None:
        told.append(
            "FID and KID are missing: no feature network was given; call again with the same --out and --features "
            "FOLDER, a local image model of transformers such as DINOv2 (pictures that are done are kept)."
        )
    elif networks.features is not None and real is None:
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
    if networks.clip is None and networks.scene_classifier is None:
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


def log_p(
    prior: Pipeline, prompts: Sequence[str], jobs: Sequence[JobResult], steps: int, seed: int
) -> tuple[Float[Tensor, "n"], list[int]]:
    """`log p(z | prompt) / d` of every picture, and the number of its prompt.

    Args:
        prior: bare; its network must be differentiable.
        prompts: all of them.
        jobs: finished ones.
        steps: of Runge-Kutta; each takes 4 prior calls and as many vector-Jacobian products a picture.
        seed: of Hutchinson's probe, the same for every player.
    """
    values, numbers = [], []
    for image, items in iterate_images(jobs):
        with torch.no_grad():
            z = prior.codec.encode(image.to(prior.device))
        cond = prior.encode([prompts[prompt] for prompt, _ in items])
        rng = Streams(seed, use="likelihood", items=tuple(2**20 * prompt + own for prompt, own in items))
        values.append(log_likelihood(prior, z, cond, rng=rng, steps=steps).cpu() / z[0].numel())
        numbers += [prompt for prompt, _ in items]
    return torch.cat(values), numbers
