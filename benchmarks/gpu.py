"""What a GPU does: full-size pipelines, text to 3-D, drawings, splats, exact priors and mean shift; `make bench-gpu`.

Under eight minutes on a data-centre card; the record is `results/gpu-CARD.json`, with the name of the card. Weights
are random, made from configuration: costs do not depend on them. A part that does not fit in the memory of the card is
recorded as such. `--quick --device cpu` runs every part in its smallest form on any machine.
"""

from __future__ import annotations

import gc
import json
import re
import time
from collections.abc import Callable
from typing import Any

import torch
from _common import parse_args, save
from _gpu_exact import empirical, mean_shift_of_many
from _gpu_generators import drawings, splats, text_to_3d
from _gpu_pipelines import pipelines

PARTS: dict[str, Callable[[str, bool], dict[str, Any]]] = {
    "pipelines": pipelines,
    "text to 3-D": text_to_3d,
    "drawings": drawings,
    "splats": splats,
    "empirical prior": empirical,
    "mean shift": mean_shift_of_many,
}


def main() -> None:
    """Runs the parts, prints each, and saves the record after each, so that a broken run keeps what it has."""
    args = parse_args("What does a GPU do, and in how much memory?", device="cuda")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA device is available; try --quick --device cpu")
    card = torch.cuda.get_device_name() if args.device == "cuda" else "cpu"
    results: dict[str, Any] = {"card": card, "memory_gb": total_memory(args.device), "seconds": {}}
    name = f"gpu-{re.sub(r'[^a-z0-9]+', '-', card.lower()).strip('-')}"
    for title, part in PARTS.items():
        began = time.perf_counter()
        results[title] = part(args.device, args.quick)
        results["seconds"][title] = time.perf_counter() - began
        print(title, json.dumps(results[title], default=str)[:2000], flush=True)
        save(args, results, {}, name)
        gc.collect()
        if args.device == "cuda":
            torch.cuda.empty_cache()


def total_memory(device: str) -> float | None:
    """Returns the memory of the card in GB (1e9 bytes); None on a CPU."""
    return torch.cuda.get_device_properties(0).total_memory / 1e9 if device == "cuda" else None


if __name__ == "__main__":
    main()
