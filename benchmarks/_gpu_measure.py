"""Times and peak memory of one task on a device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch


def measure(task: Callable[[], object], device: str, seconds: float = 2.0, most: int = 200) -> dict[str, Any]:
    """Returns seconds per call (the fastest third's mean), and on CUDA the peak memory in GB, what is held included.

    A task that does not fit is recorded as "out of memory".
    """
    if device != "cuda":
        task()
        return {"seconds": _repeat(task, seconds, most, lambda: None)}
    torch.cuda.reset_peak_memory_stats()
    try:
        task()
        spent = _repeat(task, seconds, most, torch.cuda.synchronize)
    except torch.cuda.OutOfMemoryError:
        return {"seconds": None, "peak_gb": "out of memory"}
    return {"seconds": spent, "peak_gb": torch.cuda.max_memory_allocated() / 1e9}


def _repeat(task: Callable[[], object], seconds: float, most: int, wait: Callable[[], object]) -> float:
    wait()
    times: list[float] = []
    while len(times) < most and (sum(times) < seconds or len(times) < 2):
        began = time.perf_counter()
        task()
        wait()
        times.append(time.perf_counter() - began)
    fastest = sorted(times)[: max(1, len(times) // 3)]
    return sum(fastest) / len(fastest)
