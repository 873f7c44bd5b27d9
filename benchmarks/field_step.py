"""Cost of a step of coordinate networks, forward and backward, as a share of the matmul roof.

Eight images of 64 x 64 pixels and one of 512 x 512, of each kind, float32; and the same with every layer evaluated
on all pixels at once, as on a GPU. The share of the roof is the time that the layers' floating point operations take
at the speed of `torch.mm` divided by the measured time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from _common import parse_args, ratio, save, summarise, time_alternately

import modeseek as ms
from modeseek.generators import field as module

SHAPES = {"8 of 64": (8, 64), "1 of 512": (1, 512)}
KINDS = ("fourier", "siren", "hash")


def step(field: ms.Field, at_once: int) -> Callable[[], None]:
    """Returns forward and backward of one step, with `at_once` numbers per chunk of a layer."""
    view = field.view(field.n, torch.Generator())
    pull = torch.ones(field.n, 3, *field.size)

    def run() -> None:
        module.CPU_CHUNK = at_once
        field.zero_grad()
        field(view).backward(pull)

    return run


def main() -> None:
    """Measures, prints and saves the results."""
    args = parse_args("Cost of a step of coordinate networks.", threads=1)
    rng = torch.Generator().manual_seed(args.seed)
    blocks = module.CPU_CHUNK
    a, b = torch.randn(2, 1024, 1024)
    results: dict[str, object] = {}
    for shape, (n, side) in SHAPES.items():
        fields = {kind: ms.Field(n, (side, side), rng, kind) for kind in KINDS}
        tasks = {kind: step(field, blocks) for kind, field in fields.items()}
        tasks |= {f"{kind}, whole": step(field, 2**62) for kind, field in fields.items()}
        rounds = 2 if args.quick else 15 if side == 64 else 7
        timings = time_alternately(tasks | {"matmul": lambda: a @ b}, rounds, warm=1)
        per_flop = summarise(timings.wall["matmul"])["median"] / (2 * 1024**3)
        for kind, field in fields.items():
            flop = 3.0 * 2 * side**2 * sum(w.numel() for w in field.weights)
            median = summarise(timings.wall[kind])["median"]
            gain = ratio(timings.wall, f"{kind}, whole", kind)
            results[f"{kind}, {shape}"] = {
                "wall_ms": 1e3 * median,
                "share_of_matmul_roof": flop * per_flop / median,
                "whole_over_blocks": gain,
            }
            print(
                f"{kind:8} {shape:9} {1e3 * median:8.1f} ms, {flop * per_flop / median:.2f} of the roof, "
                f"{gain['median']:.2f}x as fast as all pixels at once"
            )
    save(args, results, {})


if __name__ == "__main__":
    main()
