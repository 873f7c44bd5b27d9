"""Overhead of one step of a method over the bare prior call, and of `distill` over a loop written by hand.

Batch 4 x 3 x 64 x 64. A small convolutional network (a few hundred MFLOP per image, far less than any real prior)
stands for a prior of realistic cost; a prior of nearly no cost shows the absolute overhead. One thread; targets are in
processor time, which other jobs on the machine affect least; wall time is reported too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from _common import goal, parse_args, ratio, save, summarise, time_alternately
from torch import Tensor, nn

import modeseek as ms
from modeseek.diffusion.prediction import expand_like

SHAPE = (3, 64, 64)
BATCH = 4


class ConvNet(nn.Module):
    """Small U-Net: down, middle and up blocks with skip connections."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inlet = nn.Conv2d(4, width, 3, padding=1)
        self.high = nn.Conv2d(width, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.middle = nn.ModuleList(nn.Conv2d(2 * width, 2 * width, 3, padding=1) for _ in range(3))
        self.up = nn.Conv2d(2 * width, width, 3, padding=1)
        self.norm = nn.GroupNorm(8, width)
        self.outlet = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        h = nn.functional.silu(self.inlet(torch.cat([x, expand_like(level, x).expand(-1, 1, *x.shape[2:])], 1)))
        high = nn.functional.silu(self.high(h))
        h = self.down(high)
        for convolution in self.middle:
            h = h + nn.functional.silu(convolution(h))
        h = nn.functional.interpolate(self.up(h), scale_factor=2) + high
        return self.outlet(nn.functional.silu(self.norm(h)))


class ConvPrior(ms.priors.BasePrior):
    """Prior from an eps-predicting network."""

    schedule, shape, dtype, device = ms.VP(), SHAPE, torch.float32, torch.device("cpu")

    def __init__(self, width: int, seed: int) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.net = ConvNet(width).eval().requires_grad_(False)

    def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: object = None) -> ms.Prediction:
        scale = torch.hypot(alpha, sigma)
        eps = self.net(z_t / expand_like(scale, z_t), (sigma / alpha).log())
        return ms.Prediction.from_eps(z_t, alpha, sigma, eps)


class NearlyFreePrior(ms.priors.BasePrior):
    """Prior of standard normal data, one multiplication per call."""

    schedule, shape, dtype, device = ms.VP(), SHAPE, torch.float32, torch.device("cpu")

    def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: object = None) -> ms.Prediction:
        norm = alpha * alpha + sigma * sigma
        return ms.Prediction.from_z_and_eps(
            z_t, alpha, sigma, expand_like(alpha / norm, z_t) * z_t, expand_like(sigma / norm, z_t) * z_t
        )


class Pixels(nn.Module):
    """Images that are their own parameters."""

    def __init__(self, z: Tensor) -> None:
        super().__init__()
        self.z = nn.Parameter(z.clone())

    def view(self, n: int, rng: object) -> ms.View:
        return ms.View(tuple(range(n)))

    def forward(self, view: ms.View) -> Tensor:
        return self.z


def main() -> None:
    args = parse_args("Overhead of one step of a method over the bare prior call.", threads=1)
    rounds = {"conv": 5, "free": 20} if args.quick else {"conv": 120, "free": 1000}
    rng = torch.Generator().manual_seed(args.seed)
    z = 0.5 * torch.randn(BATCH, *SHAPE, generator=rng)
    results = {}
    for name, prior in (("conv", ConvPrior(24, args.seed)), ("free", NearlyFreePrior())):
        tasks = step_tasks(prior, z, rng)
        timings = time_alternately(tasks, rounds[name], warm=3)
        bare = summarise(timings.cpu["bare call"])
        results[name] = {
            task: {
                "cpu_microseconds": _micro(summarise(times)),
                "wall_microseconds": _micro(summarise(timings.wall[task])),
                "over_bare_call": ratio(timings.cpu, task, "bare call"),
                "over_bare_call_by_wall_time": ratio(timings.wall, task, "bare call"),
                "over_plain_loop": ratio(timings.cpu, task, "plain SDS loop"),
                "ratio_of_best": summarise(times)["best"] / bare["best"],
                "extra_cpu_microseconds": 1e6 * (summarise(times)["median"] - bare["median"]),
            }
            for task, times in timings.cpu.items()
        }
        for task, row in results[name].items():
            print(
                f"{name:5} {task:14} {row['cpu_microseconds']['median']:10.0f} us of processor time, ratio "
                f"{row['over_bare_call']['median']:.4f}, of best {row['ratio_of_best']:.4f}, "
                f"wall {row['over_bare_call_by_wall_time']['median']:.4f}, "
                f"over the plain loop {row['over_plain_loop']['median']:.4f}"
            )
    results["conv"]["mflop_an_image"] = mflop(ConvPrior(24, args.seed).net)
    targets = {
        f"{task} over the bare call of a convolutional prior": goal(
            "<= 1.05",
            f"{results['conv'][task]['over_bare_call']['median']:.3f} "
            f"({results['free'][task]['extra_cpu_microseconds']:.0f} us over a nearly free prior)",
            results["conv"][task]["over_bare_call"]["median"] <= 1.05,
        )
        for task in ("MSD", "SDS", "distill MSD", "distill SDS")
    }
    over = results["conv"]["distill SDS"]["over_plain_loop"]["median"]
    targets["distill SDS over a plain loop with Adam, convolutional prior"] = goal(
        "<= 1.05", f"{over:.3f}", over <= 1.05
    )
    save(args, results, targets)


def _micro(seconds: dict[str, float]) -> dict[str, float]:
    return {key: value if key == "n" else 1e6 * value for key, value in seconds.items()}


def step_tasks(prior: ms.Prior, z: Tensor, rng: torch.Generator) -> dict[str, Callable[[], object]]:
    """Returns the bare call and the step of each method around it."""
    one = torch.ones(BATCH)
    alpha, sigma = prior.schedule(0.5 * one)
    msd, sds = ms.MSD(ms.Fixed(0.5)), ms.SDS()
    _, state = msd.step(z, prior, msd.init(z, prior), progress=0.5, rng=rng)
    runs = {name: endless(prior, method, z, rng) for name, method in (("distill MSD", msd), ("distill SDS", sds))}
    return {
        "bare call": lambda: prior.at(z, alpha, sigma),
        "MSD": lambda: msd.step(z, prior, state, progress=0.5, rng=rng),
        "SDS": lambda: sds.step(z, prior, None, progress=0.5, rng=rng),
        "plain SDS loop": partial(next, plain_loop(prior, z, rng)),
        **{name: partial(next, run) for name, run in runs.items()},
    }


def endless(prior: ms.Prior, method: ms.Method, z: Tensor, rng: torch.Generator) -> Iterator[ms.Step]:
    """Returns a run of `distill` on pixels with Adam, long enough for any number of rounds."""
    pixels = Pixels(z)
    optimizer = torch.optim.Adam(pixels.parameters(), lr=1e-4)
    return ms.distill(pixels, prior, method, optimizer, steps=10**6, batch=BATCH, rng=rng)


def plain_loop(prior: ms.Prior, z: Tensor, rng: torch.Generator) -> Iterator[None]:
    """Yields after each step of SDS as a tutorial writes it: noise, prior call, gradient, Adam; nothing is checked."""
    pixels = Pixels(z)
    optimizer = torch.optim.Adam(pixels.parameters(), lr=1e-4)
    while True:
        optimizer.zero_grad()
        t = 0.02 + 0.96 * torch.rand(BATCH, generator=rng)
        alpha, sigma = prior.schedule(t)
        eps = torch.randn(z.shape, generator=rng)
        with torch.no_grad():
            z_t = expand_like(alpha, z) * pixels.z + expand_like(sigma, z) * eps
            grad = expand_like(sigma**2, z) * (prior.at(z_t, alpha, sigma).eps - eps)
        pixels.z.backward(gradient=grad / BATCH)
        optimizer.step()
        yield


def mflop(net: nn.Module) -> float:
    """Returns the MFLOP of one image, 2 per multiply-add."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, *SHAPE), torch.zeros(1))
    return counter.get_total_flops() / 1e6


if __name__ == "__main__":
    main()
