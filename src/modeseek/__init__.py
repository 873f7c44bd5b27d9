"""modeseek: mode seeking with diffusion priors.

The names that most programs need are here; all others are in `methods`, `generators`, `priors`, `operators`,
`sampling`, `camera_conditions`, `regularizers`, `schedules`, `noise_levels`, `weights`, `bandwidths`, `codec` and
`meanshift`. Each is imported when it is first used; `__init__.pyi` says where it is defined.
"""

from importlib import import_module

import lazy_loader

__version__ = "0.1.0"

_lazy, _, _names = lazy_loader.attach_stub(__name__, __file__)
# Modules below a package, three under another name than that of their file: lazy_loader reads neither from a stub.
_RENAMED = {
    "bandwidths": "modeseek.meanshift.bandwidth",
    "noise_levels": "modeseek.diffusion.noise_levels",
    "schedules": "modeseek.diffusion.schedule",
    "weights": "modeseek.diffusion.weighting",
}
_ROOMS = (
    "methods",
    "generators",
    "priors",
    "operators",
    "sampling",
    "camera_conditions",
    "regularizers",
    "schedules",
    "noise_levels",
    "weights",
    "codec",
    "meanshift",
    "bandwidths",
)

__all__ = sorted({*_names, *_RENAMED} - {"bandwidth", "schedule", "weighting"})  # pyright: ignore[reportUnsupportedDunderAll]


def __dir__() -> list[str]:
    """Public names: those of `__all__`. Submodules that serve the others, such as `modeseek.ramp`, are not shown."""
    return [*__all__, "__doc__", "__file__", "__name__", "__path__", "__version__"]


def __getattr__(name: str) -> object:
    """A public name, imported now, or one that `modeseek` itself exported before it moved to a room."""
    if name in _RENAMED:
        return import_module(_RENAMED[name])
    if name in __all__:
        return _lazy(name)
    if not name.startswith("_"):
        for room in _ROOMS:
            value = vars(__getattr__(room)).get(name)
            if getattr(value, "__module__", "").startswith("modeseek."):
                return value
    raise AttributeError(f"module 'modeseek' has no attribute {name!r}")
