"""The things by name."""

from __future__ import annotations

from modeseek.datasets.scenes.object_type import ObjectType, SolidPart
from modeseek.datasets.scenes.objects_symmetric import SYMMETRIC_OBJECTS
from modeseek.datasets.scenes.objects_with_front import OBJECTS_WITH_FRONT
from modeseek.datasets.scenes.sdf_primitives import Sphere, Box, Capsule, Cone, Cylinder, Torus
from modeseek.datasets.scenes.sdf_transforms import RotatedYToZ

_PRIMITIVES = (
    ObjectType("sphere", (SolidPart(Sphere(0.9)),), seat=(0.0, 0.9, 0.0)),
    ObjectType("cube", (SolidPart(Box(0.62, 0.62, 0.62, 0.03)),), seat=(0.0, 0.62, 0.0)),
    ObjectType("cylinder", (SolidPart(Cylinder(0.56, 0.78, 0.03)),), seat=(0.0, 0.78, 0.0)),
    ObjectType("cone", (SolidPart(Cone(0.78, 0.0, 0.85)),)),
    ObjectType(
        "torus", (SolidPart(RotatedYToZ(Torus(0.68, 0.28))),), seat=(0.0, 0.96, 0.0)
    ),  # upright: its hole is seen from the front
    ObjectType("capsule", (SolidPart(Capsule(0.5, 0.45)),), seat=(0.0, 0.95, 0.0)),
)

OBJECT_TYPES: dict[str, ObjectType] = {thing.name: thing for thing in (*_PRIMITIVES, *SYMMETRIC_OBJECTS, *OBJECTS_WITH_FRONT)}
