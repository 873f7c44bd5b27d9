"""What a run can take as its prior: each knows how to load it, and what tells it from any other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from modeseek.codec import Codec, Identity, RangeCodec
from modeseek.datasets.digits import Digits
from modeseek.datasets.by_name import DATASETS
from modeseek.datasets.scenes.lighting import OVERHEAD_LIGHT
from modeseek.datasets.scenes.rendered_prior import BANDS, rendered_prior
from modeseek.datasets.scenes.static_scene import DISTANCE, FOV, StaticScene
from modeseek.datasets.toy2d import ToyDataset2D
from modeseek.diffusion.schedule import VE, Schedule
from modeseek.generators.base import View
from modeseek.generators.orbit import Orbit
from modeseek.io.points import read_points
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.empirical import Empirical
from modeseek.priors.network import Network
from modeseek.priors.pipeline import LoRA, MemoryOptions, Pipeline
from modeseek.priors.pipeline.loading import BUNDLED

MIN_RENDER_BANDWIDTH = 0.3  # pixels in [-1, 1]
MIN_LATENT_BANDWIDTH = 0.2  # units of z: about the noise of a latent model's cleanest tenth of levels
ProblemName = Literal["fractal", "spiral", "pinwheel", "ring", "grid", "digits"]


@dataclass(frozen=True)
class LoadedPrior:
    """A prior, ready to be asked.

    Attributes:
        prior: bare.
        sha256: of all numbers that it answers from; a resumed run must find the same.
        codec: between pixels and z, for generators that render pixels and for pictures.
        bandwidth: the finest kernel worth a run, or None where nobody knows.
        extent: half the side of the square worth drawing, for points of the plane.
        labels: the classes it knows, or None.
        told: what it is told of a view, where that is not a matter of words or classes.
        orbit: where cameras should stand for it, or None.
    """

    prior: Prior
    sha256: str
    codec: Codec = Identity()
    bandwidth: float | None = None
    extent: float | None = None
    labels: tuple[int, ...] | None = None
    view_conditions: Callable[[View], Conditions] | None = None
    orbit: Orbit | None = None


@runtime_checkable
class PriorConfig(Protocol):
    """A frozen description of a prior."""

    def load(self, device: str) -> LoadedPrior:
        """Reads or builds it."""
        ...

    @property
    def title(self) -> str:
        """Short, for folders and headings."""
        ...


@dataclass(frozen=True)
class ToyPriorConfig:
    """The exact prior of a problem with known truth.

    Attributes:
        name: fractal, spiral, pinwheel, ring, grid (points of the plane) or digits (8x8 images).
    """

    name: ProblemName = "ring"

    @property
    def title(self) -> str:
        return self.name

    def load(self, device: str) -> LoadedPrior:
        """Builds it; exact priors live on the CPU."""
        if torch.device(device).type != "cpu":
            raise ValueError(f"an exact prior works on the CPU: got device {device!r}; use device: cpu")
        problem = DATASETS[self.name]()
        if isinstance(problem, ToyDataset2D):
            exact = problem.prior
            known = None if exact.labels is None else tuple(exact.labels.unique().tolist())
            return LoadedPrior(exact, problem_digest(problem), Identity(), problem.bandwidth, problem.extent, known)
        return LoadedPrior(problem.prior, problem_digest(problem), RangeCodec(-1.0, 1.0), 0.3, None, tuple(range(10)))


@dataclass(frozen=True)
class NetworkPriorConfig:
    """A network that `Network.save` or `modeseek toy --save-network` wrote.

    Attributes:
        path: its folder.
        low: what black is in z, for pictures.
        high: what white is in z.
    """

    path: Path
    low: float = -1.0
    high: float = 1.0

    @property
    def title(self) -> str:
        return self.path.name

    def load(self, device: str) -> LoadedPrior:
        """Reads it.

        Raises:
            ValueError: the folder holds no whole network.
        """
        network = Network.load(self.path, device)
        scale = network.preconditioning.scale
        n = network.architecture.n_classes
        sha256 = files_digest([self.path / "network.json", self.path / "network.safetensors"])
        codec = RangeCodec(self.low, self.high) if len(network.shape) == 3 else Identity()
        return LoadedPrior(network, sha256, codec, 0.02 * scale, 3 * scale, tuple(range(n)) if n else None)


@dataclass(frozen=True)
class SamplesPriorConfig:
    """The ideal denoiser of your own points.

    Attributes:
        path: a .npy file (n, d) or a .csv file, one point a row.
        schedule: noise levels that methods with times walk.
    """

    path: Path
    schedule: Schedule = VE(0.01, 50.0)

    @property
    def title(self) -> str:
        return self.path.stem

    def load(self, device: str) -> LoadedPrior:
        """Reads them.

        Raises:
            ValueError: no such points.
            OSError: the file cannot be read.
        """
        points = read_points(self.path).to(device)
        extent = 1.1 * points.abs().max().item()
        return LoadedPrior(Empirical(points, self.schedule), files_digest([self.path]), extent=extent)


@dataclass(frozen=True)
class PipelinePriorConfig:
    """A text-to-image pipeline of diffusers.

    Attributes:
        path: a folder that save_pretrained wrote, owner/name on the hub, or bundled.
        size: pixels a side, or [height, width]; null is what the model was trained on.
        dtype: of the network; null is bfloat16 on CUDA, else float32.
        guidance: for models with embedded guidance (Flux).
        loras: low-rank changes, path and scale each, merged in this order.
        economy: offload (none, blocks, leaves), channels_last, compile, slices, tiles, recompute.
        cache: keep encoded texts in the user's cache folder.
    """

    path: str
    size: tuple[int, int] | None = None
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    guidance: float = 3.5
    loras: tuple[LoRA, ...] = ()
    economy: MemoryOptions = MemoryOptions()
    cache: bool = True

    @property
    def title(self) -> str:
        return Path(self.path).name

    def load(self, device: str) -> LoadedPrior:
        """Loads it; the SHA-256 is of the network's numbers.

        Raises:
            ValueError: no such pipeline.
        """
        prior = self.pipeline(device)
        return LoadedPrior(prior, network_digest(prior), prior.codec, MIN_LATENT_BANDWIDTH)

    def pipeline(self, device: str) -> Pipeline:
        """The prior alone."""
        dtype = None if self.dtype is None else getattr(torch, self.dtype)
        return Pipeline.load(
            self.path,
            device=device,
            dtype=dtype,
            size=self.size,
            guidance=self.guidance,
            loras=self.loras,
            economy=self.economy,
            cache=self.cache,
        )


@dataclass(frozen=True)
class RenderedPriorConfig:
    """The exact denoiser of one thing's own renders, told the camera: what 3-D methods can reach at most.

    Attributes:
        caption: the thing, as `problems.scenes` writes captions; one object, or one on another.
        size: of its pictures, pixels.
        bins: of the azimuth that the prior is told, a divisor of 72; 1 tells it the height alone.
    """

    caption: str
    size: int = 64
    bins: int = 24

    @property
    def title(self) -> str:
        return f"renders of {self.caption}"

    def load(self, device: str) -> LoadedPrior:
        """Renders it."""
        if torch.device(device).type != "cpu":
            raise ValueError(f"an exact prior works on the CPU: got device {device!r}; use device: cpu")
        known = rendered_prior(StaticScene.from_caption(self.caption, OVERHEAD_LIGHT), self.size, bins=self.bins)
        orbit = Orbit(elevation=(BANDS[0][0], BANDS[-1][1]), fov=(FOV, FOV), distance=(DISTANCE, DISTANCE))
        sha256 = tensors_digest(known.prior.data)
        return LoadedPrior(known.prior, sha256, known.codec, MIN_RENDER_BANDWIDTH, view_conditions=known.conditions, orbit=orbit)


def default_scale(path: str) -> float:
    """Guidance that pictures are made with where nobody says otherwise: 3 suits the bundled prior, 7.5 larger ones."""
    return 3.0 if path == BUNDLED else 7.5


def network_digest(prior: Pipeline) -> str:
    """SHA-256 of the network's numbers."""
    return tensors_digest(*(tensor for _, tensor in sorted(prior.network.state_dict().items())))


def problem_digest(problem: ToyDataset2D | Digits) -> str:
    """SHA-256 of what a problem's exact prior answers from."""
    if isinstance(problem, ToyDataset2D):
        return tensors_digest(problem.prior.weights, problem.prior.means, problem.prior.covs)
    return tensors_digest(problem.train, problem.train_labels)


def tensors_digest(*tensors: Tensor) -> str:
    """SHA-256 of numbers and shapes."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
        total.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def files_digest(paths: list[Path]) -> str:
    """SHA-256 of names and contents, in order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode())
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
