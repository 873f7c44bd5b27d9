"""Runs: training a configuration in a run folder, with metrics, checkpoints, previews and exports.

From Python a run is `ms.run(ms.Config(prior, method, generator, optimizer, steps=...))`; the pieces are here:

    from modeseek import runs
    config = ms.Config(runs.ToyPriorConfig("ring"), ms.MSD(ms.Adaptive(0.1)), runs.PointsConfig(runs.GridStart(20)))
    ms.run(config)
"""

from modeseek.config.config import CheckpointConfig, Config, GuardConfig
from modeseek.config.generators import FieldConfig, LatentConfig, PixelsConfig, PointsConfig
from modeseek.config.optimizers import AdamConfig, SGDConfig
from modeseek.config.priors import NetworkPriorConfig, PipelinePriorConfig, SamplesPriorConfig, ToyPriorConfig
from modeseek.config.starts import FileStart, GridStart, NoiseStart
from modeseek.config.vector import DrawingConfig
from modeseek.config.vector_starts import RandomStart, SaliencyStart, SampleStart, SvgStart
from modeseek.runs.interrupts import RunFailed, RunInterrupted

__all__ = [
    "AdamConfig",
    "CheckpointConfig",
    "Config",
    "DrawingConfig",
    "FieldConfig",
    "FileStart",
    "GridStart",
    "GuardConfig",
    "LatentConfig",
    "NetworkPriorConfig",
    "NoiseStart",
    "PipelinePriorConfig",
    "PixelsConfig",
    "PointsConfig",
    "RandomStart",
    "RunFailed",
    "RunInterrupted",
    "SGDConfig",
    "SaliencyStart",
    "SampleStart",
    "SamplesPriorConfig",
    "SvgStart",
    "ToyPriorConfig",
]
