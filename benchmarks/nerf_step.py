"""What does rendering four views of a volume cost, forward and backward, and what does the fast path save?

Four views of an orbit, 64 x 64 pixels, 48 samples a ray, float32. Plain: each volume as it begins. Then a dense grid
of 64 points a side that was fitted to 24 pictures of a known thing (a red and blue egg of density 60), pruned, and
rendered plainly (every sample asked for) and by the fast path, whose picture and gradient are compared. The share of
the roof is that of the time which as many floating point operations would take at the speed of `torch.mm`.
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
    """A smooth solid by formula: what the grid is fitted to."""

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
    """A dense grid after that many steps against pictures of the egg, random backgrounds, pruned at half time."""
    truth = NeRF(Egg(), size=SIZE, samples=96)
    nerf = NeRF(Dense((32, 64)), size=SIZE, background=Background("random"))
    optimizer = torch.optim.Adam(nerf.parameters(), lr=0.25, betas=(0.9, 0.99))
    for step in range(steps):
        if step == steps // 2:
            nerf.volume.refine(1)
            nerf.prune(0.05)
        view = nerf.view(VIEWS, ms.Streams(seed, step))
        with torch.no_grad():
            want = truth(view).image
        optimizer.zero_grad()
        (nerf(view).image - want).square().mean().backward()
        optimizer.step()
    nerf.prune(0.05)
    return nerf


def step(nerf: NeRF, skip: EmptySpaceSkipping | None, pull: Tensor, seed: int) -> Callable[[], tuple[Tensor, Tensor]]:
    """Forward and backward of one view batch; gives the picture and all gradients in one row."""
    view = nerf.view(VIEWS, ms.Streams(seed, 10**6))

    def run() -> tuple[Tensor, Tensor]:
        nerf.skip = skip
        nerf.zero_grad()
        image = nerf(view).image
        (image * pull).sum().backward()
        return image.detach(), torch.cat([p.grad.flatten() for p in nerf.parameters() if p.grad is not None])

    return run


def flops(nerf: NeRF, seed: int) -> float:
    """Operations of a plain step, about: three times (forward, both backward products) its multiply-adds, times two."""
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
    """A product of square matrices of side 1024, as many times as make that many operations; at least once."""
    a, b = torch.randn(2, 1024, 1024, device=device)
    times = max(1, round(flop / (2 * 1024**3)))

    def run() -> Tensor:
        for _ in range(times):
            out = a @ b
        return out

    run.flop = times * 2 * 1024**3  # pyright: ignore[reportFunctionMemberAccess]
    return run


def main() -> None:
    """Measures, prints, saves."""
    args = parse_args("What does a step of volume rendering cost, and what does the fast path save?", threads=1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rounds = 2 if args.quick else 15
    rng = torch.Generator().manual_seed(args.seed)
    pull = torch.randn(VIEWS, 3, SIZE, SIZE, generator=rng).to(device) / SIZE**2
    made = {
        "dense 32": Dense((32,)),
        "dense 64": Dense((64,)),
        "triplane": Triplane(rng),
        "fourier": Fourier(rng),
        "hash": HashGrid(rng),
    }
    nerfs = {
        name: NeRF(volume.to(device), size=SIZE, background=Background().to(device)) for name, volume in made.items()
    }
    done = fit_egg(10 if args.quick else 120, args.seed).to(device)
    tasks: dict[str, Callable[[], object]] = {name: step(nerf, None, pull, args.seed) for name, nerf in nerfs.items()}
    plain, fast = step(done, None, pull, args.seed), step(done, EmptySpaceSkipping(), pull, args.seed)
    roof = matmul(2e10, device)
    timings = time_alternately(tasks | {"fitted, plain": plain, "fitted, fast": fast, "matmul": roof}, rounds, warm=1)
    per_flop = summarise(timings.wall["matmul"])["median"] / roof.flop  # pyright: ignore[reportFunctionMemberAccess]
    results: dict[str, object] = {"device": str(device), "matmul_gflops": 1e-9 / per_flop}
    for name in timings.wall:
        if name == "matmul":
            continue
        told = {
            "wall_ms": {k: v if k == "n" else 1e3 * v for k, v in summarise(timings.wall[name]).items()},
            "cpu_ms": {k: v if k == "n" else 1e3 * v for k, v in summarise(timings.cpu[name]).items()},
        }
        if name in nerfs:
            flop = flops(nerfs[name], args.seed)
            told |= {
                "mflop": flop / 1e6,
                "share_of_matmul_roof": flop * per_flop / summarise(timings.wall[name])["median"],
            }
        results[name] = told
        print(f"{name:14} {told['wall_ms']['median']:8.1f} ms, best {told['wall_ms']['best']:.1f}")
    (image, slope), (fast_image, fast_slope) = plain(), fast()
    gain = ratio(timings.wall, "fitted, plain", "fitted, fast")
    results["fast"] = {
        "gain": gain,
        "gain_by_processor_time": ratio(timings.cpu, "fitted, plain", "fitted, fast"),
        "image_apart_at_most": (image - fast_image).abs().max().item(),
        "gradient_apart_over_its_norm": ((slope - fast_slope).norm() / slope.norm()).item(),
        "gradient_apart_over_its_largest": ((slope - fast_slope).abs().max() / slope.abs().max()).item(),
        "open_space": done.space.get_buffer("open").float().mean().item(),
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
