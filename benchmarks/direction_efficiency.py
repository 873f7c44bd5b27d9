"""Accuracy per prior call of each estimator of the mean-shift direction, under exact priors.

The ground truth is `ms.shift` of the exact prior at points drawn from p_h. The product sampler's bias is measured on
the difference to the extrapolated limit of Heun's method from the same noise, whose mean is exact up to a far smaller
bias.
"""

from __future__ import annotations

import math

import torch
from _common import goal, parse_args, result_path, save
from _directions import (
    SAMPLERS,
    EstimatorResult,
    best_scaled,
    make_setting,
    measure,
    msd_directions,
    plot,
    sdi_directions,
    sds_directions,
    table,
)

from modeseek.datasets.toy2d import fractal, ring

BANDWIDTHS = (0.02, 0.063, 0.2, 0.63, 2.0)
STEPS = (4, 8, 16, 32, 64)
KERNEL_STEPS = (8, 16, 32, 64, 128, 200)
SIZES = {"fractal": (16, 64), "ring": (64, 128)}  # points, repeats


def main() -> None:
    args = parse_args(__doc__.split("\n")[0], threads=1)
    bandwidths = BANDWIDTHS[::2] if args.quick else BANDWIDTHS
    rows: list[EstimatorResult] = []
    factors = {}
    for plane in (fractal(3 if args.quick else 6), ring()):
        points, repeats = (16, 64) if args.quick else SIZES[plane.name]
        rng = torch.Generator().manual_seed(args.seed)
        for h in bandwidths:
            at = make_setting(plane.name, plane.prior, h, points, repeats, rng)
            estimates, calls = msd_directions(plane.prior, at, 1, "denoiser")
            rows.append(measure(at, "denoiser", 1, calls, estimates))
            estimates, calls = sds_directions(plane.prior, at, rng)
            rows.append(measure(at, "sds", 1, calls, estimates))
            for n in (1, 3, 7, 15, 31):
                estimates, calls = sdi_directions(plane.prior, at, n, rng)
                rows.append(measure(at, "sdi", n, calls, estimates))
                best, factor = best_scaled(estimates, at.exact)
                factors[f"{plane.name} h={h:g} steps={n}"] = factor
                rows.append(measure(at, "sdi scaled", n, calls, best))
            for n in KERNEL_STEPS[:3] if args.quick else KERNEL_STEPS:
                rows.append(
                    measure(at, "kernel-score", n, *_swapped(msd_directions(plane.prior, at, n, "kernel-score")))
                )
            half = 16 if args.quick else 64
            coarse, _ = msd_directions(plane.prior, at, half, "product", "heun")
            fine, _ = msd_directions(plane.prior, at, 2 * half, "product", "heun")
            reference = fine + (fine - coarse) / 3
            for name in SAMPLERS:
                for n in STEPS[:3] if args.quick else STEPS:
                    estimates, calls = msd_directions(plane.prior, at, n, "product", name)
                    rows.append(measure(at, f"product {name}", n, calls, estimates, reference))
            print(f"{plane.name} h = {h:g} done")
    text = table(rows)
    print(text)
    result_path(args, ".txt").write_text(text + "\n")
    for what, name in (("nmse", "NMSE of the direction"), ("bias", "Squared bias of the direction")):
        suffix, floor = (".png", 1e-5) if what == "nmse" else ("_bias.png", 1e-14)
        plot(rows, bandwidths, what, f"{name} against prior calls, exact priors", str(result_path(args, suffix)), floor)
    orders = convergence_orders(rows)
    wins = compare_with_kernel_score(rows)
    one_call = [row for row in rows if row.estimator == "denoiser"]
    save(
        args,
        {
            "rows": [row.record() for row in rows],
            "order_of_bias_in_steps": orders,
            "product_against_kernel_score": wins,
            "sdi_best_scalar": factors,
        },
        {
            "one-call NMSE": goal(
                "<= 1e-10 at 1 call",
                f"{max(row.nmse for row in one_call):.2g} at {max(row.calls for row in one_call):g} call",
                max(row.nmse for row in one_call) <= 1e-10 and max(row.calls for row in one_call) == 1,
            ),
            **{
                f"product {name} beats kernel-score in bias at equal calls above 8": goal(
                    "always", f"{sum(d['won'] for d in pairs)} of {len(pairs)}", all(d["won"] for d in pairs)
                )
                for name in SAMPLERS
                if (pairs := [d for d in wins if d["sampler"] == name])
            },
            **{
                f"bias order of product {name}": goal(
                    f"{expected}, median at least {0.75 * expected:g}",
                    f"median {_median(measured):.2f} over {len(measured)} settings with a bias that could be resolved",
                    bool(measured) and _median(measured) >= 0.75 * expected,
                )
                for name, expected in (("ddim", 1), ("heun", 2), ("dpmpp_2m", 2))
                if (measured := [o["order"] for o in orders if o["sampler"] == name])
            },
        },
    )


def convergence_orders(rows: list[EstimatorResult]) -> list[dict]:
    """Returns the slope of log bias in log steps, over step counts whose squared bias exceeds two standard errors."""
    orders = []
    for name in SAMPLERS:
        own = [row for row in rows if row.estimator == f"product {name}"]
        for problem, h in dict.fromkeys((row.problem, row.bandwidth) for row in own):
            resolved = {r.steps: r for r in own if (r.problem, r.bandwidth) == (problem, h) and r.bias > 2 * r.bias_se}
            if len(resolved) >= 3:
                first, last = min(resolved), max(resolved)
                order = 0.5 * math.log(resolved[first].bias / resolved[last].bias) / math.log(last / first)
                record = {"sampler": name, "problem": problem, "bandwidth": h, "order": order}
                orders.append(record | {"from_steps": first, "to_steps": last})
    return orders


def compare_with_kernel_score(rows: list[EstimatorResult]) -> list[dict]:
    """Compares each product sampler, at its largest cost within kernel-score's, with kernel-score's squared bias."""
    out = []
    for theirs in (row for row in rows if row.estimator == "kernel-score" and row.calls > 8):
        for name in SAMPLERS:
            ours = [
                row
                for row in rows
                if row.estimator == f"product {name}"
                and (row.problem, row.bandwidth) == (theirs.problem, theirs.bandwidth)
                and row.calls <= theirs.calls
            ]
            best = max(ours, key=lambda row: row.calls)
            out.append(
                {
                    "problem": theirs.problem,
                    "bandwidth": theirs.bandwidth,
                    "calls": theirs.calls,
                    "sampler": name,
                    "our_calls": best.calls,
                    "our_bias": best.bias,
                    "our_nmse": best.nmse,
                    "kernel_score_bias": theirs.bias,
                    "kernel_score_nmse": theirs.nmse,
                    "won": best.bias < theirs.bias,
                    "won_nmse": best.nmse < theirs.nmse,
                }
            )
    return out


def _swapped(pair: tuple[torch.Tensor, float]) -> tuple[float, torch.Tensor]:
    return pair[1], pair[0]


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
