"""Time of `import modeseek` over `import torch`.

Fresh interpreters, alternating. Targets are in processor time, which other jobs on the machine affect least.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from _common import goal, parse_args, save, summarise

_CODE = {
    "torch": (
        "import time; a, c = time.perf_counter(), time.process_time(); import torch; "
        "print(time.perf_counter() - a, time.process_time() - c)"
    ),
    "modeseek": (
        "import time, torch; a, c = time.perf_counter(), time.process_time(); import modeseek; "
        "print(time.perf_counter() - a, time.process_time() - c)"
    ),
}


_HEAVY = {"matplotlib", "sklearn", "scipy", "PIL", "tyro", "rich", "diffusers", "transformers"}


def run(code: str) -> list[str]:
    """Runs code in a fresh interpreter; returns the printed words."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def main() -> None:
    args = parse_args("Time of import modeseek over import torch.")
    rounds = 2 if args.quick else 10
    wall: dict[str, list[float]] = {name: [] for name in _CODE}
    cpu: dict[str, list[float]] = {name: [] for name in _CODE}
    for index in range(rounds + 1):
        for name, code in _CODE.items():
            seconds = run(code)
            if index > 0:  # the first round fills the disk cache and writes bytecode
                wall[name].append(float(seconds[0]))
                cpu[name].append(float(seconds[1]))
    loaded = run("import sys, modeseek; print(*{m.split('.')[0] for m in sys.modules})")
    unwanted = sorted(_HEAVY.intersection(loaded))
    results = {
        "import_torch": {"wall_seconds": summarise(wall["torch"]), "cpu_seconds": summarise(cpu["torch"])},
        "import_modeseek_after_torch": {
            "wall_seconds": summarise(wall["modeseek"]),
            "cpu_seconds": summarise(cpu["modeseek"]),
        },
        "heavy_modules_loaded": unwanted,
    }
    median = statistics.median(wall["modeseek"])
    used = statistics.median(cpu["modeseek"])
    save(
        args,
        results,
        {
            "import over torch": goal(
                "<= 0.2 s of processor time (median)",
                f"{used:.3f} s; by the clock median {median:.3f} s, best {min(wall['modeseek']):.3f} s",
                used <= 0.2,
            ),
            "heavy modules": goal("none", ", ".join(unwanted) or "none", not unwanted),
        },
    )


if __name__ == "__main__":
    main()
