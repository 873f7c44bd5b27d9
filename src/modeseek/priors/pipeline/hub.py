"""Download of pipelines from the hub: one set of weights per component, never all precisions."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch

from modeseek.io.errors import reason
from modeseek.priors.pipeline.weight_files import choose_weights

_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_SECONDS = 5.0  # for a description from the hub
_SMALL = (".json", ".txt", ".model")
_UNUSED = ("safety_checker", "image_encoder", "feature_extractor", "watermarker")


def download_pipeline(name: str, dtype: torch.dtype | None = None) -> Path:
    """Downloads a pipeline's repository, or finds its copy in the hub's cache, and returns the folder.

    Raises:
        ValueError: there is no such repository, or it holds no pipeline.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        names = [file.rfilename for file in HfApi().model_info(name).siblings or ()]
    except HfHubHTTPError as error:
        raise ValueError(f"{name} is neither a local folder nor reachable on the hub: {reason(error)}") from error
    except Exception as offline:  # of the HTTP library behind it, which differs between versions
        try:
            return Path(snapshot_download(name, local_files_only=True))
        except (LocalEntryNotFoundError, OSError) as error:
            raise ValueError(
                f"{name} is neither a local folder nor reachable on the hub, nor in its cache: {reason(offline)}"
            ) from error
    if "model_index.json" not in names:
        raise ValueError(
            f"{name} on the hub is no diffusers pipeline: it has no model_index.json; download the file that you mean "
            "and give its path"
        )
    try:
        return Path(snapshot_download(name, allow_patterns=sorted(needed_files(names, dtype))))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ValueError(f"{name} cannot be downloaded from the hub: {reason(error)}; try again") from error


def needed_files(names: Collection[str], dtype: torch.dtype | None = None) -> Iterator[str]:
    """Yields the files of a repository that a pipeline needs: configurations, tokenizers and one set of weights each.

    A component without a set that can be chosen yields all its safetensors, so that the check of the folder names it.
    """
    components: dict[str, list[str]] = {}
    for path in names:
        folder, _, name = path.rpartition("/")
        if name.endswith(_SMALL) and "/" not in folder:
            yield path
        elif folder and "/" not in folder and folder not in _UNUSED:
            components.setdefault(folder, []).append(name)
    for folder, files in components.items():
        weights = [name for name in files if name.endswith(".safetensors")]
        indices = [path.rpartition("/")[2] for path in names if path.startswith(f"{folder}/") and ".index." in path]
        for stem in ("diffusion_pytorch_model", "model"):
            if any(name.startswith(f"{stem}.") or name.startswith(f"{stem}-") for name in weights):
                try:
                    weights = list(choose_weights([*weights, *indices], stem, dtype).files)
                except ValueError:
                    break  # all of them: the line about the folder follows
        yield from (f"{folder}/{name}" for name in weights)


@cache
def repository_class(name: str) -> str | None:
    """Returns the class of a repository's pipeline in diffusers, from the hub's cache or the hub; None where unknown.

    Nothing is downloaded; the pipeline follows when it is loaded, and says why where it cannot be.

    Args:
        name: owner/name.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache

    if not _REPOSITORY.fullmatch(name):
        return None
    cached = try_to_load_from_cache(name, "model_index.json")
    if isinstance(cached, str):
        return _class_name(json.loads(Path(cached).read_bytes()))
    try:
        described = HfApi().model_info(name, timeout=_SECONDS).config
    except Exception:  # no such repository, or no hub: errors of the HTTP library differ between versions
        return None
    return _class_name((described or {}).get("diffusers"))


def _class_name(index: Any) -> str | None:
    name = index.get("_class_name") if isinstance(index, dict) else None
    return name if isinstance(name, str) else None
