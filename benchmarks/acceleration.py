"""Prior calls saved by accelerated over plain mean shift, to a relative shift of 1e-6.

On mixtures (64 starts drawn from the density) and on samples (`ms.Empirical`, 2-D and 64-dimensional digits; starts
are data plus noise at the bandwidth). A start counts towards the target if plain mean shift needs at least 50 calls;
one that has not converged in 2,000 counts as 2,000, which understates the saving. Two end points are the same mode if
they lie within h / 100 of each other; if not, both are refined to 1e-9 before the comparison.
"""

from __future__ import annotations

import torch
from _common import goal, parse_args, save, summarise
from torch import Tensor

import modeseek as ms
from modeseek.datasets.toy2d import fractal, grid, pinwheel, ring, spiral

TOL, MAX_STEPS = 1e-6, 2_000
SAME_MODE = 0.01  # largest distance between end points of one mode, in bandwidths


def main() -> None:
    args = parse_args("Prior calls saved by accelerated over plain mean shift, to 1e-6.", threads=1)
    starts = 16 if args.quick else 64
    rng = torch.Generator().manual_seed(args.seed)
    rows = []
    for plane in (fractal(3 if args.quick else 6), spiral(), pinwheel(), ring(), grid()):
        samples = plane.prior.sample(1_000, rng)
        for kind, prior in (("mixture", plane.prior), ("samples", ms.Empirical(samples))):
            for h in (0.1, 0.4) if args.quick else (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5):
                z = plane.prior.sample(starts, rng)
                rows.append(compare(f"{plane.name} {kind}", prior, z, h))
    digits = _digits()
    for h in (2.0,) if args.quick else (0.5, 1.0, 1.5, 2.0, 3.0, 5.0):
        z = digits[torch.randperm(len(digits), generator=rng)[:starts]]
        z = z + h * torch.randn(z.shape, generator=rng, dtype=z.dtype)
        rows.append(compare("digits samples", ms.Empirical(digits), z, h))
    slow = [ratio for row in rows for ratio in row.pop("slow_ratios")]
    settings = [row for row in rows if row["plain"]["median"] >= 50]
    by_setting = sorted(row["speedup"]["median"] for row in settings)
    moved, both, plain, fast, total = (
        sum(row[key] for row in rows)
        for key in ("ended_elsewhere", "converged_both", "converged_plain", "converged_accelerated", "starts")
    )
    overall = summarise(slow) if slow else {"median": float("nan")}
    save(
        args,
        {"tol": TOL, "rows": rows, "speedup_of_starts_where_plain_needs_50": overall, "settings_judged": len(settings)},
        {
            "calls saved, starts where plain needs >= 50": goal(
                ">= 3x fewer (median)",
                f"median {overall['median']:.2f}x over {len(slow)} starts; by setting "
                f"{by_setting[0] if by_setting else float('nan'):.2f}x to "
                f"{by_setting[-1] if by_setting else float('nan'):.2f}x over {len(settings)} settings",
                overall["median"] >= 3,
            ),
            "same end modes": goal("count them", f"{moved} of {both} starts that converged both ways", True),
            f"converged within {MAX_STEPS} calls": goal(
                "no fewer than plain", f"accelerated {fast}, plain {plain}, of {total} starts", fast >= plain
            ),
        },
    )  # fmt: skip


def compare(name: str, prior: ms.Prior, z: Tensor, h: float) -> dict:
    """Compares plain and accelerated mean shift from the same starts."""
    plain = ms.mean_shift(prior, z, h, TOL, MAX_STEPS, accelerate=False)
    fast = ms.mean_shift(prior, z, h, TOL, MAX_STEPS)
    apart = (plain.z - fast.z).flatten(1).norm(dim=1) / h
    unsure = (apart > SAME_MODE).nonzero()[:, 0]
    if len(unsure):  # a slow plain start may stop short of the mode: polish both before saying they differ
        ends = [ms.mean_shift(prior, x.z[unsure], h, 1e-9, MAX_STEPS).z for x in (plain, fast)]
        apart[unsure] = (ends[0] - ends[1]).flatten(1).norm(dim=1) / h
    both = plain.converged & fast.converged
    elsewhere = (apart > SAME_MODE) & both
    ratios = plain.steps / fast.steps
    slow = plain.steps >= 50
    gain = fast.log_prob - plain.log_prob
    row = {
        "problem": name,
        "bandwidth": h,
        "starts": len(z),
        "plain": summarise(plain.steps.double().tolist()),
        "accelerated": summarise(fast.steps.double().tolist()),
        "speedup": summarise(ratios.tolist()),
        "slow_starts": int(slow.sum()),
        "slow_ratios": ratios[slow].tolist(),
        "converged_plain": int(plain.converged.sum()),
        "converged_accelerated": int(fast.converged.sum()),
        "converged_both": int(both.sum()),
        "ended_elsewhere": int(elsewhere.sum()),
        "of_those_in_denser_mode": int((elsewhere & (gain > 0)).sum()),
    }
    print(
        f"{name:18} h={h:<5g} plain {row['plain']['median']:7.1f} accelerated {row['accelerated']['median']:6.1f} "
        f"speedup {row['speedup']['median']:5.2f} slow {row['slow_starts']:3d} elsewhere {row['ended_elsewhere']}"
    )
    return row


def _digits() -> Tensor:
    from sklearn.datasets import load_digits

    return torch.from_numpy(load_digits().data).double() / 8 - 1


if __name__ == "__main__":
    main()
