"""Cost of rendering four views of a volume, forward and backward, and speedup of empty-space skipping.

Four views of an orbit, 64 x 64 pixels, 48 samples per ray, float32. Plain: each volume at initialisation. Then a dense
grid of 64 points per side fitted to 24 images of a known object (a red and blue egg of density 60), pruned, and
rendered plainly (every sample evaluated) and with empty-space skipping (the fast path); their images and gradients
are compared. The share of the roof is the time that as many floating point operations take at the speed of `torch.mm`
divided by the measured time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from _common import goal, parse_args, ratio, save, summarise, time_alternately
from torch import Tensor, nn

import modeseek as ms
from modeseek.generators.nerf import Background, Dense, EmptySpaceSkipping, Fourier, HashGrid, NeRF, Triplane

VIEWS, SIZE = 4, 64


class Egg(nn.Module):
    """Analytic smooth 3D shape, the ground truth that the grid is fitted to."""

    spacing, levels = 0.01, 1

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def density(self, points: Tensor) -> Tensor:
        return 60 * torch.sigmoid(60 * (0.55 - (points / points.new_tensor([1.0, 1.3, 0.8])).norm(dim=1)))

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        red, blue = points.new_tensor([[0.9, 0.1, 0.1], [0.1, 0.2, 0.9]])
        return self.density(points), torch.where(points[:, :1] > 0, red, blue)

    def grids(self) -> tuple[Tensor, ...]:
        return ()

    def refine(self, level: int) -> None:
        return None


def fit_egg(steps: int, seed: int) -> NeRF:
    """Returns a dense grid fitted to images of the egg, random backgrounds, pruned at half time."""
    ground_truth = NeRF(Egg(), size=SIZE, samples=96)
    nerf = NeRF(Dense((32, 64)), size=SIZE, background=Background("random"))
    optimizer = torch.optim.Adam(nerf.parameters(), lr=0.25, betas=(0.9, 0.99))
    for step in range(steps):
        if step == steps // 2:
            nerf.volume.refine(1)
            nerf.prune(0.05)
        view = nerf.view(VIEWS, ms.Streams(seed, step))
        with torch.no_grad():
            expected = ground_truth(view).image
        optimizer.zero_grad()
        (nerf(view).image - expected).square().mean().backward()
        optimizer.step()
    nerf.prune(0.05)
    return nerf


def step(nerf: NeRF, skip: EmptySpaceSkipping | None, pull: Tensor, seed: int) -> Callable[[], tuple[Tensor, Tensor]]:
    """Returns forward and backward of one view batch; its result is the image and the flattened gradients."""
    view = nerf.view(VIEWS, ms.Streams(seed, 10**6))

    def run() -> tuple[Tensor, Tensor]:
        nerf.skip = skip
        nerf.zero_grad()
        image = nerf(view).image
        (image * pull).sum().backward()
        return image.detach(), torch.cat([p.grad.flatten() for p in nerf.parameters() if p.grad is not None])

    return run


def flops(nerf: NeRF, seed: int) -> float:
    """Returns the approximate flop of a plain step: 2 x multiply-adds x 3 (forward and both backward products)."""
    samples = nerf(nerf.view(VIEWS, ms.Streams(seed, 10**6))).ray_samples.weights.numel()
    volume = nerf.volume
    if isinstance(volume, Dense):
        return 3.0 * 2 * samples * 8 * 4
    layers = sum(w.numel() for w in volume.network.weights)
    looked_up = {
        Triplane: lambda: 3 * 4 * volume.planes.shape[1],
        HashGrid: lambda: 8 * sum(t.shape[0] for t in volume.tables),
        Fourier: lambda: 0,
    }[type(volume)]()
    return 3.0 * 2 * samples * (layers + looked_up)


def matmul(flop: float, device: torch.device) -> Callable[[], Tensor]:
    """Returns a task of 1024 x 1024 matrix products with about that many operations, at least one product."""
    a, b = torch.randn(2, 1024, 1024, device=device)
    times = max(1, round(flop / (2 * 1024**3)))

    def run() -> Tensor:
        for _ in range(times):
            out = a @ b
        return out

    run.flop = times * 2 * 1024**3  # pyright: ignore[reportFunctionMemberAccess]
    return run


def main() -> None:
    """Measures, prints and saves the results."""
    args = parse_args("Cost of a volume rendering step, and speedup of empty-space skipping.", threads=1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rounds = 2 if args.quick else 15
    rng = torch.Generator().manual_seed(args.seed)
    pull = torch.randn(VIEWS, 3, SIZE, SIZE, generator=rng).to(device) / SIZE**2
    volumes = {
        "dense 32": Dense((32,)),
        "dense 64": Dense((64,)),
        "triplane": Triplane(rng),
        "fourier": Fourier(rng),
        "hash": HashGrid(rng),
    }
    nerfs = {
        name: NeRF(volume.to(device), size=SIZE, background=Background().to(device)) for name, volume in volumes.items()
    }
    fitted = fit_egg(10 if args.quick else 120, args.seed).to(device)
    tasks: dict[str, Callable[[], object]] = {name: step(nerf, None, pull, args.seed) for name, nerf in nerfs.items()}
    plain, fast = step(fitted, None, pull, args.seed), step(fitted, EmptySpaceSkipping(), pull, args.seed)
    roof = matmul(2e10, device)
    timings = time_alternately(tasks | {"fitted, plain": plain, "fitted, fast": fast, "matmul": roof}, rounds, warm=1)
    per_flop = summarise(timings.wall["matmul"])["median"] / roof.flop  # pyright: ignore[reportFunctionMemberAccess]
    results: dict[str, object] = {"device": str(device), "matmul_gflops": 1e-9 / per_flop}
    for name in timings.wall:
        if name == "matmul":
            continue
        row = {
            "wall_ms": {k: v if k == "n" else 1e3 * v for k, v in summarise(timings.wall[name]).items()},
            "cpu_ms": {k: v if k == "n" else 1e3 * v for k, v in summarise(timings.cpu[name]).items()},
        }
        if name in nerfs:
            flop = flops(nerfs[name], args.seed)
            row |= {
                "mflop": flop / 1e6,
                "share_of_matmul_roof": flop * per_flop / summarise(timings.wall[name])["median"],
            }
        results[name] = row
        print(f"{name:14} {row['wall_ms']['median']:8.1f} ms, best {row['wall_ms']['best']:.1f}")
    (image, slope), (fast_image, fast_slope) = plain(), fast()
    gain = ratio(timings.wall, "fitted, plain", "fitted, fast")
    results["fast"] = {
        "gain": gain,
        "gain_by_processor_time": ratio(timings.cpu, "fitted, plain", "fitted, fast"),
        "image_apart_at_most": (image - fast_image).abs().max().item(),
        "gradient_apart_over_its_norm": ((slope - fast_slope).norm() / slope.norm()).item(),
        "gradient_apart_over_its_largest": ((slope - fast_slope).abs().max() / slope.abs().max()).item(),
        "open_space": fitted.space.get_buffer("open").float().mean().item(),
    }
    print(results["fast"])
    apart = max(results["fast"]["image_apart_at_most"], results["fast"]["gradient_apart_over_its_largest"])
    targets = {
        "fast path over the plain one, pruned grid": goal(">= 2", gain["median"], gain["median"] >= 2),
        "their picture and gradient (over its largest) apart": goal("<= 1e-4", apart, apart <= 1e-4),
    }
    save(args, results, targets)


if __name__ == "__main__":
    main()
