"""Faults in what keeps a GPU busy, exact and within its memory."""

GPU_FAULTS = [
    ("TF32 in distances", "priors/empirical.py", "with full_float32():", "if True:", "full_precision"),
    (
        "a precision that is not set again",
        "priors/full_precision.py",
        "product.fp32_precision = precision",
        "pass",
        "full_precision",
    ),
    (
        "a chunk twice as large as fits",
        "generators/nerf/memory.py",
        "2 ** (fitting.bit_length() - 1)",
        "2 ** fitting.bit_length()",
        "memory",
    ),
    ("parameters count as saved", "generators/nerf/memory.py", "if address not in own", "if True", "memory"),
    (
        "a chunk that forgets what torch holds unused",
        "generators/nerf/memory.py",
        "_SHARE * (free + unused)",
        "_SHARE * free",
        "memory",
    ),
    (
        "a level is read in a step",
        "methods/sjc.py",
        "if on_host(alpha) and (alpha == 0).any():",
        "if (alpha == 0).any():",
        "methods_on_device",
    ),
    ("times wait for the device", "methods/noising.py", ".to(z, non_blocking=True)", ".to(z)", "methods_on_device"),
    (
        "a whole interval is read",
        "priors/guidance.py",
        "if self.interval == (0, 1):",
        "if False:",
        "methods_on_device",
    ),
    (
        "one wait finds nothing",
        "methods/held_target.py",
        "if finite and all(",
        "if True or all(",
        "finite_gradients",
    ),
]
