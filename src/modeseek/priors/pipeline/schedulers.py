"""Table of diffusers' schedulers: how the configuration of each says what its network was trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from modeseek.diffusion.schedule import Discrete, Flow
from modeseek.io.errors import one_line, reason
from modeseek.io.quiet import silence
from modeseek.priors.pipeline.architectures import PipelineFamily
from modeseek.priors.pipeline.configurations import component_class, is_number, read_object
from modeseek.priors.pipeline.readings import EDMReading, FlowReading, IndexReading, NetworkReading, PredictionType

_PREDICTION_TYPES: dict[str, PredictionType] = {
    "epsilon": "eps",
    "v_prediction": "v",
    "sample": "z",
    "original_sample": "z",
}
_RHO = 7.0  # spacing of the levels between sigma_min and sigma_max


@dataclass(frozen=True)
class NetworkFacts:
    """Facts about a network that the reading of its scheduler depends on.

    Attributes:
        family: family of the pipeline.
        kind: class name of the pipeline in diffusers.
        tokens: number of image tokens, for shifts that grow with the resolution.
    """

    family: PipelineFamily
    kind: str
    tokens: int


Reader = Callable[[Any, NetworkFacts], NetworkReading]
"""Function (scheduler of diffusers, facts) -> reading."""


def _read_betas(scheduler: Any, facts: NetworkFacts) -> NetworkReading:
    """Reads a variance-preserving scheduler by its own betas, or as a rectified flow where it takes flow sigmas."""
    config = scheduler.config
    kind = config.get("prediction_type", "epsilon")
    flow = bool(config.get("use_flow_sigmas", False))
    if flow != (kind == "flow_prediction"):
        raise _refusal(scheduler, f"use_flow_sigmas {flow} with prediction_type {kind!r}", "set both or neither")
    if flow:
        return _read_shifted_flow(scheduler, facts, config["flow_shift"])
    if kind not in _PREDICTION_TYPES:
        raise _refusal(scheduler, f"prediction_type {kind!r}", f"known are {', '.join(_PREDICTION_TYPES)}")
    if config.get("timestep_type", "discrete") == "continuous" and kind == "v_prediction":
        return _read_continuous(scheduler)
    if config.get("interpolation_type", "linear") != "linear":
        raise _refusal(scheduler, f"interpolation_type {config.interpolation_type!r}", "try 'linear'")
    if len(scheduler.betas) != config.num_train_timesteps:
        raise _refusal(
            scheduler,
            f"{len(scheduler.betas)} trained_betas and num_train_timesteps {config.num_train_timesteps}",
            "both must be the number of training steps",
        )
    squares = scheduler.alphas_cumprod.clone()
    if config.get("rescale_betas_zero_snr", False) and kind != "epsilon":
        squares[-1] = 0  # some classes keep a small number there, for their own division
    return IndexReading(_levels(scheduler, Discrete.from_alphas_cumprod, squares), _PREDICTION_TYPES[kind])


def _read_continuous(scheduler: Any) -> NetworkReading:
    """Reads an Euler scheduler of continuous timesteps: the preconditioning of EDM for data of standard deviation 1."""
    config = scheduler.config
    own = scheduler.alphas_cumprod.double()
    sigmas = ((1 - own) / own).sqrt().flip(0)
    if config.get("use_karras_sigmas") or config.get("use_exponential_sigmas"):  # these alone read sigma_min and _max
        low = sigmas[-1].item() if config.sigma_min is None else config.sigma_min
        high = sigmas[0].item() if config.sigma_max is None else config.sigma_max
        sigmas = _spaced(scheduler, low, high, "karras" if config.use_karras_sigmas else "exponential", _RHO)
    return EDMReading(_levels(scheduler, _from_sigmas, sigmas), "v", 1.0)


def _read_edm(scheduler: Any, facts: NetworkFacts) -> NetworkReading:
    """Reads a scheduler in the preconditioning of Karras et al. 2022: no betas, sigma_min to sigma_max."""
    config = scheduler.config
    kind, sigma_data = _PREDICTION_TYPES.get(config.prediction_type), config.sigma_data
    if kind not in ("eps", "v"):
        raise _refusal(scheduler, f"prediction_type {config.prediction_type!r}", "try 'epsilon' or 'v_prediction'")
    if not (is_number(sigma_data) and 0 < sigma_data < math.inf):
        raise _refusal(scheduler, f"sigma_data {sigma_data!r}", "try 0.5")
    sigmas = _spaced(scheduler, config.sigma_min, config.sigma_max, config.sigma_schedule, config.rho)
    return EDMReading(_levels(scheduler, _from_sigmas, sigmas), kind, float(sigma_data))


def _read_flow(scheduler: Any, facts: NetworkFacts) -> NetworkReading:
    """Reads a rectified flow; its shift may grow with the number of tokens."""
    if scheduler.config.get("invert_sigmas", False):
        raise _refusal(scheduler, "invert_sigmas", "a network whose time runs from noise to image is not supported")
    return _read_shifted_flow(scheduler, facts, scheduler.config["shift"])


def _read_shifted_flow(scheduler: Any, facts: NetworkFacts, shift: Any) -> NetworkReading:
    config = scheduler.config
    if config.get("use_dynamic_shifting", False):
        if facts.family.kind != "flow":
            raise _refusal(scheduler, "use_dynamic_shifting", f"a {facts.kind} does not shift; set a fixed shift")
        few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
        low, high = config.get("base_shift", 0.5), config.get("max_shift", facts.family.max_shift)
        if not all(map(is_number, (few, many, low, high))) or few == many:
            raise _refusal(
                scheduler, f"shifts {low} to {high} at {few} to {many} tokens", "try 0.5, 1.15, 256 and 4096"
            )
        shift = low + (high - low) * (facts.tokens - few) / (many - few)
        if config.get("time_shift_type", "exponential") == "exponential":
            shift = math.exp(shift)
    if not (is_number(shift) and 0 < shift < math.inf):
        raise _refusal(scheduler, f"a shift of {shift!r}", "it must be above 0; 1 is none")
    return FlowReading(Flow(float(shift)), config.num_train_timesteps)


def _spaced(scheduler: Any, low: Any, high: Any, spacing: str, rho: float) -> torch.Tensor:
    """Returns num_train_timesteps noise levels from `high` to `low`, alpha = 1."""
    if not (is_number(low) and is_number(high) and 0 < low < high < math.inf):
        raise _refusal(scheduler, f"sigma_min {low!r} and sigma_max {high!r}", "try 0.002 and 80")
    n = scheduler.config.num_train_timesteps
    if spacing == "exponential":
        return torch.linspace(math.log(high), math.log(low), n, dtype=torch.float64).exp()
    ramp = torch.linspace(high ** (1 / rho), low ** (1 / rho), n, dtype=torch.float64)
    return ramp**rho


def _from_sigmas(sigmas: torch.Tensor) -> Discrete:
    """Returns the schedule of falling noise levels, alpha = 1."""
    return Discrete(tuple((-2 * sigmas.flip(0).log()).tolist()))


def _levels(scheduler: Any, build: Callable[[torch.Tensor], Discrete], numbers: torch.Tensor) -> Discrete:
    try:
        return build(numbers)
    except ValueError as error:
        raise _refusal(scheduler, f"levels that are no schedule ({one_line(error, 120)})", "check its betas") from error


_DISTILLED = "it is of a distilled model, whose output is no posterior mean; try the model that it was distilled from"
_BETAS = (
    *("DDIMScheduler", "DDIMParallelScheduler", "DDPMScheduler", "DDPMParallelScheduler", "PNDMScheduler"),
    *("LMSDiscreteScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler"),
    *("KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "DPMSolverMultistepScheduler"),
    *("DPMSolverSinglestepScheduler", "DPMSolverSDEScheduler", "DEISMultistepScheduler", "UniPCMultistepScheduler"),
    "SASolverScheduler",
)
READERS: Mapping[str, Reader] = {
    **dict.fromkeys(_BETAS, _read_betas),
    **dict.fromkeys(("EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"), _read_edm),
    **dict.fromkeys(("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"), _read_flow),
}
"""Reader of each supported class of schedulers."""
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("LCMScheduler", "TCDScheduler", "CMStochasticIterativeScheduler", "FlowMatchLCMScheduler"),
            *("SCMScheduler", "FlowMapEulerDiscreteScheduler", "PiflowScheduler"),
        ),
        _DISTILLED,
    ),
    "IPNDMScheduler": "its timesteps are no indices of training steps; try the scheduler that the model came with",
    "DDIMInverseScheduler": "it adds noise; try DDIMScheduler",
    "DPMSolverMultistepInverseScheduler": "it adds noise; try DPMSolverMultistepScheduler",
}
"""Reason and way out of classes of schedulers that are refused, beyond those that nothing is known of."""


def read_scheduler(scheduler: Any, facts: NetworkFacts) -> NetworkReading:
    """Reads a scheduler of diffusers: noise levels, timesteps and meaning of the network output.

    Raises:
        ValueError: a class or a configuration that is not supported, or not by this family.
    """
    name = type(scheduler).__name__
    reading = _reader(name)(scheduler, facts)
    if facts.family.kind == "flow" and reading.prediction_type != "flow":
        raise ValueError(
            f"a {facts.kind} is a rectified flow: got scheduler {name} without flow sigmas; "
            "try FlowMatchEulerDiscreteScheduler"
        )
    return reading


def open_scheduler(folder: Path) -> Any:
    """Loads the scheduler of a pipeline folder, as diffusers' pipelines do.

    Raises:
        ValueError: there is none, or one that is not supported or cannot be loaded.
    """
    found = component_class(folder, "scheduler")
    if found is None:
        raise ValueError(f"{folder / 'model_index.json'} must name scheduler, got null; save the pipeline again")
    name = found[1]
    reader = _reader(name)
    import diffusers

    file = folder / "scheduler" / "scheduler_config.json"
    try:
        saved = read_object(file).get("_class_name", name)
        if saved != name and _reader(str(saved)) is not reader:
            raise ValueError(f"it is of a {saved}, but model_index.json names a {name}; make them agree")
        with silence("diffusers"):
            return getattr(diffusers, name).from_pretrained(folder / "scheduler", local_files_only=True)
    except (OSError, ValueError, TypeError, NotImplementedError, ImportError, KeyError) as error:
        raise ValueError(f"{file} cannot be read: {reason(error)}") from error


def _reader(name: str) -> Reader:
    if name in READERS:
        return READERS[name]
    why = REFUSED.get(name, f"supported are {', '.join(key.removesuffix('Scheduler') for key in READERS)}")
    raise ValueError(f"the scheduler {name} is not supported: {why}")


def _refusal(scheduler: Any, problem: str, hint: str) -> ValueError:
    return ValueError(f"the scheduler {type(scheduler).__name__} cannot be read with {problem}; {hint}")
