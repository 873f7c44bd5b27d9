"""Paths on the command line: `~` is the home folder also where the shell leaves it, as in --out=~/runs/mine."""

from __future__ import annotations

from pathlib import Path

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

PATH_OPTIONS = ConstructorRegistry()


@PATH_OPTIONS.primitive_rule
def _path(option: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
    if option.type is not Path:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=lambda texts: Path(texts[0]).expanduser(),
        is_instance=lambda value: isinstance(value, Path),
        str_from_instance=lambda path: [str(path)],
    )
