"""Small learned prior: an EDM-preconditioned, class-conditional MLP, trained in about a minute on two cores."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modeseek.device import is_on
from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import VE, VP, Cosine, Flow, Schedule
from modeseek.io.atomic import write_new_folder
from modeseek.io.errors import reason
from modeseek.priors.base import BasePrior, PerRow, Rows, positive_condition
from modeseek.priors.labels import check_classes, check_data, check_labels
from modeseek.priors.mlp import MLP, MLPArchitecture
from modeseek.priors.network_training import TrainStep, train_mlp
from modeseek.pytree import Cond, expand

_FORMAT = "modeseek-network-1"
_SCHEDULES = {kind.__name__: kind for kind in (VP, Cosine, VE, Flow)}


@dataclass(frozen=True)
class Preconditioning:
    """Preconditioning: affine map between data and the unit scale of the network, and the training range.

    Attributes:
        center: mean of the data over all coordinates.
        scale: standard deviation of the data about `center`, > 0.
        sigma_min: lowest noise level of the training, units of z, > 0.
        sigma_max: highest noise level of the training, units of z, > 0.
    """

    center: float
    scale: float
    sigma_min: float
    sigma_max: float


class Network(BasePrior):
    """EDM denoiser `D(x; s) = c_skip x + c_out F(c_in x, log s)` (Karras et al. 2022, arXiv 2206.00364) as a prior.

    Defined at every level: z_t is rescaled to the variance-exploding level of equal log-SNR. Levels beyond the training
    range are flagged `clamped`: below it the score of the lowest level is kept; above it the point is scaled to the
    highest. cond is labels (b,), -1 (or None) for none. One prior call per row.
    """

    def __init__(
        self,
        mlp: MLP,
        architecture: MLPArchitecture,
        preconditioning: Preconditioning,
        shape: tuple[int, ...],
        schedule: Schedule,
    ) -> None:
        self.mlp, self.architecture = mlp.eval().requires_grad_(False), architecture
        self.preconditioning, self.shape, self.schedule = preconditioning, shape, schedule
        weight = mlp.inlet.weight
        self.dtype, self.device = weight.dtype, weight.device

    @classmethod
    def train(
        cls,
        data: Tensor,
        labels: Tensor | None = None,
        schedule: Schedule | None = None,
        steps: int = 3000,
        *,
        rng: torch.Generator,
        **options: Any,
    ) -> Network:
        """Trains a network on data (n, *d) and optional labels (n,); `options` are those of `training`.

        Raises:
            ValueError: empty, non-finite or non-floating data, labels that do not match.
        """
        return list(cls.training(data, labels, schedule, steps, rng=rng, **options))[-1][1]

    @classmethod
    def training(
        cls,
        data: Tensor,
        labels: Tensor | None = None,
        schedule: Schedule | None = None,
        steps: int = 3000,
        *,
        rng: torch.Generator,
        width: int = 96,
        depth: int = 4,
        batch: int = 1024,
        lr: float = 3e-3,
        every: int = 100,
    ) -> Iterator[tuple[TrainStep, Network]]:
        """`train` as a generator: yields progress and the averaged network every `every` steps and at the end."""
        _validate(data, labels, steps, batch, every)
        n_classes = 0 if labels is None else int(labels.max()) + 1
        architecture = MLPArchitecture(data[0].numel(), n_classes, width, depth)
        flat = data.detach().flatten(1).float()
        center = flat.mean().item()
        scale = (flat - center).square().mean().sqrt().item()
        preconditioning = Preconditioning(center, scale, 2e-3 * scale, 20 * scale)
        native = VE(preconditioning.sigma_min, preconditioning.sigma_max) if schedule is None else schedule
        inner = train_mlp(
            (flat - center) / scale, labels, architecture, steps, batch=batch, lr=lr, every=every, rng=rng
        )
        for step, mlp in inner:
            yield step, cls(mlp, architecture, preconditioning, tuple(data.shape[1:]), native)

    @property
    def n_classes(self) -> int:
        return self.architecture.n_classes

    def to(self, device: str | torch.device) -> Network:
        """Returns the prior on a device; itself if it is there."""
        if is_on(self.device, torch.device(device)):
            return self
        return Network(
            copy.deepcopy(self.mlp).to(device), self.architecture, self.preconditioning, self.shape, self.schedule
        )

    def at(self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None) -> Prediction:
        p, n = self.preconditioning, len(z_t)
        flat, a, s = z_t.flatten(1).to(self.dtype), alpha.to(self.dtype), sigma.to(self.dtype)
        noise = s / a  # in VE coordinates; infinite at alpha = 0
        slack = 1 + 16 * torch.finfo(self.dtype).eps
        above, below = noise > p.sigma_max * slack, noise < p.sigma_min / slack
        level = noise.clamp(p.sigma_min, p.sigma_max)
        ones = torch.ones_like(a)
        stretch = torch.where(above, p.sigma_max / torch.where(above, s, ones), 1 / torch.where(above, ones, a))
        x = (flat - a[:, None] * p.center) * (stretch / p.scale)[:, None]  # unit-scale VE coordinates
        unit = level / p.scale
        norm = torch.sqrt(1 + unit * unit)
        raw = self.mlp(x / norm[:, None], unit.log(), self._labels(cond, n))
        unit_eps = x * (unit / norm**2)[:, None] - raw / norm[:, None]
        fade = torch.where(below, noise / p.sigma_min, ones)
        eps = unit_eps * fade[:, None]
        removed = torch.where(above, level, noise)  # noise level that is removed
        z = p.center + p.scale * (x - (removed / p.scale)[:, None] * eps)
        eps = torch.where(above[:, None], (flat - a[:, None] * z) / s.where(above, ones)[:, None], eps)
        shaped = (y.to(z_t).reshape(z_t.shape) for y in (z, eps))
        return Prediction.from_z_and_eps(z_t, alpha, sigma, *shaped, clamped=above | below)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a folder with `network.safetensors` and `network.json`, atomically.

        Raises:
            FileExistsError: the folder exists and is not empty.
        """
        from safetensors.torch import save

        description = json.dumps(self._describe(), indent=2) + "\n"
        files = {"network.safetensors": save(self.mlp.state_dict()), "network.json": description.encode()}
        write_new_folder(Path(path), files)

    @staticmethod
    def read_preconditioning(path: str | os.PathLike[str]) -> Preconditioning:
        """Reads the preconditioning of a saved network, without its weights.

        Raises:
            ValueError: the description is missing, damaged or of another format.
        """
        folder = Path(path)
        try:
            description = json.loads((folder / "network.json").read_text())
            if description["format"] != _FORMAT:
                raise ValueError(f"format {description['format']!r} is not {_FORMAT!r}")
            plain = description["preconditioning"]
            preconditioning = Preconditioning(**plain)
            if not all(_is_positive(plain[name]) for name in ("scale", "sigma_min", "sigma_max")):
                raise ValueError(f"its preconditioning is {plain}")
            if not (isinstance(preconditioning.center, int | float) and math.isfinite(preconditioning.center)):
                raise ValueError(f"its center is {preconditioning.center!r}")
            return preconditioning
        except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{folder} is no readable network: {reason(error)}; save it with Network.save") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Network:
        """Reads a network written by `save`.

        Raises:
            ValueError: a file is missing, damaged or of another format.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = Path(path)
        preconditioning = cls.read_preconditioning(folder)
        try:
            description = json.loads((folder / "network.json").read_text())
            weights = load_file(folder / "network.safetensors", device=str(device))
            architecture = MLPArchitecture(**description["architecture"])
            if architecture != _architecture_of(weights):  # compared before memory of that size is allocated
                raise ValueError(f"its weights are of {_architecture_of(weights)}, not of {architecture}")
            mlp = MLP(architecture, torch.Generator()).to(device)
            mlp.load_state_dict(weights)
            kind, fields = description["schedule"]["type"], description["schedule"]["fields"]
            if not all(isinstance(side, int) and side > 0 for side in description["shape"]):
                raise ValueError(f"its shape is {description['shape']!r}")
            if math.prod(description["shape"]) != architecture.dim:
                raise ValueError(f"shape {description['shape']} does not hold {architecture.dim} numbers")
            return cls(mlp, architecture, preconditioning, tuple(description["shape"]), _SCHEDULES[kind](**fields))
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise ValueError(f"{folder} is no readable network: {reason(error)}; save it with Network.save") from error

    def _describe(self) -> dict[str, Any]:
        kind = type(self.schedule).__name__
        if kind not in _SCHEDULES:
            raise TypeError(
                f"the schedule of a saved network must be one of {sorted(_SCHEDULES)}, got {kind}; retrain with one"
            )
        fields = asdict(self.schedule)  # pyright: ignore[reportArgumentType]
        return {
            "format": _FORMAT,
            "architecture": asdict(self.architecture),
            "preconditioning": asdict(self.preconditioning),
            "shape": list(self.shape),
            "schedule": {"type": kind, "fields": fields},
        }

    def _labels(self, cond: Cond, n: int) -> Tensor:
        labels = positive_condition(cond)
        if labels is None:
            return torch.full((n,), -1, device=self.device)
        return check_labels(expand(labels, n).to(self.device), torch.arange(self.n_classes, device=self.device))


def _architecture_of(weights: dict[str, Tensor]) -> MLPArchitecture:
    width, dim = weights["inlet.weight"].shape
    depth = sum(name.startswith("norms.") and name.endswith(".weight") for name in weights)
    return MLPArchitecture(dim, len(weights["classes.weight"]) - 1, width, depth, weights["frequencies"].numel())


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _validate(data: Tensor, labels: Tensor | None, steps: int, batch: int, every: int) -> None:
    check_data(data, "training data")
    if (data == data.flatten()[0]).all():
        raise ValueError("training data must vary, got one number everywhere; try another data set")
    check_classes(labels, len(data), "datum")
    if min(steps, batch, every) < 1:
        raise ValueError(f"training needs steps, batch and every >= 1: got {steps}, {batch} and {every}; raise them")
