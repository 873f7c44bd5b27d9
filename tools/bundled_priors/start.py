"""Pipelines that a training continues from: found by name or path, checked, and copied into the training folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from modeseek.config.loaded_prior import files_digest
from modeseek.io.atomic import write_synced
from modeseek.io.packaged import data_folder, packaged_weights
from tools.bundled_priors.history import FILE, read_history, write_history
from tools.bundled_priors.pipeline_folder import copy_pipeline, read_like
from tools.bundled_priors.recipe import CONTINUED_LR, RECIPES, StartRecipe, TrainingRecipe

FOLDER = "start"  # of a training folder


def find_start(path: str) -> Path:
    """Folder of a pipeline: `scenes` or `emoji`, a training folder, or the pipeline's own.

    Raises:
        ValueError: there is none.
    """
    if path in RECIPES:
        return packaged_weights(path)
    for folder in (Path(path) / "pipeline", Path(path)):
        if (folder / "model_index.json").is_file():
            return folder
    raise ValueError(f"--start must be scenes, emoji or the folder of a pipeline, got {path}; check the path")


def start_recipe(folder: Path) -> StartRecipe:
    """Identity of a pipeline: name and digest of its weights."""
    inside = folder.name == "pipeline" and folder.parent != data_folder()
    return StartRecipe((folder.parent if inside else folder).name, weights_digest(folder))


def weights_digest(folder: Path) -> str:
    """Digest of the weights of a pipeline, as runs record it."""
    return files_digest(sorted(folder.rglob("*.safetensors")))


def continued(recipe: TrainingRecipe, folder: Path) -> TrainingRecipe:
    """Recipe that trains only the denoiser on, from a pipeline of the recipe's shape.

    Raises:
        ValueError: a pipeline of another shape.
    """
    read_like(folder, recipe.model)
    network = replace(recipe.network, lr=CONTINUED_LR)
    return replace(recipe, network=network, start=start_recipe(folder))


def copy_start(folder: Path, target: Path) -> None:
    """Copies a pipeline and the history of its training, if it has one."""
    target.mkdir()
    copy_pipeline(folder, target)
    if (folder / FILE).is_file():
        write_synced(target / FILE, write_history(read_history(folder)))
