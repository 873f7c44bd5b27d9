"""Time of `import modeseek`, of its first and of all its names over `import torch`, and of `modeseek --help`.

Fresh interpreters, alternating. Targets are in processor time, which other jobs on the machine affect least.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from _common import goal, parse_args, save, summarise

_TIMED = (
    "import time{before}; a, c = time.perf_counter(), time.process_time(); {code}; "
    "print(time.perf_counter() - a, time.process_time() - c)"
)
_CODE = {
    "torch": _TIMED.format(before="", code="import torch"),
    "modeseek": _TIMED.format(before=", torch", code="import modeseek"),
    "modeseek.MSD": _TIMED.format(before=", torch", code="import modeseek; modeseek.MSD"),
    "all names": _TIMED.format(before=", torch", code="from modeseek import *"),
    "modeseek --help": (
        "import time, resource, subprocess, sys; a = time.perf_counter(); "
        "subprocess.run([sys.executable, '-m', 'modeseek', '--help'], check=True, stdout=subprocess.DEVNULL); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(time.perf_counter() - a, used.ru_utime + used.ru_stime)"
    ),
}


_HEAVY = {"matplotlib", "sklearn", "scipy", "PIL", "tyro", "rich", "diffusers", "transformers"}


def run(code: str) -> list[str]:
    """Runs code in a fresh interpreter; returns the printed words."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def main() -> None:
    args = parse_args("Time of import modeseek, of its names over torch, and of modeseek --help.")
    rounds = 2 if args.quick else 10
    wall: dict[str, list[float]] = {name: [] for name in _CODE}
    cpu: dict[str, list[float]] = {name: [] for name in _CODE}
    for index in range(rounds + 1):
        for name, code in _CODE.items():
            seconds = run(code)
            if index > 0:  # the first round fills the disk cache and writes bytecode
                wall[name].append(float(seconds[0]))
                cpu[name].append(float(seconds[1]))
    loaded = run("import sys; from modeseek import *; print(*{m.split('.')[0] for m in sys.modules})")
    unwanted = sorted(_HEAVY.intersection(loaded))
    results = {name: {"wall_seconds": summarise(wall[name]), "cpu_seconds": summarise(cpu[name])} for name in _CODE} | {
        "heavy_modules_loaded": unwanted
    }

    def within(name: str, bound: float) -> dict[str, object]:
        used = statistics.median(cpu[name])
        return goal(
            f"<= {bound} s of processor time (median)",
            f"{used:.3f} s; by the clock median {statistics.median(wall[name]):.3f} s, best {min(wall[name]):.3f} s",
            used <= bound,
        )

    save(
        args,
        results,
        {
            "import over torch": within("modeseek", 0.2),
            "modeseek.MSD over torch": within("modeseek.MSD", 0.2),
            "modeseek --help": within("modeseek --help", 1.5),
            "heavy modules": goal("none", ", ".join(unwanted) or "none", not unwanted),
        },
    )


if __name__ == "__main__":
    main()
