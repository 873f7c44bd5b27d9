"""All object types by name."""

from __future__ import annotations

from modeseek.datasets.scenes.object_type import ObjectType, SolidPart
from modeseek.datasets.scenes.objects_symmetric import SYMMETRIC_OBJECTS
from modeseek.datasets.scenes.objects_with_front import OBJECTS_WITH_FRONT
from modeseek.datasets.scenes.sdf_primitives import Box, Capsule, Cone, Cylinder, Sphere, Torus
from modeseek.datasets.scenes.sdf_transforms import RotatedYToZ

_PRIMITIVES = (
    ObjectType("sphere", (SolidPart(Sphere(0.9)),), seat=(0.0, 0.9, 0.0)),
    ObjectType("cube", (SolidPart(Box(0.62, 0.62, 0.62, 0.03)),), seat=(0.0, 0.62, 0.0)),
    ObjectType("cylinder", (SolidPart(Cylinder(0.56, 0.78, 0.03)),), seat=(0.0, 0.78, 0.0)),
    ObjectType("cone", (SolidPart(Cone(0.78, 0.0, 0.85)),)),
    # upright: its hole faces the front
    ObjectType("torus", (SolidPart(RotatedYToZ(Torus(0.68, 0.28))),), seat=(0.0, 0.96, 0.0)),
    ObjectType("capsule", (SolidPart(Capsule(0.5, 0.45)),), seat=(0.0, 0.95, 0.0)),
)

OBJECT_TYPES: dict[str, ObjectType] = {
    object_type.name: object_type for object_type in (*_PRIMITIVES, *SYMMETRIC_OBJECTS, *OBJECTS_WITH_FRONT)
}
