"""Scores of restored images, and tables of their means with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.restoration.problem import Problem
from modeseek.experiments.restoration.restored import Restored
from modeseek.experiments.restoration.restorers import OURS, Restorer
from modeseek.metrics.bootstrap import mean_with_interval
from modeseek.metrics.restoration import psnr, relative_distance, ssim
from modeseek.reports.table import Column, Row, Table, row_values

MAIN = "psnr"
COLUMNS = (
    Column("psnr", "PSNR", "Peak signal-to-noise ratio, decibels.", ".2f", "high"),
    Column("gain", "PSNR against mean shift", "Mean difference in PSNR from mean shift on the same images, with its "
           "interval by resampling images.", "+.2f"),
    Column("ssim", "SSIM", "Structural similarity (Wang et al. 2004), 7 x 7 windows.", ".3f", "high"),
    Column("features", "Features", "Distance of the scene classifier's features to those of the true image, relative "
           "to their norm.", ".3f", "low"),
    Column("log_posterior", "Log posterior", "log p(z) + log p(y | z), in nats, up to a constant of the image.", ".1f",
           "high"),
    Column("diversity", "Diversity", "RMS distance of pixel values of two samples for one measurement.", ".3f"),
    Column("calls", "Calls", "Prior calls per image.", ".0f"),
    Column("jacobians", "Jacobians", "Vector-Jacobian products of the prior per image, beside the calls.", ".0f"),
    Column("seconds", "Seconds", "Run time per image, images batched.", ".3g"),
)  # fmt: skip


def score(problem: Problem, entry: Restorer, z: Float[Tensor, "k n *d"]) -> tuple[Tensor, dict[str, Tensor]]:
    """The image that is scored, in [0, 1], and its scores, one number per image."""
    chosen = z.mean(0) if entry.averages else z[0]
    truth = problem.truth.image
    samples = torch.stack([problem.decode(part) for part in z])
    image = samples.mean(0) if entry.averages else samples[0]
    if entry.restore is None:
        image = problem.degraded
    values = {"psnr": psnr(image, truth), "ssim": ssim(image, truth)}
    if problem.space.features is not None:
        values["features"] = relative_distance(problem.space.features(image), problem.space.features(truth))
    density = problem.log_posterior(chosen)
    if density is not None:
        values["log_posterior"] = density
    if len(samples) > 1:
        values["diversity"] = (2 * samples.var(0).flatten(1).mean(1)).sqrt()
    return image, values


def table(entries: Sequence[Restorer], results: Mapping[str, Sequence[Restored]], seed: int) -> Table:
    """Table of the means over images and cells, a row per method.

    Args:
        entries: methods, in order.
        results: results of each method, one per cell, the same cells for all.
        seed: random seed of the intervals.
    """
    rows, base = [], results.get(OURS)
    for entry in entries:
        own = results.get(entry.name)
        if not own:
            continue
        keys = [key for key in own[0].values if all(key in result.values for result in own)]
        estimates = {key: mean_with_interval(_mean(own, key), seed=seed) for key in keys}
        if base is not None and entry.name != OURS and len(base) == len(own):
            estimates["gain"] = mean_with_interval(_mean(own, MAIN) - _mean(base, MAIN), seed=seed)
        values = row_values(estimates)
        for key in ("calls", "jacobians", "seconds"):
            values[key] = sum(getattr(result, key) for result in own) / len(own)
        rows.append(Row(entry.name, values, entry.reference))
    return Table(COLUMNS, tuple(rows))


def _mean(results: Sequence[Restored], key: str) -> Float[Tensor, "n"]:
    """Mean over cells of the score of each image."""
    return torch.stack([result.values[key] for result in results]).mean(0)
