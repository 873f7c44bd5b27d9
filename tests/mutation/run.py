"""Plants one-line faults in a copy of the library and reports whether the tests notice each: `make mutate`.

A fault is a piece of a source file, found there exactly once, and what stands in its place; the test files that should
kill it run until the first failure. Each killer is then run without any fault: one that fails all the same is named,
its faults are tried again without it, and the exit code is 1, as for a surviving fault.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from docs_faults import DOCS_FAULTS
from generator3d_faults import SOLID_FAULTS
from method_faults import METHOD_FAULTS
from process_group_faults import PROCESS_GROUP_FAULTS
from sweep_faults import SWEEP_FAULTS
from viewer_faults import VIEWER_FAULTS

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2
SECONDS = 300  # for the tests of one fault
TEST_FILES = {path.stem.removeprefix("test_"): path.relative_to(ROOT) for path in ROOT.glob("tests/**/test_*.py")}


@dataclass(frozen=True)
class Fault:
    """One line gone wrong.

    Attributes:
        name: what is wrong.
        path: the file, relative to src/modeseek, or from tools/ on.
        old: text found exactly once.
        new: what replaces it.
        tests: names of the test files, without `test_` and `.py`, most likely killer first.
    """

    name: str
    path: str
    old: str
    new: str
    tests: str

    @property
    def source(self) -> Path:
        """The file, from the root of the repository on."""
        return Path(self.path) if self.path.startswith("tools/") else Path("src/modeseek", self.path)


FAULTS = [
    Fault(
        "alpha-bar for alpha",
        "diffusion/schedule.py",
        "torch.exp(-integral / 2), ",
        "torch.exp(-integral), ",
        "schedule",
    ),
    Fault(
        "log-SNR flipped",
        "diffusion/schedule.py",
        "return 2 * (alpha.log() - sigma.log())",
        "return 2 * (sigma.log() - alpha.log())",
        "schedule guidance",
    ),
    Fault(
        "square forgotten in VE's inverse",
        "diffusion/schedule.py",
        "torch.exp(-log_snr / (2 * self.rho))",
        "torch.exp(-log_snr / self.rho)",
        "schedule",
    ),
    Fault(
        "zero-SNR end counted once",
        "diffusion/schedule.py",
        "start + 2 * torch.log1p",
        "start + torch.log1p",
        "schedule",
    ),
    Fault("sign of v", "diffusion/prediction.py", "(s * z_t + a * v) / n", "(s * z_t - a * v) / n", "prediction"),
    Fault(
        "sigma for alpha",
        "diffusion/prediction.py",
        "(z_t - s * eps) / a, eps",
        "(z_t - a * eps) / a, eps",
        "prediction",
    ),
    Fault(
        "drift pushes away",
        "diffusion/prediction.py",
        "self.eps - s * drift",
        "self.eps + s * drift",
        "prediction samplers",
    ),
    Fault(
        "sigma for sigma squared in a mixture",
        "priors/gaussian_mixture.py",
        "variance = a * a * values + s * s",
        "variance = a * a * values + s",
        "gaussian_mixture",
    ),
    Fault(
        "half forgotten in a kernel", "priors/empirical.py", "scale = 0.5 / sigma", "scale = 1.0 / sigma", "empirical"
    ),
    Fault(
        "online softmax forgets to rescale",
        "priors/empirical.py",
        "mass = mass * keep",
        "mass = mass * 1.0",
        "empirical",
    ),
    Fault(
        "the condition in place of the null one",
        "priors/guidance.py",
        "select(expand(cond.baseline, n), rows)",
        "select(expand(cond.positive, n), rows)",
        "guidance sds",
    ),
    Fault(
        "guidance scale off by one",
        "priors/guidance.py",
        "base.eps + s * (target.eps - base.eps)",
        "target.eps + s * (target.eps - base.eps)",
        "guidance sds",
    ),
    Fault(
        "alpha for sigma in a product", "priors/product.py", "merged = (s * s * c", "merged = (a * a * c", "product msd"
    ),
    Fault(
        "merged noise not rooted",
        "priors/product.py",
        "sigma * h / v.sqrt(), cond",
        "sigma * h / v, cond",
        "product msd",
    ),
    Fault(
        "a product started from plain noise",
        "priors/product.py",
        "spread = expand_like((sigma**2 + (alpha * h) ** 2).sqrt(), c)",
        "spread = expand_like(sigma + 0 * h, c)",
        "msd",
    ),
    Fault(
        "half dropped in Heun",
        "sampling/samplers.py",
        "expand_like(by_eps / 2, z_t)",
        "expand_like(by_eps, z_t)",
        "samplers",
    ),
    Fault(
        "inversion asks where it goes",
        "sampling/samplers.py",
        "predict_with_drift(prior, z, end, ",
        "predict_with_drift(prior, z, start, ",
        "samplers",
    ),
    Fault(
        "multistep ratio upside down",
        "sampling/samplers.py",
        "width / (2 * past_width)",
        "past_width / (2 * width)",
        "multistep",
    ),
    Fault(
        "fresh noise of the wrong share",
        "sampling/samplers.py",
        "eta * end[1] * torch.sqrt(1 - snr_ratio(start, end))",
        "eta * end[1] * torch.sqrt(snr_ratio(start, end))",
        "samplers",
    ),
    Fault(
        "volume shrinks as it should grow",
        "sampling/likelihood.py",
        "log_p = log_p + width / 6",
        "log_p = log_p - width / 6",
        "likelihood",
    ),
    Fault(
        "sign of the mean shift",
        "meanshift/mean_shift.py",
        "return -expand_like(h, z) *",
        "return expand_like(h, z) *",
        "mean_shift",
    ),
    Fault(
        "safeguard removed",
        "meanshift/mean_shift.py",
        "accepted = safe | ~tentative",
        "accepted = safe | tentative | ~tentative",
        "mean_shift",
    ),
    Fault(
        "safeguard asks for no gain",
        "meanshift/mean_shift.py",
        "gain = 0.5 * z[0].numel()",
        "gain = -0.5 * z[0].numel()",
        "mean_shift",
    ),
    Fault(
        "the dimension left out of the tolerance",
        "meanshift/mean_shift.py",
        "unit = h * z[0].numel() ** 0.5",
        "unit = h * z[0].numel()",
        "mean_shift",
    ),
    Fault(
        "half of Anderson's step",
        "meanshift/anderson.py",
        "((steps + changes).mT @ gamma)",
        "(steps.mT @ gamma)",
        "mean_shift",
    ),
    Fault("kernel cut off too early", "meanshift/kd_tree.py", "_CUTOFF = 6.0", "_CUTOFF = 1.5", "kd_tree mean_shift"),
    Fault(
        "no point falls back to all samples",
        "meanshift/kd_tree.py",
        "far = (mass < 1)",
        "far = (mass < 0)",
        "kd_tree mean_shift",
    ),
    Fault(
        "modes founded by their worst ends",
        "meanshift/modes.py",
        "-torch.inf).argsort(descending=True)",
        "torch.inf).argsort()",
        "modes",
    ),
    Fault("labels not renamed", "meanshift/modes.py", "new_label[label.clamp(min=0)]", "label.clamp(min=0)", "modes"),
    Fault("guided points called modes", "meanshift/certify.py", " & (find_guidance(prior) is None)", "", "certify"),
    Fault(
        "power iteration not shifted back",
        "meanshift/certify.py",
        "iterations)[1] - bound",
        "iterations)[1]",
        "certify",
    ),
    Fault(
        "hold ignored",
        "meanshift/bandwidth.py",
        "self.start) ** min(1.0, progress / (1 - self.hold))",
        "self.start) ** min(1.0, progress)",
        "bandwidth",
    ),
    Fault(
        "a row may miss the end",
        "meanshift/bandwidth.py",
        "h = torch.minimum(h, bound).clamp",
        "h = h.clamp",
        "bandwidth",
    ),
    Fault(
        "unsettled rows narrow",
        "meanshift/bandwidth.py",
        "torch.where(relative_shift < self.settle,",
        "torch.where(relative_shift > self.settle,",
        "bandwidth",
    ),
    Fault(
        "variance for scale",
        "meanshift/bandwidth.py",
        "(slope / (1 - slope)).sqrt()",
        "(slope / (1 - slope))",
        "bandwidth",
    ),
    Fault(
        "times run backwards",
        "diffusion/noise_levels.py",
        "self.start + (self.end",
        "self.end - (self.end",
        "noise_levels",
    ),
    Fault("sigma for sigma squared", "diffusion/weighting.py", "return sigma**2", "return sigma", "weighting sds"),
    Fault(
        "sign of the noise baseline",
        "methods/sds.py",
        "(prediction.eps - noised.eps)",
        "(prediction.eps + noised.eps)",
        "sds",
    ),
    Fault(
        "inverted to one time, asked at another",
        "methods/sdi.py",
        "at(z_t, *prior.schedule(t), ",
        "at(z_t, *prior.schedule(0.9 * t), ",
        "sdi",
    ),
    Fault(
        "one guidance scale for both ways",
        "methods/sdi.py",
        "with_guidance(prior, self.inversion_scale, conditions)",
        "with_guidance(prior, self.scale, conditions)",
        "sdi",
    ),
    Fault(
        "steps not evened out",
        "tools/bundled_priors/muon.py",
        "(b * square + c * square @ square) @ x",
        "(b * square) @ x",
        "muon",
    ),
    Fault(
        "Nesterov's look ahead forgotten",
        "tools/bundled_priors/muon.py",
        'return gradient.add(state["momentum"], alpha=mu).flatten(1)',
        'return state["momentum"].flatten(1)',
        "muon",
    ),
    Fault(
        "guided priors let in",
        "priors/guidance.py",
        "isinstance(prior, Guided | AutoGuidance | PerpNeg)",
        "isinstance(prior, Guided | PerpNeg)",
        "sdi guidance",
    ),
    Fault("jitter not in bandwidths", "methods/msd.py", "share * expand_like(h, z) * eps", "share * eps", "msd"),
    Fault(
        "shift from the jittered point", "methods/msd.py", "Direction(z - target,", "Direction(point - target,", "msd"
    ),
    Fault("pairs that are no pairs", "methods/msd.py", "[half, -half]", "[half, half]", "msd"),
    Fault(
        "noise drawn anew though common",
        "methods/msd.py",
        "noise = self._noise(z, rng) if noise is None else noise",
        "noise = self._noise(z, rng)",
        "msd",
    ),
    Fault("done at any bandwidth", "methods/msd.py", "(state.h <= self.bandwidth.end * (1 + 1e-6)) & ", "", "msd"),
    Fault(
        "samples conditioned on another row's condition",
        "methods/msd.py",
        "z[rows], h[rows], select_conditions(cond, rows)",
        "z[rows], h[rows], select_conditions(cond, rows.flip(0))",
        "msd",
    ),
    Fault(
        "contraction of the wrong length",
        "methods/kernel_score.py",
        "torch.exp(-(a * a - b * b) / (2",
        "torch.exp(-(a - b) ** 2 / (2",
        "kernel_score",
    ),
    Fault(
        "sum over items",
        "distill.py",
        "[direction.grad / items,",
        "[direction.grad,",
        "distill",
    ),
    Fault(
        "mean within an item",
        "distill.py",
        "[direction.grad / items,",
        "[direction.grad / len(z),",
        "distill",
    ),
    Fault("gradients pile up", "distill.py", "optimizer.zero_grad(set_to_none=True)", "pass", "distill"),
    Fault("every step draws alike", "distill.py", "rng.at(index, view.items)", "rng.at(0, view.items)", "distill"),
    Fault(
        "streams keyed by place in the batch",
        "rng.py",
        "self.items[index]",
        "index",
        "rng sds",
    ),
    Fault(
        "views and directions draw the same numbers",
        "distill.py",
        'rng.at(index, use="view")',
        "rng.at(index)",
        "distill",
    ),
    Fault("points not copied", "generators/points.py", "z.detach().clone()", "z.detach()", "points"),
    Fault(
        "altered checkpoints are used",
        "rundir/checkpoint.py",
        'if hashlib.sha256(data[name]).hexdigest() != expected["sha256"]:',
        "if False:",
        "checkpoint train",
    ),
    Fault("one checkpoint is kept", "rundir/checkpoint.py", "[-max(2, keep) :]", "[-1:]", "checkpoint train"),
    Fault(
        "the oldest checkpoint is used",
        "rundir/checkpoint.py",
        "for path in reversed(list_checkpoints(folder)):",
        "for path in list_checkpoints(folder):",
        "checkpoint train",
    ),
    Fault(
        "files are written in place",
        "io/atomic.py",
        "        _rename(scratch, path)\n",
        "        write_synced(path, data.encode() if isinstance(data, str) else data)\n",
        "atomic",
    ),
    Fault("a torn line is kept", "io/atomic.py", '.split("\\n")[:-1]', '.split("\\n")', "lines"),
    Fault(
        "a taken folder is overwritten",
        "rundir/run_dir.py",
        "folder = unused_path(target)",
        "folder = target",
        "run_dir toy",
    ),
    Fault("bandwidth state forgotten", "runs/run_state.py", '"method": method_state', '"method": None', "train"),
    Fault("a resumed run starts over", "runs/train.py", "start=min(state.step, steps)", "start=0", "train"),
    Fault(
        "metrics are not truncated",
        "runs/run_state.py",
        "recorder.truncate(state.step)",
        "recorder.truncate(10**9)",
        "train",
    ),
    Fault("calls start anew", "runs/run_state.py", 'contents["calls"]', "0", "train"),
    Fault("a rollback keeps the rate", "runs/train.py", "/ 2**state.attempt", "", "train"),
    Fault("a rollback draws the same", "runs/run_state.py", "state.attempt += 1", "state.attempt += 0", "train"),
    Fault("what looks wrong is kept", "runs/train.py", "(due and not state.guard_state.streak)", "due", "train"),
    Fault(
        "parameters that overflowed are kept",
        "runs/run_state.py",
        "if not parameter.isfinite().all():",
        "if False:",
        "train",
    ),
    Fault("another prior is taken", "runs/api.py", "if sha256 != objects.loaded.sha256:", "if False:", "train"),
    Fault("no patience", "runs/guard.py", "if streak >= guard.patience:", "if streak > guard.patience:", "train"),
    Fault("white is not saturated", "runs/guard.py", "| (flat >= 1 - _EDGE)", "| (flat >= 2)", "train"),
    Fault("a key may stand twice", "config/yaml.py", "if key in keys:", "if False:", "yaml config"),
    Fault(
        "levels below the cleanest are not faded",
        "priors/pipeline/log_snr_matching.py",
        "eps = expand_like(fade.to(z_t), z_t) * prediction.eps",
        "eps = prediction.eps",
        "pipeline",
    ),
    Fault(
        "the network is asked at another scale",
        "priors/pipeline/log_snr_matching.py",
        "own_z = expand_like(scale.to(z_t), z_t) * z_t",
        "own_z = z_t",
        "pipeline",
    ),
    Fault(
        "a flow's clock runs backwards",
        "priors/pipeline/log_snr_matching.py",
        "time = sigma / total",
        "time = alpha / total",
        "pipeline",
    ),
    Fault(
        "indices are fractions of N",
        "priors/pipeline/architectures.py",
        "(pipe.scheduler.config.num_train_timesteps - 1)",
        "pipe.scheduler.config.num_train_timesteps",
        "pipeline",
    ),
    Fault(
        "the latents' shift is forgotten",
        "priors/pipeline/vae.py",
        "(mean - self.shift) * self.scale",
        "mean * self.scale",
        "pipeline",
    ),
    Fault(
        "the shift does not grow with resolution",
        "priors/pipeline/pipeline.py",
        "tokens = shape[1] * shape[2] // 4",
        "tokens = 256",
        "pipeline",
    ),
    Fault(
        "all items seek the first prompt",
        "runs/build.py",
        "config.prompts[item % len(config.prompts)]",
        "config.prompts[0]",
        "image_command",
    ),
    Fault(
        "a LoRA's scale is forgotten",
        "priors/pipeline/lora.py",
        "network.fuse_lora(lora_scale=lora.scale",
        "network.fuse_lora(lora_scale=1.0",
        "pipeline_options",
    ),
    Fault(
        "texts are known without their LoRA",
        "priors/pipeline/lora.py",
        'return "|".join(parts)',
        "return parts[0]",
        "pipeline_options",
    ),
    Fault(
        "an offloaded network is differentiated",
        "priors/pipeline/pipeline.py",
        'if z_t.requires_grad and self.economy.offload != "none":',
        "if False:",
        "pipeline_options",
    ),
    Fault(
        "a turned camera sees the front",
        "camera_conditions/view_prompts.py",
        "(azimuth + 180) % 360 - 180",
        "azimuth",
        "view_prompts",
    ),
    Fault(
        "all cameras use the first prompt",
        "camera_conditions/view_prompts.py",
        "4 * index + side",
        "side",
        "view_prompts",
    ),
    Fault(
        "weights are counted in bytes of float32",
        "priors/pipeline/requirements.py",
        "wide.itemsize",
        "4",
        "requirements",
    ),
    Fault(
        "minus zero and infinity",
        "rundir/state_serialization.py",
        'return float(plain["float"])',
        "return 0.0",
        "state_serialization",
    ),
]
FAULTS += [
    Fault(*row)
    for row in (
        *METHOD_FAULTS,
        *SOLID_FAULTS,
        *PROCESS_GROUP_FAULTS,
        *SWEEP_FAULTS,
        *VIEWER_FAULTS,
        *DOCS_FAULTS,
    )
]


@dataclass(frozen=True)
class Outcome:
    """How the tests took a fault."""

    fault: Fault
    verdict: str
    by: str
    seconds: float


def files(tests: str) -> list[str]:
    """Paths of test files."""
    return [str(TEST_FILES[name]) for name in tests.split()]


def pytest(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs pytest in a copy of the repository, on that copy's sources."""
    environment = os.environ | {"PYTHONPATH": str(home / "src"), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=SECONDS)


def failures(output: str) -> list[str]:
    """Ids of the tests that pytest's summary calls failed."""
    return re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, flags=re.MULTILINE)


def copy(origin: Path, home: Path) -> None:
    """A copy of what the tests need."""
    home.mkdir()
    for name in ("src", "tools", "tests", "docs", "examples", "benchmarks"):
        shutil.copytree(origin / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copy(origin / name, home)


def check(fault: Fault, origin: Path, home: Path, known: list[str]) -> Outcome:
    """Plants one fault in a fresh copy and runs its tests."""
    copy(origin, home)
    source = home / fault.source
    text = source.read_text()
    if text.count(fault.old) != 1:
        shutil.rmtree(home)
        return Outcome(fault, "MISFIT", f"{fault.old!r} stands there {text.count(fault.old)} times, not once", 0.0)
    source.write_text(text.replace(fault.old, fault.new))
    start = time.monotonic()
    try:
        done = pytest(home, "-x", *(f"--deselect={name}" for name in known), *files(fault.tests))
    except subprocess.TimeoutExpired:
        return Outcome(fault, "killed", f"still running after {SECONDS} s", time.monotonic() - start)
    finally:
        shutil.rmtree(home)
    seconds = time.monotonic() - start
    if done.returncode == 0:
        return Outcome(fault, "SURVIVED", "", seconds)
    if done.returncode == 1:
        return Outcome(fault, "killed", failures(done.stdout)[0], seconds)
    return Outcome(fault, "BROKEN", (done.stdout + done.stderr).strip().splitlines()[-1], seconds)


def sober(origin: Path, home: Path, tests: list[str]) -> list[str]:
    """Which of these tests fail without any fault."""
    copy(origin, home)
    environment = os.environ | {"PYTHONPATH": str(home / "src")}
    command = [sys.executable, "-c", "import modeseek; print(modeseek.__file__)"]
    found = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=True).stdout
    if not found.startswith(str(home)):
        raise RuntimeError(f"the copy in {home} is not what Python imports: {found.strip()}")
    done = pytest(home, *tests)
    shutil.rmtree(home)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"the tests do not run without a fault:\n{done.stdout}{done.stderr}")
    return failures(done.stdout)


def main(wanted: list[str]) -> int:
    """All faults, or those whose name holds one of the given words."""
    faults = [f for f in FAULTS if not wanted or any(word in f.name for word in wanted)]
    start, final, known, left = time.monotonic(), {}, [], faults
    with tempfile.TemporaryDirectory(prefix="modeseek-mutation-") as folder, ThreadPoolExecutor(WORKERS) as pool:
        place = Path(folder).resolve()
        copy(ROOT, place / "origin")
        while left:
            jobs = [pool.submit(check, f, place / "origin", place / f"fault-{i}", known) for i, f in enumerate(left)]
            outcomes = []
            for job in jobs:
                outcomes.append(job.result())
                o = outcomes[-1]
                print(f"{o.verdict:8} {o.seconds:5.0f} s  {o.fault.path:24} {o.fault.name:44} {o.by}", flush=True)
            final |= {o.fault: o for o in outcomes}
            killers = sorted({o.by for o in outcomes if o.by.startswith("tests/")})
            vain = sober(place / "origin", place / "sober", killers) if killers else []
            for name in vain:
                print(f"fails without any fault, left out from now on: {name}", flush=True)
            known += vain
            left = [o.fault for o in outcomes if o.by in vain]
    killed = sum(o.verdict == "killed" for o in final.values())
    print(f"{killed} of {len(final)} faults killed in {time.monotonic() - start:.0f} s")
    return 0 if killed == len(final) and not known else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
