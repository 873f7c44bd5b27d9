"""Metric table of the text-to-image experiment, with remarks on missing and unreliable metrics."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from modeseek.experiments.text_to_image.jobs import BatchResult
from modeseek.experiments.text_to_image.metrics import EntryImages, MetricNetworks, render_features
from modeseek.experiments.text_to_image.plan import TextToImage
from modeseek.io.progress import Progress
from modeseek.reports.metric import Metric, evaluate
from modeseek.reports.table import Row, Table, row_values


def measure(
    plan: TextToImage,
    results: Mapping[str, Sequence[BatchResult]],
    reference: Sequence[BatchResult],
    networks: MetricNetworks,
    metrics: Sequence[Metric[EntryImages]],
) -> Generator[Progress, None, tuple[Table, tuple[str, ...]]]:
    """Metric table, and remarks on missing or unreliable metrics.

    Args:
        plan: the plan.
        results: finished jobs by name of the entry.
        reference: finished jobs of the reference.
        networks: networks of the metrics, on the device of the plan.
        metrics: metrics to evaluate.
    """
    classifier = networks.scene_classifier
    real = EntryImages(plan, tuple(reference), networks) if reference else None
    renders = None if classifier is None else render_features(classifier, plan.prompts, plan.seed)
    rows: list[Row] = []
    not_finite: list[str] = []
    n = 0
    for name, jobs in results.items():
        yield Progress("measuring", len(rows), len(results), name)
        images = EntryImages(plan, tuple(jobs), networks, real, renders)
        rows.append(Row(name, row_values(evaluate(metrics, images)), reference=name.split("@")[0] == "ddim"))
        n = len(images)
        if images.log_p is not None and not images.log_p.isfinite().all():
            not_finite.append(f"{int((~images.log_p.isfinite()).sum())} of {n} of {name}")
    yield Progress("measuring", len(rows), len(results))
    remarks = _remarks(plan, networks, real, n)
    if not_finite:
        remarks.append(
            f"Some log-likelihoods are not finite ({', '.join(not_finite)} images): {plan.likelihood} steps are too "
            "few for the network's flow, or none suffice; raise --likelihood."
        )
    return Table(tuple(metrics), tuple(rows)), tuple(remarks)


def _remarks(plan: TextToImage, networks: MetricNetworks, real: EntryImages | None, n: int) -> list[str]:
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
    elif real is not None and real.features is not None:
        width, least = real.features.shape[1], min(n, len(real))
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
