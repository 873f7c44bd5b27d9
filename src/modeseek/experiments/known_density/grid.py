"""Settings that the tuning of a method tries: optimizers, learning rates and falls."""

from __future__ import annotations

from dataclasses import dataclass, replace

from modeseek.experiments.common.entries import check_least
from modeseek.experiments.toy2d.entries import Algorithm, ToyEntry
from modeseek.experiments.toy2d.settings import DDIM, OptimizerSetting


@dataclass(frozen=True)
class Grid:
    """Settings that are tried, each on seeds that are not reported.

    Attributes:
        adam: learning rates of Adam.
        sgd: learning rates of SGD; 1 is the mean-shift iteration of methods whose directions have a target.
        falls: final learning rates relative to the first; 1 is constant, 0 half a cosine down to 0.
        seeds: number of seeds of each setting; one where points depend on each other, which are not run side by side.
    """

    adam: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1)
    sgd: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0)
    falls: tuple[float, ...] = (1.0, 0.0)
    seeds: int = 2

    def __post_init__(self) -> None:
        check_least(1, tuning_seeds=self.seeds)

    def families(self, descent: Algorithm) -> list[tuple[OptimizerSetting, ...]]:
        """Settings of a descent by optimizer, its default among them; empty for a reference."""
        if descent.setting is None:
            return []
        tried = [descent.setting]
        for optimizer, rates in (("adam", self.adam), ("sgd", self.sgd)):
            tried += [OptimizerSetting(optimizer, rate, fall) for rate in rates for fall in self.falls]
        if descent.flows:
            tried.append(OptimizerSetting(DDIM, 1.0))
        distinct = dict.fromkeys(tried)
        kinds = dict.fromkeys(setting.optimizer for setting in distinct)
        return [tuple(setting for setting in distinct if setting.optimizer == kind) for kind in kinds]


def with_settings(entry: ToyEntry, settings: tuple[OptimizerSetting, ...]) -> ToyEntry:
    """The entry with settings of one optimizer, each for an equal share of the clouds; none are its own."""
    return replace(entry, algorithm=lambda task: entry.algorithm(task).trying(settings))
