"""Checks that a method fits the other settings of a run, before anything is loaded or built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modeseek.methods.base import ViewMethod, block_size, check_inner_steps, needs_cameras, needs_of, own_scale
from modeseek.methods.msd import MSD

_EXAMPLES = {"negative": "--negative 'blurry, low quality'", "source": "--source 'a photo of a cat'"}


def check_method_fits(config: Any) -> None:
    """Raises ValueError, one line with what to set, if the method of a configuration (`Config`) lacks what it needs.

    It may need other prompts, views of a 3D object, cameras in groups, no guidance of the prior, or one inner step.
    """
    method = config.method
    if config.scale != 1 and method.guides:
        raise ValueError(_guides_by_itself(config, config.method_name))
    check_inner_steps(config.inner_steps, method)
    for need in needs_of(method):
        if not getattr(config, need):
            raise ValueError(f"{config.method_name} needs a {need} prompt, got none; try {_EXAMPLES[need]}")
    shape, rows, group = config.generator.as_3d, config.generator.rows, block_size(method)
    if needs_cameras(method) and shape is None:
        raise ValueError(
            f"{config.method_name} needs views of one 3D object, got generator {config.generator_name}; try modeseek "
            "shape"
        )
    if shape is not None and rows is not None and group is not None and rows % group:
        name = config.method_name
        raise ValueError(f"{name} needs a multiple of {group} cameras per step, got {rows}; try --cameras {group}")


def check_measurement(config: Any) -> None:
    """Raises ValueError, one line, if a configuration with a measurement has another method than msd, or a 3D shape."""
    if config.measurement is None:
        return
    if not isinstance(config.method, MSD):
        raise ValueError(f"a measurement needs the method msd, got {config.method_name}; try --method msd")
    if config.generator.as_3d is not None:
        raise ValueError(
            f"a measurement needs a generator of images, got {config.generator_name}; try generator: latent, or "
            "photographs for a 3D object"
        )


def check_photographs(config: Any) -> None:
    """Raises ValueError, one line, if a configuration with photographs has another method than msd, or no 3D shape."""
    if config.photographs is None:
        return
    if not isinstance(config.method, MSD):
        raise ValueError(f"photographs need the method msd, got {config.method_name}; try --method msd")
    if config.generator.as_3d is None:
        raise ValueError(f"photographs need a 3D shape, got generator {config.generator_name}; try modeseek shape")


def requirements(method: Any) -> Iterator[str]:
    """Yields what a class of methods needs in a run, at its default settings, and how it is guided; a line each."""
    needs = needs_of(method)
    prompts = [f"a {need} prompt (--{need})" for need in needs]
    views = ["views of one 3D object (modeseek shape)"] if _says_cameras(method) and needs_cameras(method()) else []
    if prompts or views:
        yield f"needs: {', '.join([*prompts, *views])}"
    scale = own_scale(method)
    if scale is not None:
        yield f"guidance: its own, scale {scale:g} as published (--scale)"
    else:
        yield "guidance: its coefficients" if method.guides else "guidance: that of the prior (--scale)"
    if "source" in needs:
        yield 'edits images: modeseek edit IMAGE "prompt" --source "prompt"'


def _says_cameras(method: Any) -> bool:
    """Whether a class of methods says if it needs cameras; its default settings suffice to make one."""
    return isinstance(method, ViewMethod)


def _guides_by_itself(config: Any, name: str) -> str:
    """Message of a scale under a method that guides by itself, with what to set instead."""
    scale = f"{config.scale:g}"
    if own_scale(config.method) is not None:
        return f"{name} applies guidance itself: scale must be 1, got {scale}; use method.{name}.scale"
    return (
        f"{name} has no guidance scale, its coefficients are its guidance: scale must be 1, got {scale}; try sds, or "
        f"--set method.{name}.positive={scale} --set method.{name}.null=-{scale}"
    )
