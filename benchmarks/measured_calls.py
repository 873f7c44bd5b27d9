"""Prior calls of the mode of a posterior: annealing and Anderson acceleration against plain EM, to 1e-6.

Random mixtures (5 dimensions, 4 components) under random measurements (2 numbers, noise 0.02 to 1), bandwidths 0.05 to
1.5, starts twice as wide as the means. Plain is EM at the last bandwidth. Anderson is `ms.mean_shift(measured)` there.
Annealed goes down a ladder of bandwidths from the widest, a few accelerated steps on each, then to the last.
A start counts if plain EM needs at least 50 calls; one that has not converged in 2,000 counts as 2,000.
"""

from __future__ import annotations

import torch
from _common import goal, parse_args, save, summarise
from torch import Tensor

import modeseek as ms
from modeseek.operators import Matrix

TOL, MAX_STEPS, WIDEST, RUNGS, STEPS = 1e-6, 2_000, 1.5, 3, 4
D, MEASURED = 5, 2


def problem(rng: torch.Generator, starts: int) -> tuple[ms.Measured, Tensor]:
    """A random mixture with a measurement of one of its samples per start, and the starts."""
    roots = 0.3 * torch.randn(4, D, D, generator=rng, dtype=torch.float64)
    covs = roots @ roots.mT + 0.05 * torch.eye(D, dtype=torch.float64)
    weights = torch.rand(4, generator=rng, dtype=torch.float64) + 0.2
    means = torch.randn(4, D, generator=rng, dtype=torch.float64)
    prior = ms.GaussianMixture(weights / weights.sum(), means, covs)
    operator = Matrix(torch.randn(MEASURED, D, generator=rng, dtype=torch.float64))
    noise = 0.02 * 50 ** torch.rand(starts, generator=rng, dtype=torch.float64)
    clean = operator(prior.sample(starts, rng))
    y = clean + noise[:, None] * torch.randn(clean.shape, generator=rng, dtype=torch.float64)
    return ms.Measured(prior, operator, y, noise), 2 * torch.randn(starts, D, generator=rng, dtype=torch.float64)


def annealed(measured: ms.Measured, z: Tensor, h: float) -> ms.meanshift.MeanShift:
    """Mean shift down a ladder of bandwidths; its steps are those of all rungs."""
    calls = torch.zeros(len(z), dtype=torch.long)
    if h < WIDEST:
        for rung in range(RUNGS):
            wide = WIDEST * (h / WIDEST) ** (rung / RUNGS)
            part = ms.mean_shift(measured, z, wide, 1e-2, STEPS)
            z, calls = part.z, calls + part.steps
    last = ms.mean_shift(measured, z, h, TOL, MAX_STEPS)
    return ms.meanshift.MeanShift(last.z, calls + last.steps, last.converged, last.relative_shift, last.log_prob)


def main() -> None:
    args = parse_args(__doc__.split("\n")[0], threads=1)
    rng = torch.Generator().manual_seed(args.seed)
    rows, anderson_ratios, annealed_ratios = [], [], []
    for h in (0.3,) if args.quick else (0.05, 0.15, 0.5, 1.5):
        for _ in range(1 if args.quick else 2):
            measured, z = problem(rng, 8 if args.quick else 20)
            plain = ms.mean_shift(measured, z, h, TOL, MAX_STEPS, accelerate=False)
            fast, cooled = ms.mean_shift(measured, z, h, TOL, MAX_STEPS), annealed(measured, z, h)
            slow = plain.steps >= 50
            anderson_ratios += (plain.steps / fast.steps)[slow].tolist()
            annealed_ratios += (plain.steps / cooled.steps)[slow].tolist()
            gain = cooled.log_prob - plain.log_prob  # pyright: ignore[reportOptionalOperand]
            rows.append(
                {
                    "bandwidth": h,
                    "slow": int(slow.sum()),
                    **{f"calls_{name}": part.steps.double().mean().item() for name, part in
                       (("plain", plain), ("anderson", fast), ("annealed", cooled))},
                    "converged": [int(part.converged.sum()) for part in (plain, fast, cooled)],
                    "annealed_is_likelier": int((gain > 1e-6).sum()),
                    "annealed_is_less_likely": int((gain < -1e-6).sum()),
                }
            )  # fmt: skip
    empty = {"median": float("nan")}
    anderson, cooling = (summarise(part) if part else empty for part in (anderson_ratios, annealed_ratios))
    likelier, lesser = (sum(row[f"annealed_is_{word}"] for row in rows) for word in ("likelier", "less_likely"))
    save(
        args,
        {"tol": TOL, "rows": rows, "anderson": anderson, "annealed": cooling},
        {
            "calls saved by annealing and Anderson": goal(
                ">= 5x fewer (median)",
                f"median {cooling['median']:.2f}x, Anderson alone {anderson['median']:.2f}x, over "
                f"{len(annealed_ratios)} starts",
                cooling["median"] >= 5,
            ),
            "modes": goal(
                "likelier more often than not",
                f"annealed likelier than plain in {likelier}, less likely in {lesser} starts",
                likelier >= lesser,
            ),
        },
    )


if __name__ == "__main__":
    main()
