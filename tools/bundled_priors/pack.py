"""Packing of a trained pipeline as modeseek ships it: half precision, history, card, curves, checksums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from modeseek.io.atomic import atomic_folder, write_synced
from modeseek.io.errors import one_line
from modeseek.io.packaged import data_folder, write_checksums
from tools.bundled_priors.history import FILE, HistoryEntry, read_history, write_history
from tools.bundled_priors.model_card import model_card, read_exam
from tools.bundled_priors.pipeline_folder import clean_configs, copy_pipeline, read_like
from tools.bundled_priors.recipe import RECIPES, PriorName
from tools.bundled_priors.sample_grid import curves_png
from tools.bundled_priors.start import weights_digest
from tools.bundled_priors.training_dir import TrainingDir


def pack(source: Path, prior: PriorName, *, exam: Path | None = None, to: Path | None = None) -> Path:
    """Writes the folder of a bundled prior and returns its path.

    Args:
        source: training folder, or a pipeline folder with its `training.json`.
        prior: scenes or emoji.
        exam: run folder of an exam of these weights, whose figures stand on the card.
        to: folder to write, replaced if it is there; default that of the package.

    Raises:
        ValueError: no pipeline, one of another shape, no history, or an exam of other weights.
        OSError: the folder cannot be written.
    """
    pipeline, history, curves = _contents(source)
    parts = read_like(pipeline, RECIPES[prior].model)
    results = None if exam is None else _exam_of(exam, pipeline)
    target = data_folder() / prior if to is None else to
    if target.exists() and any(target.iterdir()) and not (target / "model_index.json").is_file():
        raise ValueError(f"--to must be a new folder or one of a pipeline, got {target}; choose another name")
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(target) as scratch:
        copy_pipeline(pipeline, scratch)
        _to_half(scratch)
        clean_configs(scratch)
        sizes = {name: sum(p.numel() for p in getattr(parts, name).parameters()) for name in _MODULES}
        n_bytes = sum(path.stat().st_size for path in scratch.rglob("*.safetensors"))
        card = model_card(prior, history, sizes, n_bytes, results, curves is not None)
        write_synced(scratch / "README.md", card.encode())
        write_synced(scratch / FILE, write_history(history))
        if curves is not None:
            write_synced(scratch / "curves.png", curves)
        write_checksums(scratch)
    return target


_MODULES = ("unet", "vae", "text_encoder")


def _contents(source: Path) -> tuple[Path, tuple[HistoryEntry, ...], bytes | None]:
    """Pipeline, history and curves of a training folder, or of a pipeline folder."""
    if (source / "recipe.json").is_file():
        directory = TrainingDir(source)
        if not (source / "pipeline" / "model_index.json").is_file():
            raise ValueError(f"{source} must be a training with a pipeline, but has none yet; train it further")
        return source / "pipeline", tuple(directory.history), curves_png(directory.metrics)
    if not (source / "model_index.json").is_file():
        raise ValueError(f"{source} must be a training folder or a pipeline folder, but is neither; check the path")
    return source, read_history(source), None


def _exam_of(run: Path, pipeline: Path) -> dict[str, Any]:
    """Results of an exam, which must be of the weights of the pipeline."""
    import json

    results = read_exam(run)
    try:
        examined = json.loads((run / "env.json").read_bytes())["prior"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{run / 'env.json'} must name the examined weights: {one_line(error, 100)}") from error
    if examined != weights_digest(pipeline):
        raise ValueError(f"--exam must be of the weights of {pipeline}, got {run} of others; examine these first")
    return results


def _to_half(folder: Path) -> None:
    """Rounds weights of higher precision to half; files that are in half precision already stay as they are."""
    from safetensors.torch import load_file, save_file

    for path in folder.rglob("*.safetensors"):
        weights = load_file(path)
        if any(tensor.dtype != torch.float16 and tensor.is_floating_point() for tensor in weights.values()):
            half = {name: t.half() if t.is_floating_point() else t for name, t in weights.items()}
            save_file(half, path, metadata={"format": "pt"})
