"""Files of a restoration: degraded image, truth, differences, the sheet of all, and the scores of the results."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.config.measurement import ImageMeasurement
from modeseek.io.atomic import write_atomic
from modeseek.io.images import encode_png
from modeseek.metrics.restoration import psnr, ssim
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.rundir.restoration_records import RestorationRecord, write_restoration_records
from modeseek.rundir.run_dir import Run
from modeseek.runs.build import RunObjects

DEGRADED, TRUTH = "media/degraded.png", "media/source.png"
_MOST_TILES, _TILE = 24, 256  # rows of the sheet; about the least side of a tile, pixels
_RIDGE = 1e-2  # of the least-squares image of the data, over the largest gain of the operator


def write_restorations(run: Run, objects: RunObjects, images: Float[Tensor, "n c h w"]) -> None:
    """Writes `media/degraded.png`, `media/source.png`, differences, `results.png` and `exports/results.json`.

    Args:
        run: run folder.
        objects: objects of a restoration, which has a measurement.
        images: restored images in [0, 1].
    """
    measurement, config = objects.measurement, objects.config
    assert measurement is not None and config.measurement is not None
    images = images.clamp(0, 1)  # as their files
    residual = (measurement.operator(images) - measurement.y.float().cpu()) * _share(measurement)
    scale = (residual[0].numel() / (torch.ones_like(residual[:1]) * _share(measurement)).sum()).sqrt()
    rms = scale * residual.square().flatten(1).mean(1).sqrt()
    truth = None if measurement.truth is None else measurement.truth.float().cpu()
    differences = residual if truth is None else images - truth
    write_atomic(run.path / DEGRADED, encode_png(measurement.shown.float().cpu().clamp(0, 1)))
    if truth is not None:
        write_atomic(run.path / TRUTH, encode_png(truth))
    names = ["media/difference.png", *(f"media/difference-{k + 1}.png" for k in range(1, len(images)))]
    painted = (0.5 + differences).clamp(0, 1)
    for name, difference in zip(names, painted, strict=True):
        write_atomic(run.path / name, encode_png(difference))
    scores = _scores(images, truth, measurement)
    prompts = [config.prompts[k % len(config.prompts)] for k in range(len(images))]
    records = [
        RestorationRecord(
            prompt, config.measurement.operator, config.measurement.noise, DEGRADED, name, residual_rms, *row
        )
        for prompt, name, residual_rms, row in zip(prompts, names, rms.tolist(), scores, strict=True)
    ]
    write_restoration_records(run.path, records)
    write_atomic(run.path / "results.png", _sheet(measurement, images, painted, truth, prompts))


def _share(measurement: ImageMeasurement) -> Tensor:
    """1 where data were measured, 0 where they are missing."""
    return torch.ones(()) if measurement.missing is None else 1 - measurement.missing.float().cpu()


def _scores(
    images: Float[Tensor, "n c h w"], truth: Tensor | None, measurement: ImageMeasurement
) -> list[tuple[float | None, float | None, float | None]]:
    """PSNR and SSIM of each image, and the PSNR of the least-squares image of the data."""
    if truth is None:
        return [(None, None, None)] * len(images)
    expected = truth[None].expand_as(images)
    before = psnr(_least_squares(measurement, truth), truth[None]).item()
    rows = zip(psnr(images, expected).tolist(), ssim(images, expected).tolist(), strict=True)
    return [(first, second, before) for first, second in rows]


def _least_squares(measurement: ImageMeasurement, like: Tensor) -> Float[Tensor, "1 c h w"]:
    """Least-squares image of the data that is nearest to the shown one, or to 0 where that has another size."""
    shown, y = measurement.shown.float().cpu(), measurement.y.float().cpu()
    base = (shown if shown.shape == like.shape else torch.zeros_like(like))[None]
    return (base + measurement.operator.gain(y - measurement.operator(base), _RIDGE, 1.0)).clamp(0, 1)


def _sheet(
    measurement: ImageMeasurement, images: Tensor, differences: Tensor, truth: Tensor | None, prompts: list[str]
) -> bytes:
    """PNG of the degraded image beside each result, its difference, and the truth; of the first 24 results."""
    side = max(images.shape[2:])
    degraded = measurement.shown.float().cpu().clamp(0, 1)
    enlarged = side // max(degraded.shape[1:])
    degraded = degraded.repeat_interleave(enlarged, 1).repeat_interleave(enlarged, 2) if enlarged > 1 else degraded
    cells = [
        [[Tile(degraded, caption="degraded")], [Tile(image, caption=prompt)], [Tile(difference, caption="difference")]]
        + ([] if truth is None else [[Tile(truth, caption="truth")]])
        for image, difference, prompt in list(zip(images, differences, prompts, strict=True))[:_MOST_TILES]
    ]
    return ContactSheet(cells, side=side * max(1, round(_TILE / side))).png()
