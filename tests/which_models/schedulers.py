"""Schedulers of pipelines: those that are read, and those that are refused by their names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from which_models.row import ModelRow, Section

SD_BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
FLOW: dict[str, Any] = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
INDICES, EDM, TIMES = "by its betas", "EDM", "flow"


def edit(folder: Path, file: str, **fields: Any) -> None:
    """Changes fields of a JSON file of a pipeline."""
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def scheduler(name: str, **fields: Any) -> Callable[[Path], None]:
    """Change of a folder: another scheduler, with all defaults of its class as `save_pretrained` writes them."""

    def change(folder: Path) -> None:
        import diffusers

        getattr(diffusers, name)(**fields).save_pretrained(folder / "scheduler")
        edit(folder, "model_index.json", scheduler=["diffusers", name])

    return change


def written(name: str, saved: str | None = None, **fields: Any) -> Callable[[Path], None]:
    """Change of a folder: another scheduler, whose file holds these fields alone, of the class `saved`."""

    def change(folder: Path) -> None:
        path = folder / "scheduler" / "scheduler_config.json"
        path.write_text(json.dumps({"_class_name": saved or name, **fields}))
        edit(folder, "model_index.json", scheduler=["diffusers", name])

    return change


def _row(name: str, what: str = "", base: str = "sd", note: str = "", line: str = "", **fields: Any) -> ModelRow:
    if not what:
        what = f"`{name}`" + "".join(f", {field} {json.dumps(value)}" for field, value in fields.items())
    return ModelRow(what, base, scheduler(name, **((SD_BETAS if note == INDICES else {}) | fields)), line, note)


def _written(name: str, what: str, base: str = "sd", note: str = "", line: str = "", **fields: Any) -> ModelRow:
    return ModelRow(f"`{name}` {what}", base, written(name, **fields), line, note)


_OWN = "by the default betas of its class"
_STEPS = (0.02, 0.05, 0.1, 0.2)
SCHEDULERS = Section(
    "Schedulers",
    """The configuration of the scheduler defines what a network predicts, and at which noise level. Each class is
read by its own rules:

- *by its betas*: variance-preserving training levels, the timestep is their index;
- *EDM*: levels from `sigma_min` to `sigma_max`, input and output preconditioned by `sigma_data` (Karras et al. 2022),
  the timestep is log(sigma) / 4;
- *flow*: a rectified flow, the timestep is its time times `num_train_timesteps`; `shift`, also that by the resolution,
  moves the times of methods.

Settings of the sampler alone (`timestep_spacing`, `steps_offset`, Karras, exponential and beta sigmas, `thresholding`,
`clip_sample`, `final_sigmas_type` ...) change nothing, since modeseek takes levels and steps from its methods and
samplers.""",
    (
        *(
            _row(name, note=INDICES)
            for name in (
                *("DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "LMSDiscreteScheduler", "EulerDiscreteScheduler"),
                *("EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "KDPM2DiscreteScheduler"),
                *("KDPM2AncestralDiscreteScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"),
                *("DEISMultistepScheduler", "UniPCMultistepScheduler", "SASolverScheduler"),
            )
        ),
        _row("EulerDiscreteScheduler", note=INDICES, prediction_type="v_prediction"),
        _row("DPMSolverMultistepScheduler", note=INDICES, prediction_type="v_prediction", base="sdxl"),
        _row("UniPCMultistepScheduler", note=INDICES, prediction_type="sample"),
        _row("DDIMScheduler", note=INDICES, num_train_timesteps=500),
        _row("EulerDiscreteScheduler", note=INDICES, prediction_type="v_prediction", rescale_betas_zero_snr=True),
        _row("EulerDiscreteScheduler", note=INDICES, rescale_betas_zero_snr=True),
        _row("DDPMScheduler", note=INDICES, base="pixart"),
        _row("DDPMScheduler", beta_schedule="squaredcos_cap_v2", base="if", note="by its betas"),
        _row("DDPMScheduler", beta_schedule="sigmoid", note="by its betas"),
        _row("HeunDiscreteScheduler", beta_schedule="exp", note="by its betas"),
        _written(
            "DDIMScheduler",
            "with trained_betas",
            trained_betas=_STEPS,
            num_train_timesteps=4,
            note="these training levels",
        ),
        *(
            _written(name, "without betas in its file", note=_OWN)
            for name in ("DDIMScheduler", "HeunDiscreteScheduler")
        ),
        _written(
            "DDIMScheduler", "whose file is of a `PNDMScheduler`", saved="PNDMScheduler", note=INDICES, **SD_BETAS
        ),
        _row("EDMEulerScheduler", base="sdxl", note=EDM),
        _row("EDMDPMSolverMultistepScheduler", base="sdxl", note=EDM),
        _row("EDMEulerScheduler", prediction_type="v_prediction", sigma_data=1.0, sigma_max=120.0, note=EDM),
        _row("EDMDPMSolverMultistepScheduler", prediction_type="v_prediction", sigma_schedule="exponential", note=EDM),
        _row("EDMDPMSolverMultistepScheduler", base="pixart", note=EDM),
        _row("EulerDiscreteScheduler", timestep_type="continuous", prediction_type="v_prediction", note=EDM),
        _row(
            "EulerDiscreteScheduler",
            "`EulerDiscreteScheduler`, the same with sigma_min and sigma_max, which Karras sigmas alone read",
            timestep_type="continuous",
            prediction_type="v_prediction",
            sigma_min=0.3,
            sigma_max=2.0,
            note=EDM,
        ),
        _row(
            "EulerDiscreteScheduler",
            timestep_type="continuous",
            prediction_type="v_prediction",
            use_karras_sigmas=True,
            sigma_min=0.002,
            sigma_max=700.0,
            note=EDM,
        ),
        _row("FlowMatchEulerDiscreteScheduler", note=TIMES),
        _row("FlowMatchEulerDiscreteScheduler", shift=3.0, base="sdxl", note=TIMES),
        _row("FlowMatchEulerDiscreteScheduler", num_train_timesteps=500, note=TIMES),
        _row("FlowMatchEulerDiscreteScheduler", num_train_timesteps=500, base="flux", note=TIMES),
        _row("FlowMatchEulerDiscreteScheduler", shift_terminal=0.1, base="sd3", note=TIMES),
        _row("FlowMatchEulerDiscreteScheduler", use_dynamic_shifting=True, base="sd3", note=TIMES),
        _row(
            "FlowMatchEulerDiscreteScheduler",
            use_dynamic_shifting=True,
            time_shift_type="linear",
            base="flux",
            note=TIMES,
        ),
        _row("FlowMatchHeunDiscreteScheduler", shift=3.0, base="sd3", note=TIMES),
        _row("DPMSolverMultistepScheduler", **FLOW, flow_shift=2.0, note=TIMES),
        _row("UniPCMultistepScheduler", **FLOW, flow_shift=3.0, base="sd3", note=TIMES),
        _row("UniPCMultistepScheduler", **FLOW, base="pixart", note=TIMES),
        _row("DPMSolverSinglestepScheduler", **FLOW, note=TIMES),
        _row("DEISMultistepScheduler", **FLOW, note=TIMES),
        _row("SASolverScheduler", **FLOW, note=TIMES),
        *(
            _row(name, line=f"the scheduler {name} is not supported: it is of a distilled model")
            for name in ("LCMScheduler", "TCDScheduler", "CMStochasticIterativeScheduler", "FlowMatchLCMScheduler")
        ),
        _row("SCMScheduler", line="the scheduler SCMScheduler is not supported: it is of a distilled model"),
        _row("IPNDMScheduler", line="the scheduler IPNDMScheduler is not supported: its timesteps are no indices"),
        _row("DDIMInverseScheduler", line="the scheduler DDIMInverseScheduler is not supported: it adds noise"),
        *(
            _row(name, line=f"the scheduler {name} is not supported: supported are DDIM, ")
            for name in ("ScoreSdeVeScheduler", "UnCLIPScheduler", "CogVideoXDDIMScheduler", "RePaintScheduler")
        ),
        _written(
            "MyScheduler", "of custom code", line="the scheduler MyScheduler is not supported: supported are DDIM, "
        ),
        _written(
            "EulerDiscreteScheduler",
            "whose file is of an `EDMEulerScheduler`",
            saved="EDMEulerScheduler",
            line="it is of a EDMEulerScheduler, but model_index.json names a EulerDiscreteScheduler; make them agree",
        ),
        _written(
            "EDMEulerScheduler",
            "whose file is of an `EulerDiscreteScheduler`",
            saved="EulerDiscreteScheduler",
            line="it is of a EulerDiscreteScheduler, but model_index.json names a EDMEulerScheduler; make them agree",
        ),
        _row(
            "DPMSolverMultistepScheduler",
            use_flow_sigmas=True,
            line="cannot be read with use_flow_sigmas True with prediction_type 'epsilon'; set both or neither",
        ),
        _row(
            "DPMSolverMultistepScheduler",
            prediction_type="flow_prediction",
            line="cannot be read with use_flow_sigmas False with prediction_type 'flow_prediction'; set both or ",
        ),
        _row(
            "DDIMScheduler",
            prediction_type="magic",
            line="cannot be read with prediction_type 'magic'; known are epsilon",
        ),
        _row(
            "EDMEulerScheduler",
            prediction_type="sample",
            line="cannot be read with prediction_type 'sample'; try 'epsilon' or 'v_prediction'",
        ),
        _written(
            "EDMEulerScheduler", "with sigma_data 0", sigma_data=0, line="cannot be read with sigma_data 0; try 0.5"
        ),
        _written(
            "EDMEulerScheduler",
            "with sigma_max below sigma_min",
            sigma_max=0.001,
            line="cannot be read with sigma_min 0.002 and sigma_max 0.001; try 0.002 and 80",
        ),
        _row(
            "EulerDiscreteScheduler",
            interpolation_type="log_linear",
            line="cannot be read with interpolation_type 'log_linear'; try 'linear'",
        ),
        _written(
            "DDIMScheduler",
            "with fewer trained_betas than steps",
            trained_betas=_STEPS,
            line="cannot be read with 4 trained_betas and num_train_timesteps 1000; both must be the ",
        ),
        _written(
            "DDIMScheduler",
            "whose levels do not fall",
            beta_start=0.0,
            line="cannot be read with levels that are no schedule",
        ),
        _row(
            "FlowMatchEulerDiscreteScheduler",
            invert_sigmas=True,
            base="sd3",
            line="cannot be read with invert_sigmas; a network whose time runs from noise to image",
        ),
        _written(
            "FlowMatchEulerDiscreteScheduler",
            "with shift 0",
            shift=0.0,
            line="cannot be read with a shift of 0.0; it must be above 0",
        ),
        _row(
            "FlowMatchEulerDiscreteScheduler",
            use_dynamic_shifting=True,
            base="sdxl",
            line="cannot be read with use_dynamic_shifting; a StableDiffusionXLPipeline does not shift; set a ",
        ),
        *(
            _row(
                name,
                base=base,
                line=f"is a rectified flow: got scheduler {name} without flow sigmas; try FlowMatchEuler",
            )
            for name, base in (("DDIMScheduler", "sd3"), ("EDMEulerScheduler", "flux"))
        ),
    ),
    "tests/priors/pipeline/test_schedulers.py::test_every_scheduler_is_read_or_refused",
)
