"""Configurations of priors: loading, and checksums that identify a prior across resumed runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from modeseek.codec import Identity, ImageCodec, RangeCodec
from modeseek.datasets.by_name import DATASETS
from modeseek.datasets.digits import Digits
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
from modeseek.priors.pipeline.bundled_table import bundled_prior

MIN_RENDER_BANDWIDTH = 0.3  # units of z: pixels in [-1, 1]
MIN_LATENT_BANDWIDTH = 0.2  # units of z: about the noise level of a latent model's cleanest 10 % of times
ProblemName = Literal["fractal", "spiral", "pinwheel", "ring", "grid", "digits"]


@dataclass(frozen=True)
class LoadedPrior:
    """Loaded prior with its codec, checksum and defaults.

    Attributes:
        prior: prior without guidance.
        sha256: SHA-256 of all its weights or data; a resumed run requires the same.
        codec: map between pixels and z, for generators that render pixels and for previews.
        extent: half the side of the square to plot, units of z; None unless 2-D.
        view_conditions: conditions as a function of the view, for camera-conditional priors; else None.
        orbit: distribution of cameras that it was built for; None if any.
    """

    prior: Prior
    sha256: str
    codec: ImageCodec = Identity()
    extent: float | None = None
    view_conditions: Callable[[View], Conditions] | None = None
    orbit: Orbit | None = None

    @property
    def like(self) -> Tensor:
        """Empty tensor with the dtype and on the device of the prior."""
        return torch.empty(0, dtype=self.prior.dtype, device=self.prior.device)


@runtime_checkable
class PriorConfig(Protocol):
    """Configuration of a prior."""

    def load(self, device: str) -> LoadedPrior:
        """Loads or builds the prior on a device."""
        ...

    @property
    def title(self) -> str:
        """Short title, for folder names and headings."""
        ...

    def bandwidth(self) -> float | None:
        """Smallest useful kernel bandwidth, units of z, read without loading the prior; None if unknown."""
        ...


@dataclass(frozen=True)
class ToyPriorConfig:
    """Exact prior of a toy data set with known density.

    Attributes:
        name: fractal, spiral, pinwheel, ring, grid (2-D points) or digits (8x8 images).
    """

    name: ProblemName = "ring"

    @property
    def title(self) -> str:
        return self.name

    def bandwidth(self) -> float:
        return MIN_RENDER_BANDWIDTH if self.name == "digits" else DATASETS[self.name]().bandwidth

    def load(self, device: str) -> LoadedPrior:
        """Builds the prior, on the CPU only."""
        _require_cpu(device)
        problem = DATASETS[self.name]()
        if isinstance(problem, ToyDataset2D):
            sha256 = problem_digest(problem)
            return LoadedPrior(problem.prior, sha256, extent=problem.extent)
        return LoadedPrior(problem.prior, problem_digest(problem), RangeCodec(-1.0, 1.0))


@dataclass(frozen=True)
class NetworkPriorConfig:
    """Learned prior written by `Network.save` or `modeseek toy --save-network`.

    Attributes:
        path: folder of the network.
        low: value of black in z, for images.
        high: value of white in z, for images.
    """

    path: Path
    low: float = -1.0
    high: float = 1.0

    @property
    def title(self) -> str:
        return self.path.name

    def bandwidth(self) -> float:
        return 0.02 * Network.read_preconditioning(self.path).scale

    def load(self, device: str) -> LoadedPrior:
        """Loads the network.

        Raises:
            ValueError: the folder holds no intact network.
        """
        network = Network.load(self.path, device)
        scale = network.preconditioning.scale
        sha256 = files_digest([self.path / "network.json", self.path / "network.safetensors"])
        codec = RangeCodec(self.low, self.high) if len(network.shape) == 3 else Identity()
        return LoadedPrior(network, sha256, codec, extent=3 * scale)


@dataclass(frozen=True)
class SamplesPriorConfig:
    """Exact denoiser of a data set of points.

    Attributes:
        path: .npy file of shape (n, d) or .csv file, one point per row.
        schedule: noise schedule, for methods that sample times.
    """

    path: Path
    schedule: Schedule = VE(0.01, 50.0)

    @property
    def title(self) -> str:
        return self.path.stem

    def bandwidth(self) -> None:
        return None

    def load(self, device: str) -> LoadedPrior:
        """Reads the points.

        Raises:
            ValueError: the file holds no valid points.
            OSError: the file cannot be read.
        """
        points = read_points(self.path).to(device)
        extent = 1.1 * points.abs().max().item()
        return LoadedPrior(Empirical(points, self.schedule), files_digest([self.path]), extent=extent)


@dataclass(frozen=True)
class PipelinePriorConfig:
    """Text-to-image pipeline of diffusers.

    Attributes:
        path: scenes or emoji, the priors that ship with modeseek; a folder written by save_pretrained; or owner/name on
            the hub.
        size: image [height, width], pixels; null is the training size of the model.
        dtype: precision of the network; null is bfloat16 on CUDA, else float32.
        guidance: embedded guidance scale, for guidance-distilled models (Flux).
        loras: LoRA weights, path and scale each, merged in this order.
        economy: memory options: offload (none, blocks, leaves), channels_last, compile, slices, tiles, recompute.
        cache: whether to keep text embeddings in the user's cache folder.
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
        named = bundled_prior(self.path)
        return Path(self.path).name if named is None else named.name

    def bandwidth(self) -> float:
        return MIN_LATENT_BANDWIDTH

    def load(self, device: str) -> LoadedPrior:
        """Loads the pipeline; the SHA-256 is that of the network's weights.

        Raises:
            ValueError: there is no such pipeline.
        """
        prior = self.pipeline(device)
        return LoadedPrior(prior, network_digest(prior), prior.codec)

    def pipeline(self, device: str) -> Pipeline:
        """Loads the prior alone."""
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
    """Exact camera-conditional denoiser of ground-truth renders of a caption: an upper bound for 3D methods.

    Attributes:
        caption: caption in the grammar of `datasets.scenes`; one object, or one on another.
        size: side of the renders, pixels.
        bins: number of azimuth bins that the prior is conditioned on, a divisor of 72; 1 conditions on elevation only.
    """

    caption: str
    size: int = 64
    bins: int = 24

    @property
    def title(self) -> str:
        return f"renders of {self.caption}"

    def bandwidth(self) -> float:
        return MIN_RENDER_BANDWIDTH

    def load(self, device: str) -> LoadedPrior:
        """Renders the data set, on the CPU only."""
        _require_cpu(device)
        rendered = rendered_prior(StaticScene.from_caption(self.caption, OVERHEAD_LIGHT), self.size, bins=self.bins)
        orbit = Orbit(elevation=(BANDS[0][0], BANDS[-1][1]), fov=(FOV, FOV), distance=(DISTANCE, DISTANCE))
        sha256 = tensors_digest(rendered.prior.data)
        return LoadedPrior(rendered.prior, sha256, rendered.codec, view_conditions=rendered.conditions, orbit=orbit)


def _require_cpu(device: str) -> None:
    if torch.device(device).type != "cpu":
        raise ValueError(f"an exact prior needs device: cpu, got {device!r}")


def network_digest(prior: Pipeline) -> str:
    """SHA-256 of the weights of a pipeline's network."""
    return tensors_digest(*(tensor for _, tensor in sorted(prior.network.state_dict().items())))


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
