"""Runs of the gallery: what `python docs/gallery.py` makes, each by one command of modeseek."""

from __future__ import annotations

from dataclasses import dataclass

PROMPTS = {
    "scenes": (
        *("a red cone on a blue cube", "a green robot head", "a small yellow duck", "a purple mug"),
        *("an orange car, from 30 degrees left", "a red mushroom"),
    ),
    "emoji": (
        *("an owl", "a red apple", "a grinning face", "a cactus", "a pizza, shaded emoji"),
        "a whale, on a pale yellow background",
    ),
}
METHODS = {  # arguments that differ from the defaults
    "sds": (),
    "msd": (),
    "sdi": ("--set", "method.sdi.inversion_steps=3", "method.sdi.inversion_scale=1"),
}
SHAPES = (
    "a red cone on a blue cube",
    "a yellow duck",
    "a purple mug",
    "a green robot head",
    "an orange car",
    "a blue house",
)
DRAWN = (
    *("an owl", "a red apple", "a cat face", "a rocket", "a mushroom", "a tropical fish"),
    *("a house", "a cactus", "a birthday cake", "a bicycle", "a robot", "a sunflower"),
)


@dataclass(frozen=True)
class GalleryRun:
    """A run of the gallery.

    Attributes:
        name: name of its folder.
        arguments: arguments of modeseek, without the folder.
        note: what there is to see, or empty.
    """

    name: str
    arguments: tuple[str, ...]
    note: str = ""


def image_run(prior: str, method: str) -> GalleryRun:
    """The run of a prior's prompts by a method, all in one batch."""
    chosen = () if prior == "scenes" else ("--prior", prior)
    arguments = ("image", *PROMPTS[prior], *chosen, "--method", method, *METHODS[method])
    return GalleryRun(f"{prior}-{method}", arguments)


def shape_run(prompt: str) -> GalleryRun:
    """The run of a 3D shape."""
    name = "-".join(word for word in prompt.split() if word not in ("a", "an", "the"))
    return GalleryRun(name, ("shape", prompt))


IMAGES = {prior: {method: image_run(prior, method) for method in METHODS} for prior in PROMPTS}
MODELS = {prompt: shape_run(prompt) for prompt in SHAPES}
DRAWINGS = GalleryRun("drawings", ("svg", *DRAWN))
PLANES = (
    GalleryRun(
        "ring-msd",
        ("run", "--prior", "ring", "--method", "msd", "--steps", "120"),
        "Eight equal Gaussians and 100 starts of normal noise: under MSD every point ends on one of the eight modes.",
    ),
    GalleryRun(
        "ring-sds",
        ("run", "--prior", "ring", "--method", "sds", "--steps", "400"),
        "SDS at uniform noise levels on the same density: the points end in the empty middle, where the log density "
        "blurred by noise of all levels, which is what it climbs, has its mode.",
    ),
    GalleryRun(
        "moons-msd",
        (
            *("run", "--prior", "examples/moons.csv", "--method", "msd"),
            *("--set", "method.msd.bandwidth.adaptive.end=0.1", "--steps", "120"),
        ),
        "The prior is the points of a file, through their exact denoiser: all starts end in a few places along the "
        "ridges of the two moons.",
    ),
)
ALL = (*(run for runs in IMAGES.values() for run in runs.values()), *MODELS.values(), DRAWINGS, *PLANES)
