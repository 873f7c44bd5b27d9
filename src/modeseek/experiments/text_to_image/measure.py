"""Metrics of the images of finished jobs, with intervals and remarks on missing ones."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.common.metric_table import MetricTable, flatten
from modeseek.experiments.text_to_image import scene_scores
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
    *scene_scores.COLUMNS,
    Column("fid", "FID", "Frechet distance of features to the DDIM reference. Biased upwards for few images.", ".3g",
           "low"),
    Column("kid", "KID", "Unbiased squared MMD of features to the DDIM reference, cubic kernel.", ".3g", "low"),
    Column("clip", "CLIP", "Mean cosine similarity of image and prompt; resampled by prompt.", ".3f", "high"),
    Column("log_p", "Log p", "Log-likelihood of z given the prompt, without guidance, by the probability-flow ODE, in "
           "nats per dimension of z; resampled by prompt. High for typical and for merely smooth images.", ".3f",
           "high"),
    Column("saturation", "Saturation", "Mean HSV saturation, 0 to 1.", ".3f"),
    Column("clipped", "Clipped", "Share of channel values at 0 or 255.", ".3f"),
    Column("sharpness", "Sharpness", "RMS Laplacian of the luma; counts noise as well as edges.", ".3f"),
    Column("relative_shift", "Shift", "|shift| / (h sqrt(d)) in the last step; 0 is a fixed point.", ".2e"),
    Column("calls", "Calls", "Prior calls per image; a guided evaluation is two.", ".0f"),
    Column("seconds", "Seconds", "Run time per image, decoding and previews included.", ".3g"),
)  # fmt: skip


@dataclass(frozen=True)
class MetricNetworks:
    """Networks of the metrics; None skips the metrics of that network.

    Attributes:
        features: feature network of FID and KID.
        clip: CLIP model of the similarity.
        scene_classifier: scene classifier, for prompts that are captions of rendered scenes.
        likelihood_prior: prior of the log-likelihood.
    """

    features: ImageFeatures | None = None
    clip: CLIPSimilarity | None = None
    scene_classifier: SceneClassifier | None = None
    likelihood_prior: Pipeline | None = None


@dataclass(frozen=True)
class ImageStatistics:
    """Measurements of n images.

    Attributes:
        features: features (n, d), or None.
        clip: cosine similarity with the prompt, (n,), or None.
        statistics: saturation, clipped fraction and sharpness, (n,) each.
        prompts: prompt number of each image, (n,).
    """

    features: Tensor | None
    clip: Tensor | None
    statistics: dict[str, Tensor]
    prompts: Tensor


def measure(
    plan: TextToImage, jobs: Mapping[str, Sequence[JobResult]], reference: Sequence[JobResult], networks: MetricNetworks
) -> Generator[Progress, None, tuple[MetricTable, tuple[str, ...]]]:
    """Metric table, and remarks on missing or unreliable metrics.

    Args:
        plan: the plan.
        jobs: finished jobs by name of the entry.
        reference: finished jobs of the reference.
        networks: networks of the metrics, on their device.
    """
    total = sum(len(job.images) for results in (*jobs.values(), reference) for job in results)
    measured = 0
    real: Tensor | None = None
    if networks.features is not None and reference:
        real = measure_images(plan, reference, MetricNetworks(networks.features)).features
        measured += sum(len(job.images) for job in reference)
        yield Progress("measuring", measured, total)
    rows, count, not_finite = [], 0, []
    classifier = networks.scene_classifier
    renders = None if classifier is None else scene_scores.render_features(classifier, plan.prompts, plan.seed)
    for name, results in jobs.items():
        images = measure_images(plan, results, networks)
        count = len(images.prompts)
        values = _values(plan, images, results, real)
        if classifier is not None and renders is not None:
            values |= flatten(scene_scores.score_jobs(classifier, plan.prompts, results, renders, plan.seed))
        if networks.likelihood_prior is not None:
            logs, prompts = log_p(networks.likelihood_prior, plan.prompts, results, plan.likelihood, plan.seed)
            if logs.isfinite().all():
                values |= flatten({"log_p": mean_with_interval(logs, torch.tensor(prompts), plan.seed)})
            else:
                not_finite.append(f"{int((~logs.isfinite()).sum())} of {len(logs)} of {name}")
        rows.append(Row(name, values, reference=name.split("@")[0] == "ddim"))
        measured += count
        yield Progress("measuring", measured, total)
    remarks = _remarks(plan, networks, real, count)
    if not_finite:
        remarks.append(
            f"Some log-likelihoods are not finite ({', '.join(not_finite)} images): {plan.likelihood} steps are too "
            "few for the network's flow, or none suffice; raise --likelihood."
        )
    return MetricTable(COLUMNS, tuple(rows)), tuple(remarks)


def measure_images(plan: TextToImage, jobs: Sequence[JobResult], networks: MetricNetworks) -> ImageStatistics:
    """Measures the images of the jobs in batches."""
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
        for name, function in (("saturation", saturation), ("clipped", clipped_fraction), ("sharpness", sharpness)):
            statistics[name].append(function(image))
        prompts += [prompt for prompt, _ in items]
    return ImageStatistics(
        torch.cat(features) if features else None,
        torch.cat(cosines) if cosines else None,
        {name: torch.cat(values) for name, values in statistics.items()},
        torch.tensor(prompts),
    )


def _values(
    plan: TextToImage, images: ImageStatistics, jobs: Sequence[JobResult], real: Tensor | None
) -> dict[str, float]:
    estimates: dict[str, Estimate] = {}
    if images.features is not None and real is not None and min(len(real), len(images.features)) > 1:
        estimates["fid"] = fid(real, images.features, plan.seed)
        estimates["kid"] = kid(real, images.features, plan.seed)
    if images.clip is not None:
        estimates["clip"] = mean_with_interval(images.clip, images.prompts, plan.seed)
    estimates |= {name: mean_with_interval(values, seed=plan.seed) for name, values in images.statistics.items()}
    shifts = [job.relative_shift for job in jobs if job.relative_shift is not None]
    if shifts:
        estimates["relative_shift"] = Estimate(sum(shifts) / len(shifts))
    estimates["calls"] = Estimate(sum(job.calls for job in jobs) / len(images.prompts))
    estimates["seconds"] = Estimate(sum(job.seconds for job in jobs) / len(images.prompts))
    return flatten(estimates)


def _remarks(plan: TextToImage, networks: MetricNetworks, real: Tensor | None, n: int) -> list[str]:
    remarks = []
    if networks.features is None and networks.scene_classifier is None:
        remarks.append(
            "FID and KID are missing: no feature network was given; rerun with the same --out and --features FOLDER, a "
            "local image model of transformers such as DINOv2 (finished images are reused)."
        )
    elif networks.features is not None and real is None:
        remarks.append("FID and KID are missing: there is no reference; give --reference N and another --out.")
    elif n < 2:
        remarks.append(
            f"FID and KID are missing: they need two images per method and there is {n}; add seeds or prompts."
        )
    elif real is not None:
        width, least = real.shape[1], min(n, len(real))
        if least <= width:
            remarks.append(
                f"FID uses {n} images per method and {len(real)} of the reference with {width} features: a covariance "
                f"of {least} images has rank {least - 1} at most, so FID is mostly bias here; compare it with DDIM's "
                "own row only, and use KID, which is unbiased."
            )
    if networks.clip is None and networks.scene_classifier is None:
        remarks.append(
            "CLIP similarity is missing: no CLIP model was given; rerun with the same --out and --clip FOLDER, a local "
            "CLIPModel of transformers with its tokenizer (finished images are reused)."
        )
    if len(plan.prompts) < 3 or n < 3:
        remarks.append(
            f"{n} images of {len(plan.prompts)} prompts per method are too few for all intervals: resampling needs "
            "three."
        )
    return remarks


def log_p(
    prior: Pipeline, prompts: Sequence[str], jobs: Sequence[JobResult], steps: int, seed: int
) -> tuple[Float[Tensor, "n"], list[int]]:
    """`log p(z | prompt) / d` of every image, and its prompt number.

    Args:
        prior: bare prior with a differentiable network.
        prompts: all prompts.
        jobs: finished jobs.
        steps: number of Runge-Kutta steps; each costs 4 prior calls and 4 vector-Jacobian products per image.
        seed: random seed of Hutchinson's probe, equal for every entry.
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
