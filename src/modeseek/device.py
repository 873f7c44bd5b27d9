"""Choice of a device where none is given, and checks of one that is."""

from __future__ import annotations

import torch
from torch import Tensor

from modeseek.distributed import launched_processes

AUTO = "auto"  # the fastest device of this machine
_LOCAL = "LOCAL_WORLD_SIZE"  # processes on this machine
_KINDS = ("cpu", "cuda", "mps", "xpu")
_EXPECTED = "device must be auto, cpu, cuda, cuda:1 or mps"


def best_device() -> torch.device:
    """Returns the fastest device of this machine: cuda, else mps (Apple), else cpu.

    Several processes of one command (torchrun) take cuda where each has a GPU of its own, else the CPU.
    """
    processes = launched_processes(_LOCAL)
    if torch.cuda.is_available() and (processes == 1 or processes <= torch.cuda.device_count()):
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() and processes == 1 else "cpu")


def resolve_device(device: str | torch.device | None = None) -> torch.device:
    """Returns a device of this machine; "auto" and None are the fastest: cuda, else mps (Apple), else cpu.

    Raises:
        ValueError: no device, or one that this machine does not have.
    """
    if device is None or device == AUTO:
        return best_device()
    resolved = check_device(device)
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"no CUDA device is available, got device {str(device)!r}; use cpu")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device must be one of {torch.cuda.device_count()} CUDA devices, got {str(device)!r}")
    processes = launched_processes(_LOCAL)
    if resolved.type == "cuda" and 1 < processes > torch.cuda.device_count():
        raise ValueError(
            f"{processes} processes need as many GPUs, got {torch.cuda.device_count()}; start fewer, or use cpu"
        )
    if resolved.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"no MPS device (Apple) is available, got device {str(device)!r}; use cpu")
    return resolved


def check_device(device: str | torch.device) -> torch.device:
    """Returns the device that a name denotes, whether this machine has it or not.

    Raises:
        ValueError: the name of no device.
    """
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{_EXPECTED}, got {device!r}") from error
    if resolved.type not in _KINDS:
        raise ValueError(f"{_EXPECTED}, got {device!r}")
    return resolved


def float64_device(device: str | torch.device) -> torch.device:
    """Returns a device for exact priors, which compute in float64.

    Raises:
        ValueError: a device without float64.
    """
    resolved = torch.device(device)
    if resolved.type == "mps":
        raise ValueError(f"an exact prior computes in float64, which {resolved} lacks; use device cpu")
    return resolved


def runs_natively(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether the hardware computes in a precision itself.

    Processors without bfloat16 instructions (AVX-512 BF16 or AMX of x86, BF16 of Arm) emulate it, at 10 to 20 times the
    time of float32; float16 likewise.
    """
    if device.type != "cpu" or dtype not in (torch.bfloat16, torch.float16):
        return True
    supported = torch.ops.mkldnn
    check = supported._is_mkldnn_bf16_supported if dtype == torch.bfloat16 else supported._is_mkldnn_fp16_supported
    return bool(check())


def device_title(device: str | torch.device) -> str:
    """Returns a device with the name of its hardware, such as "cuda:0 (NVIDIA H200)" or "cpu (8 threads)"."""
    resolved = torch.device(device)
    if resolved.type == "cuda":
        return f"{resolved} ({torch.cuda.get_device_name(resolved)})"
    return f"cpu ({torch.get_num_threads()} threads)" if resolved.type == "cpu" else str(resolved)


def on_host(values: Tensor) -> bool:
    """Whether reading values waits for nothing: on an accelerator it waits for all work that is queued there.

    Checks of values in a step of the loop are made where this is True; elsewhere a value out of range becomes NaN or
    infinity, which the loop finds before it updates a parameter.
    """
    return values.is_cpu


def is_on(device: torch.device, target: torch.device) -> bool:
    """Whether a device is the target: the same kind, and the same index where the target names one."""
    return target.type == device.type and target.index in (None, device.index)
