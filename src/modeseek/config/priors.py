"""Configurations of priors: loading, and checksums that identify a prior across resumed runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import torch

from modeseek.codec import Identity, RangeCodec
from modeseek.config.loaded_prior import LoadedPrior, files_digest, identified, problem_digest, tensors_digest
from modeseek.datasets.by_name import DATASETS
from modeseek.datasets.scenes.lighting import OVERHEAD_LIGHT
from modeseek.datasets.scenes.rendered_prior import BANDS, rendered_prior
from modeseek.datasets.scenes.static_scene import DISTANCE, FOV, StaticScene
from modeseek.datasets.toy2d import ToyDataset2D
from modeseek.device import best_device
from modeseek.diffusion.schedule import VE, Schedule
from modeseek.generators.orbit import Orbit
from modeseek.io.paths import PathOrName, PathText, absolute_path
from modeseek.io.points import read_point_table
from modeseek.io.remarks import add_remark, collect_remarks
from modeseek.priors.empirical import Empirical
from modeseek.priors.network import Network
from modeseek.priors.pipeline import LoRA, MemoryOptions, Pipeline, TextualInversion
from modeseek.priors.pipeline.bundled_table import bundled_prior

MIN_RENDER_BANDWIDTH = 0.3  # units of z: pixels in [-1, 1]
MIN_LATENT_BANDWIDTH = 0.2  # units of z: about the noise level of a latent model's cleanest 10 % of times
ProblemName = Literal["fractal", "spiral", "pinwheel", "ring", "grid", "digits"]


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

    @property
    def default_device(self) -> str:
        """Device of a run under it where none is named: the fastest of this machine, or the CPU for small priors."""
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

    @property
    def default_device(self) -> str:
        return "cpu"

    def load(self, device: str) -> LoadedPrior:
        """Builds the prior."""
        problem = DATASETS[self.name]()
        sha256, prior = problem_digest(problem), problem.prior.to(device)
        if isinstance(problem, ToyDataset2D):
            return LoadedPrior(prior, sha256, extent=problem.extent)
        return LoadedPrior(prior, sha256, RangeCodec(-1.0, 1.0))


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

    @property
    def default_device(self) -> str:
        return "cpu"

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
        path: .npy file of shape (n, d) or a table such as .csv, one point per row.
        schedule: noise schedule, for methods that sample times.
        columns: columns of the coordinates, by name or by number from 1; empty: all but an index, ids, dates and text.
    """

    path: Path
    schedule: Schedule = VE(0.01, 50.0)
    columns: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return self.path.stem

    def bandwidth(self) -> None:
        return None

    @property
    def default_device(self) -> str:
        return "cpu"

    def load(self, device: str) -> LoadedPrior:
        """Reads the points.

        Raises:
            ValueError: the file holds no valid points.
            OSError: the file cannot be read.
        """
        with collect_remarks() as remarks:
            table = read_point_table(self.path, self.columns)
            if table.omitted and not self.columns:
                add_remark(f"{self.path.name}: {table.summary}")
        points = table.points.to(device)
        extent = 1.1 * points.abs().max().item()
        prior = Empirical(points, self.schedule)
        return LoadedPrior(prior, files_digest([self.path]), extent=extent, remarks=tuple(remarks))


@dataclass(frozen=True)
class PipelinePriorConfig:
    """Text-to-image pipeline of diffusers.

    Attributes:
        path: scenes or emoji, the priors that ship with modeseek; a folder written by save_pretrained; a single-file
            checkpoint (.safetensors); or owner/name on the hub.
        size: image [height, width], pixels; null is the training size of the model.
        dtype: precision of the network; null is bfloat16 on CUDA, else float32.
        guidance: embedded guidance scale, for guidance-distilled models (Flux).
        loras: LoRA weights, path and scale each, merged in this order.
        economy: memory options: offload (none, blocks, leaves), channels_last, compile, slices, tiles, recompute.
        cache: whether to keep text embeddings in the user's cache folder.
        config: folder of the configurations of a single-file checkpoint; null is the one beside it.
        embeddings: textual inversions, path and token each; prompts write the token.
        long_prompts: encoding of prompts that are longer than the text encoders read: cut, or chunk (Stable Diffusion).
    """

    path: PathOrName
    size: tuple[int, int] | None = None
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    guidance: float = 3.5
    loras: tuple[LoRA, ...] = ()
    economy: MemoryOptions = MemoryOptions()
    cache: bool = True
    config: PathText | None = None
    embeddings: tuple[TextualInversion, ...] = ()
    long_prompts: Literal["cut", "chunk"] = "cut"

    @classmethod
    def of(cls, prior: Pipeline) -> PipelinePriorConfig:
        """Returns the configuration that loads a pipeline again.

        Raises:
            ValueError: it was built in Python, so that nothing says how.
        """
        if prior.loaded_from is None:
            raise ValueError(
                "a run stores how to load its prior, and this pipeline was built in Python: save it by "
                "pipe.save_pretrained(folder) and load ms.Pipeline.load(folder), or use ms.distill"
            )
        options: dict[str, Any] = dict(prior.loaded_from)
        path, config, size = options["path"], options["config"], options["size"]
        dtype = next(prior.network.parameters()).dtype
        default = torch.bfloat16 if prior.device.type == "cuda" else torch.float32
        options["path"] = path if isinstance(path, str) else str(absolute_path(path))
        options["config"] = None if config is None else str(config)
        options["size"] = (size, size) if isinstance(size, int) else size
        options["dtype"] = None if dtype == default else str(dtype).removeprefix("torch.")
        options["cache"] = options["cache"] not in (None, False)
        return cls(**options)

    @property
    def title(self) -> str:
        named = bundled_prior(self.path)
        return Path(self.path).name if named is None else named.name

    def bandwidth(self) -> float:
        return MIN_LATENT_BANDWIDTH

    @property
    def default_device(self) -> str:
        return str(best_device())

    def load(self, device: str) -> LoadedPrior:
        """Loads the pipeline; the SHA-256 is that of all its weights and of its configuration.

        Raises:
            ValueError: there is no such pipeline.
        """
        with collect_remarks() as remarks:
            loaded = identified(self.pipeline(device))
        return replace(loaded, remarks=tuple(remarks))

    def pipeline(self, device: str) -> Pipeline:
        """Loads the prior alone."""
        dtype = None if self.dtype is None else getattr(torch, self.dtype)
        named = bundled_prior(self.path)
        if named is not None and self.size not in (None, named.size):
            add_remark(
                f"{named.name} was trained on images of {named.size[0]} pixels, got size {self.size}: slow, and not "
                "what it knows; leave --size out, and try modeseek export --size 512"
            )
        return Pipeline.load(
            self.path,
            config=self.config,
            device=device,
            dtype=dtype,
            size=self.size,
            guidance=self.guidance,
            loras=self.loras,
            embeddings=self.embeddings,
            long_prompts=self.long_prompts,
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

    @property
    def default_device(self) -> str:
        best = best_device()
        return "cpu" if best.type == "mps" else str(best)  # an exact prior computes in float64, which mps lacks

    def load(self, device: str) -> LoadedPrior:
        """Renders the data set, on the CPU, and moves it to the device."""
        rendered = rendered_prior(StaticScene.from_caption(self.caption, OVERHEAD_LIGHT), self.size, bins=self.bins)
        orbit = Orbit(elevation=(BANDS[0][0], BANDS[-1][1]), fov=(FOV, FOV), distance=(DISTANCE, DISTANCE))
        sha256 = tensors_digest(rendered.prior.data)
        prior = rendered.prior.to(device)
        return LoadedPrior(prior, sha256, rendered.codec, view_conditions=rendered.conditions, orbit=orbit)
