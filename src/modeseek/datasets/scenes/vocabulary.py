"""Vocabulary of captions: colours, sizes and relations with their meaning, and fixed paints."""

from __future__ import annotations

# Colours of an object's main part, distinct under shading and against the pale backgrounds.
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

# Scale of each size; without a size it is 1, and a single object then fills half to three quarters of the side.
SIZES: dict[str, float] = {"small": 0.6, "large": 1.35}

# first RELATION second: stacked in contact; left or right on one ground; farther from the camera, partly occluded.
RELATIONS: tuple[str, ...] = ("on", "beside", "behind")

# Paints of parts and decals that the caption's colour does not affect.
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
