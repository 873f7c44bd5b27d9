"""Loaded priors: their identity, which a resumed run requires, and the checksums that it consists of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modeseek.codec import Identity, ImageCodec
from modeseek.datasets.digits import Digits
from modeseek.datasets.toy2d import ToyDataset2D
from modeseek.generators.base import View
from modeseek.generators.orbit import Orbit
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.pipeline import Pipeline


@dataclass(frozen=True)
class LoadedPrior:
    """Loaded prior with its codec, checksum and defaults.

    Attributes:
        prior: prior without guidance.
        sha256: SHA-256 of all its weights or data, and of its configuration; a resumed run requires the same.
        codec: map between pixels and z, for generators that render pixels and for previews.
        extent: half the side of the square to plot, units of z; None unless 2-D.
        view_conditions: conditions as a function of the view, for camera-conditional priors; else None.
        orbit: distribution of cameras that it was built for; None if any.
        weights: SHA-256 of its network's weights alone, for pipelines.
        configuration: configuration that is part of the identity, "part/field" -> value.
        remarks: what was left out while loading, one line each, for the log of every run.
    """

    prior: Prior
    sha256: str
    codec: ImageCodec = Identity()
    extent: float | None = None
    view_conditions: Callable[[View], Conditions] | None = None
    orbit: Orbit | None = None
    weights: str | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict[str, Any])
    remarks: tuple[str, ...] = ()

    def record(self, title: str) -> dict[str, Any]:
        """Returns what a run folder keeps of the prior's identity, under this title."""
        record: dict[str, Any] = {"title": title, "sha256": self.sha256}
        if self.configuration:
            record |= {"weights": self.weights, "configuration": dict(self.configuration)}
        return record

    @property
    def like(self) -> Tensor:
        """Empty tensor with the dtype and on the device of the prior."""
        return torch.empty(0, dtype=self.prior.dtype, device=self.prior.device)


def identified(prior: Pipeline) -> LoadedPrior:
    """Returns a pipeline with its identity: the weights of its network, and all else that its predictions depend on."""
    weights = module_digest(prior.network)
    configuration = dict(prior.configuration) | {"text_encoders/identity": text_digest(prior)}
    if prior.family.latent:
        configuration["vae/weights"] = module_digest(prior.pipe.vae)
    whole = json.dumps([weights, configuration], sort_keys=True).encode()
    return LoadedPrior(
        prior, hashlib.sha256(whole).hexdigest(), prior.codec, weights=weights, configuration=configuration
    )


def module_digest(module: torch.nn.Module) -> str:
    """SHA-256 of the weights of a network."""
    return tensors_digest(*(tensor for _, tensor in sorted(module.state_dict().items())))


def text_digest(prior: Pipeline) -> str:
    """SHA-256 of the identity of a pipeline's text encoders."""
    return hashlib.sha256(prior.text_cache.identity.encode()).hexdigest()


def problem_digest(problem: ToyDataset2D | Digits) -> str:
    """SHA-256 of the parameters or data of a toy data set."""
    if isinstance(problem, ToyDataset2D):
        return tensors_digest(problem.prior.weights, problem.prior.means, problem.prior.covs)
    return tensors_digest(problem.train, problem.train_labels)


def tensors_digest(*tensors: Tensor) -> str:
    """SHA-256 of the types, shapes and values of tensors."""
    sha256 = hashlib.sha256()
    for tensor in tensors:
        sha256.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
        sha256.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return sha256.hexdigest()


def files_digest(paths: list[Path]) -> str:
    """SHA-256 of the names and contents of files, in order."""
    sha256 = hashlib.sha256()
    for path in paths:
        sha256.update(path.name.encode())
        with path.open("rb") as file:
            sha256.update(hashlib.file_digest(file, "sha256").digest())
    return sha256.hexdigest()
