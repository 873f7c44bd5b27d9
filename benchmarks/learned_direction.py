"""Accuracy per prior call of each estimator of the mean-shift direction, under learned priors.

One small network per problem is trained on samples; the ground truth is the exact prior's shift at points drawn from
its p_h. No estimator is exact here: the network's own error bounds all of them.
"""

from __future__ import annotations

import time

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

import modeseek as ms
from modeseek.datasets.toy2d import fractal, ring

BANDWIDTHS = (0.02, 0.063, 0.2, 0.63, 2.0)
STEPS = (4, 8, 16, 32, 64)
KERNEL_STEPS = (8, 16, 32, 64, 128, 200)
TRAINING_STEPS = 3000
SAMPLES = 50_000


def main() -> None:
    args = parse_args(__doc__.split("\n")[0], threads=1)
    bandwidths = BANDWIDTHS[::2] if args.quick else BANDWIDTHS
    rows: list[EstimatorResult] = []
    training = {}
    for plane in (fractal(), ring()):
        rng = torch.Generator().manual_seed(args.seed)
        data = plane.prior.sample(SAMPLES, rng).float()
        began = time.perf_counter()
        steps = 100 if args.quick else TRAINING_STEPS
        network = ms.Network.train(data, schedule=plane.prior.schedule, steps=steps, rng=rng)
        training[plane.name] = {
            "seed": args.seed,
            "samples": SAMPLES,
            "steps": steps,
            "batch": 1024,
            "seconds": time.perf_counter() - began,
        }
        print(f"{plane.name}: {steps} training steps in {training[plane.name]['seconds']:.0f} s")
        for h in bandwidths:
            points, repeats = (16, 64) if args.quick else (32, 48)
            at = make_setting(plane.name, plane.prior, h, points, repeats, rng)
            estimates, calls = msd_directions(network, at, 1, "denoiser")
            rows.append(measure(at, "denoiser", 1, calls, estimates))
            estimates, calls = sds_directions(network, at, rng)
            rows.append(measure(at, "sds", 1, calls, estimates))
            for n in (1, 7, 31):
                estimates, calls = sdi_directions(network, at, n, rng)
                rows.append(measure(at, "sdi", n, calls, estimates))
                rows.append(measure(at, "sdi scaled", n, calls, best_scaled(estimates, at.exact)[0]))
            for n in KERNEL_STEPS[:3] if args.quick else KERNEL_STEPS:
                estimates, calls = msd_directions(network, at, n, "kernel-score")
                rows.append(measure(at, "kernel-score", n, calls, estimates))
            for name in SAMPLERS:
                for n in STEPS[:3] if args.quick else STEPS:
                    estimates, calls = msd_directions(network, at, n, "product", name)
                    rows.append(measure(at, f"product {name}", n, calls, estimates))
            print(f"{plane.name} h = {h:g} done")
    text = table(rows)
    print(text)
    result_path(args, ".txt").write_text(text + "\n")
    for what, name in (("nmse", "NMSE of the direction"), ("bias", "Squared bias of the direction")):
        suffix = ".png" if what == "nmse" else "_bias.png"
        plot(
            rows, bandwidths, what, f"{name} against prior calls, learned priors", str(result_path(args, suffix)), 1e-5
        )
    ranking = best_estimators(rows)
    first = [p["lowest_nmse_one_draw"]["estimator"] for p in ranking]
    save(
        args,
        {"training": training, "rows": [row.record() for row in rows], "best": ranking},
        {
            "the real comparison": goal(
                "every estimator's NMSE against the ground truth",
                f"lowest NMSE of one draw: {', '.join(f'{n} {first.count(n)}' for n in dict.fromkeys(first))} "
                f"of {len(first)} settings",
                True,
            )
        },
    )


def best_estimators(rows: list[EstimatorResult]) -> list[dict]:
    """Returns, per problem and bandwidth, the lowest NMSE of one draw at any cost, and the lowest bias (many draws)."""
    out = []
    for problem, h in dict.fromkeys((row.problem, row.bandwidth) for row in rows):
        group = [row for row in rows if (row.problem, row.bandwidth) == (problem, h) and row.estimator != "sdi scaled"]
        denoiser = next(row for row in group if row.estimator == "denoiser")
        out.append(
            {
                "problem": problem,
                "bandwidth": h,
                "denoiser_nmse": denoiser.nmse,  # equals its squared bias: it is deterministic
                "lowest_nmse_one_draw": min(group, key=lambda row: row.nmse).record(),
                "lowest_bias": min(group, key=lambda row: max(row.bias, 2 * row.bias_se)).record(),
            }
        )
    return out


if __name__ == "__main__":
    main()
