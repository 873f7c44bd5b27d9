"""Schedulers of diffusers: each is read as diffusers' own class converts the network's output, or refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from which_models.row import ModelRow
from which_models.schedulers import FLOW, SCHEDULERS, edit, scheduler, written

import modeseek as ms
from modeseek.priors.pipeline import Pipeline
from modeseek.priors.pipeline.requirements import read_requirements

diffusers = pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
from tiny import load  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
TEXT, STEPS = "red", 4
FIRST_ONLY = ("Heun", "KDPM2", "PNDM")  # several stages a step: compared at the first


class Recorded:
    """Pipeline whose network calls are kept."""

    def __init__(self, prior: Pipeline) -> None:
        self.prior, self.cond = prior, prior.encode([TEXT])
        self.input = self.timestep = self.output = torch.empty(0)
        predict = prior.family.predict

        def recording(pipe: Any, z: Tensor, timestep: Tensor, cond: Any, guidance: float) -> Tensor:
            output = predict(pipe, z, timestep, cond, guidance)
            self.input, self.timestep, self.output = z, timestep, output[:, : prior.shape[0]]
            return output

        object.__setattr__(prior, "family", _with_predict(prior.family, recording))

    def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor) -> ms.Prediction:
        return self.prior.at(z_t, alpha.reshape(1), sigma.reshape(1), self.cond)


def _with_predict(family: Any, predict: Any) -> Any:
    from dataclasses import replace

    return replace(family, predict=predict)


def stock_level(stock: Any, i: int, t: Tensor, scaled: bool) -> tuple[Tensor, Tensor]:
    """Signal and noise of diffusers' sample before step i, by the conventions of its class."""
    config = stock.config
    if "FlowMatch" in type(stock).__name__ or config.get("use_flow_sigmas"):
        return 1 - stock.sigmas[i], stock.sigmas[i]
    if not hasattr(stock, "sigmas"):
        squared = stock.alphas_cumprod[int(t)]
        return squared.sqrt(), (1 - squared).sqrt()
    if scaled:  # the sample is variance exploding
        return torch.ones(()), stock.sigmas[i]
    alpha = 1 / (1 + stock.sigmas[i] ** 2).sqrt()
    return alpha, stock.sigmas[i] * alpha


def stock_z(stock: Any, step: Any, raw: Tensor, sample: Tensor, alpha: Tensor, sigma: Tensor, i: int) -> Tensor:
    """Denoised sample of diffusers for this network output: its own, or by the formula of its prediction type."""
    if getattr(step, "pred_original_sample", None) is not None:
        return step.pred_original_sample
    if "FlowMatch" in type(stock).__name__:
        last = stock.sigmas[i + 1]
        return sample + (step.prev_sample - sample) / (last - sigma) * (0 - sigma)
    if hasattr(stock, "convert_model_output"):
        return stock.model_outputs[-1]
    kind = stock.config.prediction_type
    norm = (alpha**2 + sigma**2).sqrt()
    a, s = alpha / norm, sigma / norm
    return {"epsilon": (sample / norm - s * raw) / a, "v_prediction": a * sample / norm - s * raw}[kind]


def compare_with_stock(path: Path) -> None:
    """Network input, timestep and denoised sample at every step of diffusers' scheduler, on the same network."""
    recorded = Recorded(load(path))
    prior = recorded.prior
    stock = type(prior.pipe.scheduler).from_pretrained(path / "scheduler")
    if path.name == "if":  # clips pixels, which is the sampler's affair
        stock.register_to_config(clip_sample=False, thresholding=False)
    if hasattr(stock.config, "clip_sample"):
        stock.register_to_config(clip_sample=False)
    dynamic = stock.config.get("use_dynamic_shifting", False)
    n = len(stock.betas) if hasattr(stock, "betas") and len(stock.betas) < STEPS + 1 else STEPS
    stock.set_timesteps(n, **({"mu": math.log(prior.schedule.shift)} if dynamic else {}))
    sample = torch.randn(1, *prior.shape, generator=torch.Generator().manual_seed(3))
    sample = sample * getattr(stock, "init_noise_sigma", 1.0)
    scale = getattr(stock, "scale_model_input", lambda z, t: z)
    first = any(name in type(stock).__name__ for name in FIRST_ONLY)
    for i, t in enumerate(stock.timesteps[:1] if first else stock.timesteps):
        own = scale(sample, t)
        alpha, sigma = stock_level(stock, i, t, scaled=not torch.equal(own, sample))
        p = recorded.at(sample, alpha, sigma)
        step = stock.step(recorded.output, t, sample)
        want = stock_z(stock, step, recorded.output, sample, alpha, sigma, i)
        if not (stock.config.get("rescale_betas_zero_snr") and prior.prediction_type == "v" and i == 0):
            # diffusers has 2**-12 for the last alpha there, to divide by it; the network was trained at 0
            ours = p.eps if "DEIS" in type(stock).__name__ else p.z
            assert not p.clamped.any()
            assert torch.allclose(recorded.input, own, rtol=1e-4, atol=1e-4 * own.abs().max())
            whole = stock.config.get("use_flow_sigmas", False)  # diffusers cuts these timesteps to whole numbers
            assert recorded.timestep.item() == pytest.approx(float(t), rel=1e-4, abs=1.01 if whole else 2e-3)
            assert torch.allclose(ours, want, rtol=2e-3, atol=2e-3 * want.abs().max()), (i, (ours - want).abs().max())
            assert torch.allclose(alpha * p.z + sigma * p.eps, sample, rtol=1e-3, atol=1e-3 * sample.abs().max())
        sample = step.prev_sample


@pytest.mark.slow
@pytest.mark.parametrize("row", SCHEDULERS.rows, ids=lambda row: f"{row.base} {row.what}")
def test_every_scheduler_is_read_or_refused(row: ModelRow, changed: Callable[..., Path]) -> None:
    folder = changed(row.base, row.change)
    if not row.line:
        compare_with_stock(folder)
        return
    for read in (load, read_requirements):  # doctor says the same before a run
        with pytest.raises(ValueError) as caught:
            read(folder)
        assert row.line in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("base", "fields", "mu"),
    [
        ("sd", {"shift": 3.0}, None),
        ("sd3", {"use_dynamic_shifting": True, "base_shift": 0.4, "max_shift": 1.3}, (0.4, 1.3)),
        ("flux", {"use_dynamic_shifting": True, "time_shift_type": "linear", "max_shift": 2.0}, (0.5, 2.0)),
        ("flux", {"use_dynamic_shifting": True, "base_image_seq_len": 8, "max_image_seq_len": 64}, None),
    ],
)
def test_the_times_of_a_flow_are_shifted_as_diffusers_does(
    base: str, fields: dict[str, Any], mu: tuple[float, float] | None, changed: Callable[..., Path]
) -> None:
    folder = changed(base, scheduler("FlowMatchEulerDiscreteScheduler", **fields))
    prior, stock = load(folder), diffusers.FlowMatchEulerDiscreteScheduler(**fields)
    options: dict[str, Any] = {}
    if fields.get("use_dynamic_shifting"):
        few, many = fields.get("base_image_seq_len", 256), fields.get("max_image_seq_len", 4096)
        low, high = mu or (0.5, 1.15)
        options["mu"] = low + (high - low) * (16 - few) / (many - few)  # 4 x 4 tokens
    times = torch.linspace(1, 0.2, 5)
    stock.set_timesteps(sigmas=times.tolist(), **options)
    assert torch.allclose(prior.schedule(times)[1], stock.sigmas[:-1], atol=1e-6)


@pytest.mark.parametrize(("name", "pipeline"), [("UniPC", "sd3"), ("DPMSolver", "flux")])
def test_a_solver_shifts_by_the_resolution_with_the_numbers_of_its_pipeline(
    name: str, pipeline: str, changed: Callable[..., Path]
) -> None:
    """Without numbers of its own: 0.5 to 1.15 in Flux, to 1.16 in Stable Diffusion 3."""
    prior = load(changed(pipeline, scheduler(f"{name}MultistepScheduler", **FLOW, use_dynamic_shifting=True)))
    most = 1.16 if pipeline == "sd3" else 1.15
    assert math.log(prior.schedule.shift) == pytest.approx(0.5 + (most - 0.5) * (16 - 256) / (4096 - 256))


@pytest.mark.parametrize(
    "fields",
    [
        {"timestep_spacing": "trailing", "steps_offset": 1},
        {"use_karras_sigmas": True, "final_sigmas_type": "sigma_min"},
        {"use_exponential_sigmas": True},
    ],
)
def test_settings_of_the_sampler_change_no_prediction(fields: dict[str, Any], changed: Callable[..., Path]) -> None:
    plain, other = (load(changed("sd", scheduler("EulerDiscreteScheduler", **options))) for options in ({}, fields))
    z, t = torch.randn(1, *plain.shape, generator=torch.Generator().manual_seed(3)), torch.tensor([0.6])
    assert plain.schedule == other.schedule
    assert torch.equal(plain(z, t).z, other(z, t).z)


def test_the_levels_of_edm_are_those_of_karras(changed: Callable[..., Path]) -> None:
    prior = load(
        changed("sdxl", scheduler("EDMEulerScheduler", num_train_timesteps=11, sigma_min=0.01, sigma_max=50.0))
    )
    sigmas = [(50 ** (1 / 7) + i / 10 * (0.01 ** (1 / 7) - 50 ** (1 / 7))) ** 7 for i in range(11)]
    assert prior.schedule.levels == pytest.approx([-2 * math.log(sigma) for sigma in reversed(sigmas)])
    z = torch.randn(2, *prior.shape, generator=torch.Generator().manual_seed(3))
    p = prior.at(z, torch.ones(2), torch.tensor([0.001, 60.0]))
    assert p.clamped.all() and p.z.isfinite().all() and p.eps.isfinite().all()


def test_the_sampler_of_diffusers_on_an_edm_folder_is_ours(changed: Callable[..., Path]) -> None:
    """The whole of diffusers' pipeline, guidance included, on what Playground 2.5 ships."""
    folder = changed("sdxl", scheduler("EDMEulerScheduler"))
    prior = load(folder)
    pipe = diffusers.StableDiffusionXLPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    z = torch.randn(1, *prior.shape, generator=torch.Generator().manual_seed(3))
    options: dict[str, Any] = {"height": 16, "width": 16, "latents": z.clone(), "output_type": "latent"}
    want = pipe(TEXT, num_inference_steps=5, guidance_scale=3.0, **options).images
    sigmas = pipe.scheduler.sigmas[:-1].double()
    times = prior.schedule.t_of(-2 * sigmas.log()).clamp(0, 1).float()
    guided, conditions = ms.Guided(prior, 3.0), prior.conditions([TEXT])
    with torch.no_grad():
        last = ms.ddim(guided, z, times, conditions)
        ours = guided(last, times[-1:], conditions).z
    assert torch.allclose(ours, want, rtol=1e-2, atol=2e-3 * want.abs().max()), (ours - want).abs().max()


def test_a_lora_learns_in_the_parametrisation_of_edm(changed: Callable[..., Path]) -> None:
    """What an EDM network is trained on: (z - c_skip z_t) / c_out, by Karras et al. 2022, appendix B."""
    for kind, sign in (("epsilon", 1), ("v_prediction", -1)):
        prior = load(changed("sd", scheduler("EDMEulerScheduler", sigma_data=0.7, prediction_type=kind)))
        z, eps = torch.randn(2, 2, *prior.shape, generator=torch.Generator().manual_seed(3))
        h, s = torch.tensor([0.3, 5.0]).reshape(2, 1, 1, 1), 0.7
        z_t = z + h * eps
        skip, out = s**2 / (h**2 + s**2), sign * h * s / (h**2 + s**2).sqrt()
        for scale in (1.0, 0.2):  # of any scaling of z_t
            p = ms.Prediction.from_z_and_eps(scale * z_t, scale * torch.ones(2), scale * h.flatten(), z, eps)
            assert torch.allclose(prior.reading.output(p), (z - skip * z_t) / out, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("base", ["sd-v", "pixart", "sd3"])
def test_the_output_of_a_prediction_is_what_the_network_said(base: str, changed: Callable[..., Path]) -> None:
    recorded = Recorded(load(changed(base)))
    z = torch.randn(1, *recorded.prior.shape, generator=torch.Generator().manual_seed(3))
    p = recorded.at(2 * z, torch.tensor(1.2), torch.tensor(1.6))
    assert torch.allclose(recorded.prior.reading.output(p), recorded.output, rtol=1e-3, atol=1e-4)


def test_the_defaults_of_a_class_are_its_own(changed: Callable[..., Path]) -> None:
    """A file that names no betas has those of its class: 0.00085 to 0.012 for Heun, 0.0001 to 0.02 for DDIM."""
    firsts = [load(changed("sd", written(f"{name}Scheduler"))).schedule.levels[0] for name in ("HeunDiscrete", "DDIM")]
    assert firsts == pytest.approx([math.log((1 - beta) / beta) for beta in (0.00085, 0.0001)], abs=1e-3)


def test_a_pipeline_without_a_scheduler_is_one_line(changed: Callable[..., Path]) -> None:
    folder = changed("sd", lambda folder: edit(folder, "model_index.json", scheduler=[None, None]))
    with pytest.raises(ValueError, match="lacks scheduler"):
        load(folder)
    folder = changed("sd", lambda folder: (folder / "scheduler" / "scheduler_config.json").unlink())
    with pytest.raises(ValueError, match=r"scheduler_config\.json cannot be read: No such file"):
        load(folder)
