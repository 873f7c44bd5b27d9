"""Trained generator of a run folder, finished or not, for exports and renders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from modeseek.config.config import Config
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.device import AUTO, resolve_device
from modeseek.generators.base import BaseGenerator, render
from modeseek.generators.ensemble import Ensemble
from modeseek.generators.generator3d import Generator3D
from modeseek.rundir.checkpoint import Checkpoint
from modeseek.rundir.run_dir import Run
from modeseek.runs.exports import WEIGHTS
from modeseek.viewer.without_prior import absent_prior, load_generator, restore_generator


@dataclass(frozen=True)
class Trained:
    """Generator of a run with trained parameters.

    Attributes:
        run: the run.
        config: its configuration.
        generator: the generator, without gradients.
        step: number of steps after which it was saved.
        shape: the same generator if it is 3D, an ensemble of several included, else None.
        decode: function from its renderings to pixels; None where they are pixels.
        remarks: a line for each damaged checkpoint that is newer.
    """

    run: Run
    config: Config
    generator: BaseGenerator
    step: int
    shape: Generator3D | Ensemble | None = None
    decode: Callable[[Tensor], Tensor] | None = None
    remarks: tuple[str, ...] = ()

    def images(self) -> Tensor:
        """Renders the preview view: images (n, c, h, w), as exports have them, or points."""
        with torch.no_grad():
            image = render(self.generator, self.generator.preview_view()).image
            return (image if self.decode is None else self.decode(image)).cpu()


def load_trained(run: Run, device: str | torch.device | None = None) -> Trained:
    """Loads the generator of a run from its newest intact checkpoint, else from the weights that it exported.

    The prior of a 3D run is not loaded; that of other runs is, for the shape and the decoding of their images.

    Args:
        run: the run; only read.
        device: device of the generator; None is the fastest of this machine.

    Raises:
        ValueError: there is neither, they do not fit the configuration, or another command made the folder.
        OSError: a file cannot be read.
    """
    config = run.config
    auto = device is None or device == AUTO
    place = replace(config, device=AUTO).with_device().device if auto else str(resolve_device(device))
    checkpoint, damaged = run.checkpoint()
    weights = run.path / WEIGHTS
    if checkpoint is None and not weights.is_file():
        raise ValueError(f"{run.path} must hold a checkpoint, got none; run it longer: modeseek resume {run.path}")
    if config.generator.as_3d is None:
        return _load_2d(run, config, checkpoint, place, tuple(damaged))
    generator = load_3d(run, config, checkpoint, place)
    step = run.status.step if checkpoint is None else checkpoint.step
    return Trained(run, config, generator, step, generator, remarks=tuple(damaged))


def load_3d(run: Run, config: Config, checkpoint: Checkpoint | None, device: str) -> Generator3D | Ensemble:
    """The 3D generator of a run with the parameters of a checkpoint, or without one those that the run exported."""
    if checkpoint is not None:
        return load_generator(config, checkpoint, device)
    settings = config.generator.as_3d
    assert settings is not None
    generator = settings.make(LoadedPrior(absent_prior(settings.size, torch.float32, device), ""), config.seed).module
    _load_weights(generator, run, device)
    return generator.requires_grad_(False)


def _load_2d(run: Run, config: Config, checkpoint: Checkpoint | None, device: str, damaged: tuple[str, ...]) -> Trained:
    loaded = config.prior.load(device)
    built = config.generator.make(loaded, config.seed)
    if checkpoint is None:
        _load_weights(built.module, run, device)
    else:
        restore_generator(built.module, checkpoint, device)
    step = run.status.step if checkpoint is None else checkpoint.step
    decode = None if built.pixels else loaded.codec.decode
    return Trained(run, config, built.module.requires_grad_(False), step, None, decode, damaged)


def _load_weights(generator: BaseGenerator, run: Run, device: str) -> None:
    """Loads the weights that a run exported.

    Raises:
        ValueError: they are damaged or of another generator.
    """
    import safetensors
    import safetensors.torch

    try:
        generator.load_state_dict(safetensors.torch.load_file(run.path / WEIGHTS, device=device))
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise ValueError(f"{run.path / WEIGHTS} is damaged or of another generator; resume the run") from error
