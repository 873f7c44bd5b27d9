"""The words of a caption and what each stands for."""

from __future__ import annotations

# A caption's colour paints a thing's main part. Chosen to stay apart under shading and from the pale backgrounds.
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.08, 0.08),
    "orange": (1.00, 0.50, 0.02),
    "yellow": (0.98, 0.86, 0.10),
    "green": (0.10, 0.62, 0.16),
    "blue": (0.10, 0.26, 0.88),
    "purple": (0.50, 0.12, 0.72),
    "pink": (1.00, 0.47, 0.72),
    "black": (0.09, 0.09, 0.10),
}

# How much a said size stretches a thing; unsaid is 1, and a thing alone then fills half to three quarters of the side.
SIZES: dict[str, float] = {"small": 0.6, "large": 1.35}

# first RELATION second: stacked and touching; left or right on one ground; farther from the camera and partly hidden.
RELATIONS: tuple[str, ...] = ("on", "beside", "behind")

# What a caption does not colour.
PAINTS: dict[str, tuple[float, float, float]] = {
    "white": (0.96, 0.96, 0.96),
    "ink": (0.05, 0.05, 0.06),
    "brown": (0.42, 0.26, 0.13),
    "grey": (0.52, 0.54, 0.58),
    "cream": (0.95, 0.89, 0.76),
    "carrot": (0.98, 0.48, 0.05),
    "glass": (0.66, 0.86, 0.97),
    "lamplight": (1.00, 0.93, 0.55),
}
