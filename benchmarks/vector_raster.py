"""Cost and accuracy of the rasteriser of vector drawings, against full planes and against resvg.

Closed paths of four cubics, half see-through, float32, forward and backward. The alternative composes full planes of
every path by autograd. Accuracy is the mean absolute difference to resvg rendered 8 times as large and averaged; that
of resvg itself at the same size stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from _common import goal, parse_args, ratio, save, summarise, time_alternately

from modeseek.generators.vector.coverage import coverage
from modeseek.generators.vector.drawing import Drawing
from modeseek.generators.vector.flatten import bernstein
from modeseek.generators.vector.paint import paint
from modeseek.generators.vector.paths import Paths, canvas_to_pixels, random_paths
from modeseek.generators.vector.svg_write import write_svg
from modeseek.metrics.vector import render_svg

CASES = {"32 paths, 64 px": (1, 32, 64, 5), "5 x 24 paths, 64 px": (5, 24, 64, None)}
CASES |= {"64 paths, 256 px": (1, 64, 256, 25), "256 paths, 512 px": (1, 256, 512, 250)}  # n, paths, side, limit in ms


def wild(n: int, count: int, seed: int, opacity: float = 0.5, noise: float = 0.03) -> Paths:
    """Circles of random place and colour with their points moved at random."""
    rng = torch.Generator().manual_seed(seed)
    paths = random_paths(n, count, 0, 4, rng)
    colors = torch.cat(
        [(paths.colors[..., :3] * 255).round() / 255, torch.full_like(paths.colors[..., 3:], opacity)], -1
    )
    return replace(paths, fills=paths.fills + noise * torch.randn(paths.fills.shape, generator=rng), colors=colors)


def paint_planes(paths: Paths, size: tuple[int, int]) -> torch.Tensor:
    """The same image from full planes, by autograd; 16 chords a cubic."""
    t = torch.arange(16) / 16
    polygons = (bernstein(t) @ canvas_to_pixels(paths.fill_curves(), size)).flatten(2, 3)
    planes = coverage(polygons.flatten(0, 1), size).unflatten(0, polygons.shape[:2])
    canvas = paths.background[:, :, None, None].expand(-1, -1, *size)
    for layer in range(planes.shape[1]):  # in the order of the slots
        alpha = (paths.colors[:, layer, 3, None, None] * planes[:, layer])[:, None]
        canvas = canvas + alpha * (paths.colors[:, layer, :3, None, None] - canvas)
    return canvas


def step(paths: Paths, side: int, painter: Callable[[Paths, tuple[int, int]], torch.Tensor]) -> Callable[[], None]:
    """Returns forward and backward of one image."""
    fills, colors = paths.fills.clone().requires_grad_(), paths.colors.clone().requires_grad_()
    pull = torch.ones(paths.n, 3, side, side)

    def run() -> None:
        image = painter(replace(paths, fills=fills, colors=colors), (side, side))
        torch.autograd.grad(image, (fills, colors), pull)

    return run


def accuracy(count: int, opacity: float, seeds: int, side: int = 96) -> dict[str, float]:
    """Mean absolute differences to resvg at 8 times the size: ours, and resvg at the size itself."""
    ours, theirs = [], []
    for seed in range(seeds):
        paths = wild(1, count, seed, opacity, 0.1)
        text = write_svg(paths, 0, size=(side, side), decimals=6)
        truth = render_svg(text, (side, side), 8)
        ours.append((paint(paths, (side, side))[0] - truth).abs().mean().item())
        theirs.append((render_svg(text, (side, side)) - truth).abs().mean().item())
    return {"ours": float(np.mean(ours)), "resvg": float(np.mean(theirs)), "most": max(ours)}


def slope_error(seed: int) -> float:
    """Relative error of a directional derivative against central differences, float64, 32 paths at 64 pixels."""
    rng = torch.Generator().manual_seed(seed)
    start = wild(1, 32, seed)
    paths = Paths(
        **{name: value.double() if value.is_floating_point() else value for name, value in vars(start).items()}
    )
    fills = paths.fills.clone().requires_grad_()
    weight, direction = torch.randn(3, 64, 64, generator=rng).double(), torch.randn(fills.shape, generator=rng).double()

    def loss(s: float) -> torch.Tensor:
        return (paint(replace(paths, fills=fills + s * direction), (64, 64))[0] * weight).sum()

    (grad,) = torch.autograd.grad(loss(0.0), fills)
    slope = (loss(1e-7) - loss(-1e-7)).item() / 2e-7
    return abs((grad * direction).sum().item() - slope) / abs(slope)


def main() -> None:
    """Measures, prints and saves the results."""
    args = parse_args("Cost and accuracy of the rasteriser of vector drawings.", threads=1)
    results: dict[str, object] = {}
    targets: dict[str, dict[str, object]] = {}
    rounds = 3 if args.quick else 21
    for name, (n, count, side, limit) in CASES.items():
        paths = wild(n, count, args.seed)
        tasks = {"boxes": step(paths, side, paint)}
        if side <= 256:
            tasks["planes"] = step(paths, side, paint_planes)
        alone = time_alternately({"boxes": tasks["boxes"]}, 5 * rounds if side < 512 else rounds, warm=5 * rounds)
        timings = time_alternately(tasks, rounds if side < 512 else max(3, rounds // 3), warm=2)
        median = 1e3 * summarise(alone.cpu["boxes"])["median"]
        gain = ratio(timings.cpu, "planes", "boxes")["median"] if "planes" in tasks else None
        results[name] = {"cpu_ms": median, "planes_over_boxes": gain}
        print(f"{name:22} {median:7.1f} ms" + ("" if gain is None else f", {gain:.1f}x as fast as full planes"))
        if limit is not None:
            targets[name] = goal(f"<= {limit} ms", median, median <= limit)
    few, many = (wild(1, count, args.seed) for count in (64, 256))
    small = [replace(paths, fills=paths.fills * 0.5) for paths in (few, many)]
    timings = time_alternately({"64": step(small[0], 512, paint), "256": step(small[1], 512, paint)}, rounds, warm=1)
    share = ratio(timings.cpu, "256", "64")["median"] / 4
    results["cost of a path among 256 over one among 64"] = share
    targets["cost of a path among others"] = goal("independent: <= 1.1", share, share <= 1.1)
    for name, count, opacity, bound in (("one path", 1, 1.0, 1e-4), ("32 see-through paths", 32, 0.5, 2e-3)):
        found = accuracy(count, opacity, 2 if args.quick else 16)
        results[f"error of {name}"] = found
        met = found["ours"] <= bound and found["ours"] <= 1.1 * found["resvg"]
        targets[f"error of {name}"] = goal(f"<= {bound:g} and 1.1 of resvg", [found["ours"], found["resvg"]], met)
    worst = max(slope_error(seed) for seed in range(args.seed, args.seed + (2 if args.quick else 8)))
    targets["directional derivative"] = goal("<= 1e-6", worst, worst <= 1e-6)
    drawing = Drawing(2, (64, 64), 24, rng=args.seed)
    runs = [drawing(drawing.preview_view()).image for _ in range(2)]
    targets["two renderings"] = goal("equal bits", torch.equal(*runs), torch.equal(*runs))
    save(args, results, targets)


if __name__ == "__main__":
    main()
