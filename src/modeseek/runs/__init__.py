"""Runs and the files they leave: the only room that writes files.

From Python a run is `ms.run(ms.Config(prior, method, generator, optimizer, steps=...))`; the pieces are here:

    from modeseek import runs
    ms.run(ms.Config(runs.Problem("ring"), ms.MSD(ms.Adaptive(0.1)), runs.FreePoints(runs.Grid(20)), runs.SGD()))
"""

from modeseek.config.config import Config, Guard, Saving
from modeseek.config.generators import File, FreeField, FreeLatents, FreePixels, FreePoints, Grid, Noise
from modeseek.config.optimizers import SGD, Adam
from modeseek.config.priors import FromPipeline, Problem, Samples, Trained
from modeseek.runs.interrupts import Failed, Stopped

__all__ = [
    "SGD",
    "Adam",
    "Config",
    "Failed",
    "File",
    "FreeField",
    "FreeLatents",
    "FreePixels",
    "FreePoints",
    "FromPipeline",
    "Grid",
    "Guard",
    "Noise",
    "Problem",
    "Samples",
    "Saving",
    "Stopped",
    "Trained",
]
