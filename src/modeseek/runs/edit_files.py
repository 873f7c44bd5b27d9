"""Files of an edit: the images that it started from, the sheet of before and after, and the scores of the results."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes import are_captions
from modeseek.io.atomic import write_atomic
from modeseek.io.images import encode_png
from modeseek.metrics.scenes.caption_accuracy import score_captions
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.priors.base import Conditions
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.rng import Streams
from modeseek.rundir.edit_records import EditRecord, write_edit_records
from modeseek.rundir.run_dir import Run
from modeseek.runs.build import RunObjects
from modeseek.sampling.likeliest import denoising_loss

_MOST_TILES, _TILE = 32, 256  # of the sheet; about the least side of a tile, pixels


def is_edit(objects: RunObjects) -> bool:
    """Whether a run edits images: it starts from them, and has a prompt of what they show."""
    return objects.sources is not None and bool(objects.config.source and objects.config.prompts)


def write_edits(run: Run, objects: RunObjects, images: Float[Tensor, "n c h w"]) -> None:
    """Writes `media/source*.png`, `results.png` (each source beside its result) and `exports/edits.json`.

    Scores by the prior cost 32 of its calls for each image, beside those of the run.

    Args:
        run: run folder.
        objects: objects of an edit, see `is_edit`.
        images: edited images in [0, 1].
    """
    assert objects.sources is not None
    sources = objects.sources.detach().float().cpu()
    prompts = [objects.config.prompts[k % len(objects.config.prompts)] for k in range(len(images))]
    source = objects.config.source
    names = _write_sources(run, sources)
    distances = (images - sources).square().flatten(1).mean(1).tolist()
    shares = _attribute_shares(images, prompts, source)
    margins = _margins(objects, images), _margins(objects, sources)
    columns = [column.tolist() if column is not None else [None] * len(images) for column in (*shares, *margins)]
    records = [
        EditRecord(prompt, source, name, distance, *scores)
        for prompt, name, distance, *scores in zip(prompts, names, distances, *columns, strict=True)
    ]
    write_edit_records(run.path, records)
    write_atomic(run.path / "results.png", edit_sheet(sources, images, source, prompts))


def edit_sheet(
    sources: Float[Tensor, "n c h w"], images: Float[Tensor, "n c h w"], source: str, prompts: list[str]
) -> bytes:
    """PNG of each source beside its result, with their prompts; of the first 32 edits."""
    side = max(images.shape[2:])
    cells = [
        [[Tile(before, caption=source)], [Tile(after, caption=prompt)]]
        for before, after, prompt in list(zip(sources, images, prompts, strict=True))[:_MOST_TILES]
    ]
    return ContactSheet(cells, side=side * max(1, round(_TILE / side))).png()


def _write_sources(run: Run, sources: Float[Tensor, "n c h w"]) -> list[str]:
    """Writes the different ones among the sources; returns the file of each, relative to the run folder."""
    names: list[str] = []
    for index, image in enumerate(sources):
        same = next((k for k in range(index) if torch.equal(sources[k], image)), None)
        if same is not None:
            names.append(names[same])
            continue
        number = len(set(names)) + 1
        names.append("media/source.png" if number == 1 else f"media/source-{number}.png")
        write_atomic(run.path / names[-1], encode_png(image))
    return names


def _attribute_shares(
    images: Float[Tensor, "n c h w"], prompts: list[str], source: str
) -> tuple[Tensor | None, Tensor | None]:
    """Shares of the attributes of target and source prompts that the scene classifier finds; None for other prompts."""
    if images.shape[1] != 3 or not are_captions([*prompts, source]):
        return None, None
    classifier = SceneClassifier.packaged()
    target, origin = (score_captions(classifier, images, texts) for texts in (prompts, [source] * len(images)))
    return target.share, origin.share


def _margins(objects: RunObjects, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"] | None:
    """Denoising loss under the source prompt minus that under the target; None for conditions that need a view."""
    conditions, loaded = objects.conditions, objects.loaded
    if not isinstance(conditions, Conditions) or conditions.source is None:
        return None
    with torch.no_grad():
        z = loaded.codec.encode(images.to(loaded.like))[None]
    items = tuple(range(len(images)))
    origin, target = (
        denoising_loss(loaded.prior, z, cond, Streams(objects.config.seed, items=items, use="compare"))[0]
        for cond in (conditions.source, conditions.positive)
    )  # the same noise for both
    return (origin - target).cpu()
