"""Cost and accuracy of the renderer of Gaussian splats, against loops over pixels and splats and against autograd.

Round splats in a ball, uniform, as a run starts from them; four views, forward and backward, float32. The alternative
composites dense planes of every splat by autograd.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from _common import goal, parse_args, ratio, save, summarise, time_alternately

from modeseek.generators.camera import CameraView
from modeseek.generators.splats import Ball, Splats
from modeseek.generators.splats.pairs import LEAST_ALPHA, find_pairs
from modeseek.generators.splats.projection import project
from modeseek.rng import Streams

CASES = {"2,000 splats, 64 px": (2000, 64, 150), "5,000 splats, 64 px": (5000, 64, None)}
CASES |= {"2,000 splats, 128 px": (2000, 128, None)}  # number, side, limit in ms


def dense(splats: Splats, view: CameraView) -> torch.Tensor:
    """The same images from planes of all pixels, splat after splat, by autograd."""
    cameras, side = view.cameras.to(splats.means), view.size
    seen = project(splats.means, splats.quats, splats.log_scales.exp(), cameras, side)
    ticks = torch.arange(side, dtype=torch.float32)
    order = seen.depth.argsort(1)
    images = []
    for center, conic, share, turn in zip(seen.center, seen.conic, seen.share, order, strict=True):
        x = ticks[None, None, :] - center[turn, 0, None, None]
        y = ticks[None, :, None] - center[turn, 1, None, None]
        a, h, c = conic[turn].T[..., None, None]
        bell = torch.exp(-0.5 * (a * x * x + 2 * h * x * y + c * y * y))
        alpha = (splats.logits.sigmoid() * share)[turn, None, None] * bell
        alpha = torch.where(alpha >= LEAST_ALPHA, alpha, 0.0).clamp(max=0.999)
        passing = (1 - alpha).cumprod(0).roll(1, 0)
        passing = torch.cat([torch.ones_like(passing[:1]), passing[1:]])
        weight = (alpha * passing)[:, None]
        color = (weight * splats.colors.sigmoid()[turn, :, None, None]).sum(0)
        images.append(color + 1 - weight.sum(0))
    return torch.stack(images)


def step(
    splats: Splats, view: CameraView, renderer: Callable[[Splats, CameraView], torch.Tensor]
) -> Callable[[], None]:
    """Returns forward and backward of one batch of views."""
    parameters = list(splats.parameters())

    def run() -> None:
        torch.autograd.grad(renderer(splats, view).square().sum(), parameters)

    return run


def main() -> None:
    """Measures, prints and saves the results."""
    args = parse_args("Cost and accuracy of the renderer of Gaussian splats.", threads=1)
    results: dict[str, object] = {}
    targets: dict[str, dict[str, object]] = {}
    rounds = 3 if args.quick else 15
    for name, (n, side, limit) in CASES.items():
        splats = Splats(n, Ball(0.5, 0.1), rng=Streams(args.seed), size=side)
        view = splats.view(4, Streams(args.seed, use="view"))
        alone = time_alternately({"pairs": step(splats, view, lambda s, v: s(v).image)}, rounds, warm=3)
        median = 1e3 * summarise(alone.cpu["pairs"])["median"]
        with torch.no_grad():
            seen = project(splats.means, splats.quats, splats.log_scales.exp(), view.cameras, side)
            pairs = len(find_pairs(seen, splats.logits.sigmoid() * seen.share, side).pixel)
        results[name] = {"cpu_ms": median, "pairs": pairs}
        print(f"{name:22} {median:7.1f} ms, {pairs:,} pairs of a splat and a pixel")
        if limit is not None:
            targets[name] = goal(f"<= {limit} ms", median, median <= limit)
    few = Splats(300, Ball(0.5, 0.5), rng=Streams(args.seed), size=64)
    view = few.view(2, Streams(args.seed, use="view"))
    tasks = {"pairs": step(few, view, lambda s, v: s(v).image), "planes": step(few, view, dense)}
    timings = time_alternately(tasks, max(3, rounds // 3), warm=1)
    gain = ratio(timings.cpu, "planes", "pairs")["median"]
    error = float((few(view).image - dense(few, view)).detach().abs().max())
    results["300 splats, two views of 64 px, against planes"] = {"planes_over_pairs": gain, "largest_difference": error}
    print(f"{gain:.1f}x as fast as planes, which differ by {error:.1e} at most")
    targets["difference to planes"] = goal("<= 1e-5", error, error <= 1e-5)
    save(args, results, targets)


if __name__ == "__main__":
    main()
