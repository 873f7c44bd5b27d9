"""Speed of `ms.mean_shift` on samples relative to `sklearn.cluster.MeanShift` at equal bandwidth.

All points are starts, 2-D, one thread each. Ours: Gaussian kernel of standard deviation h, to a relative shift
|shift| / (h sqrt d) of 1e-3. scikit-learn: flat kernel of radius h (its `bandwidth`), until a move is below 1e-3 h.
The kernels differ, so the modes do too, "up to kernel": mean shift with a flat kernel of radius h climbs an
Epanechnikov density, whose variance a coordinate is h^2 / 6 against our h^2. Modes are therefore compared on data
whose clusters are well apart.
"""

from __future__ import annotations

import time
import warnings

import torch
from _common import goal, parse_args, save

import modeseek as ms
from modeseek.datasets.toy2d import grid
from modeseek.meanshift.modes import merge_modes

BANDWIDTH = 0.15  # the grid's clusters are 0.05 to 0.11 wide over 0.7 apart, before scaling to unit variance
TOL = 1e-3


def main() -> None:
    args = parse_args(__doc__.split("\n")[0], threads=1)
    sizes = (500, 1000) if args.quick else (2_000, 5_000, 10_000, 20_000, 50_000)
    longest = 1_000 if args.quick else 10_000  # scikit-learn without bin seeding takes time quadratic in n
    rows = [compare(n, with_all=n <= longest, seed=args.seed) for n in sizes]
    oracle = check_against_untruncated(sizes[0], args.seed)
    by_size = {row["n"]: row for row in rows}
    judged = by_size[longest]
    save(
        args,
        {"bandwidth": BANDWIDTH, "tol": TOL, "rows": rows, "truncated_against_every_sample": oracle},
        {
            f"{longest} points against bin_seeding=False": goal(
                ">= 10x faster", f"{judged['speedup_over_sklearn']:.1f}x", judged["speedup_over_sklearn"] >= 10
            ),
            "same modes up to kernel": goal(
                "each of our modes within h / 2 of one of scikit-learn's and back",
                f"{judged['modes_ours']} and {judged['modes_sklearn']} modes, largest distance "
                f"{judged['mode_distance_over_h']:.2f} h",
                judged["mode_distance_over_h"] <= 0.5,
            ),
            "truncated kernel against every sample": goal(
                "end points within 1e-3 h", f"{oracle['largest_distance_over_h']:.1e} h",
                oracle["largest_distance_over_h"] <= 1e-3,
            ),
        },
    )  # fmt: skip


def compare(n: int, with_all: bool, seed: int, rounds: int = 3) -> dict:
    """Compares one size: ours plain and accelerated, scikit-learn with and without bin seeding, alternating."""
    from sklearn.cluster import MeanShift

    samples = grid().prior.sample(n, torch.Generator().manual_seed(seed))
    points = samples.numpy()
    kinds = {
        "ours": lambda: ms.mean_shift(samples, samples, BANDWIDTH, tol=TOL),
        "ours_plain": lambda: ms.mean_shift(samples, samples, BANDWIDTH, tol=TOL, accelerate=False),
        "sklearn_bin_seeding": lambda: MeanShift(bandwidth=BANDWIDTH, bin_seeding=True).fit(points),
    }
    if with_all:
        kinds["sklearn"] = lambda: MeanShift(bandwidth=BANDWIDTH, bin_seeding=False).fit(points)
    wall: dict[str, list[float]] = {name: [] for name in kinds}
    cpu: dict[str, list[float]] = {name: [] for name in kinds}
    fits = {}
    for index in range(rounds):
        for name, task in kinds.items():
            if index > 0 and name == "sklearn" and n > 2_000:
                continue  # once: it takes as long as all the rest
            began, used = time.perf_counter(), time.process_time()
            fits[name] = task()
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(time.process_time() - used)
    ours = fits["ours"]
    modes = merge_modes(ours, 0.1 * BANDWIDTH)
    main_modes = modes.z[modes.weight >= 2e-3]  # of a basin of at least 0.2 % of the points
    theirs = fits["sklearn" if with_all else "sklearn_bin_seeding"]
    centers = torch.from_numpy(theirs.cluster_centers_)
    share = torch.bincount(torch.from_numpy(theirs.labels_)) / n
    centers = centers[share >= 2e-3]
    apart = torch.cdist(main_modes, centers)
    row = {
        "n": n,
        "seconds": {name: min(times) for name, times in wall.items()},
        "cpu_seconds": {name: min(times) for name, times in cpu.items()},
        "rounds": rounds,
        "speedup_over_bin_seeding": min(wall["sklearn_bin_seeding"]) / min(wall["ours"]),
        "calls_per_start_ours": ours.steps.double().mean().item(),
        "calls_per_start_plain": fits["ours_plain"].steps.double().mean().item(),
        "converged": ours.converged.double().mean().item(),
        "modes_ours": len(main_modes),
        "modes_ours_any_weight": len(modes.z),
        "modes_sklearn": len(centers),
        "modes_sklearn_any_weight": len(share),
        "mode_distance_over_h": max(apart.amin(0).max().item(), apart.amin(1).max().item()) / BANDWIDTH,
    }
    if with_all:
        row["speedup_over_sklearn"] = min(wall["sklearn"]) / min(wall["ours"])
        row["speedup_over_sklearn_in_cpu_time"] = min(cpu["sklearn"]) / min(cpu["ours"])
    else:
        row["sklearn"] = "bin_seeding=False not run at this size: its time grows with n^2"
    print({key: value for key, value in row.items() if key != "cpu_seconds"})
    return row


def check_against_untruncated(n: int, seed: int) -> dict:
    """Compares end points of the truncated kernel with those of the full sum, both to a tight tolerance."""
    samples = grid().prior.sample(n, torch.Generator().manual_seed(seed))
    starts = samples[:: max(1, n // 500)]
    near = ms.mean_shift(samples, starts, BANDWIDTH, tol=1e-8)
    every = ms.mean_shift(samples, starts, BANDWIDTH, tol=1e-8, truncate=False)
    distance = (near.z - every.z).norm(dim=1) / BANDWIDTH
    return {"starts": len(starts), "largest_distance_over_h": distance.max().item(), "median": distance.median().item()}


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
