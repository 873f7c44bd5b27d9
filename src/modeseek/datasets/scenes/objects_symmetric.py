"""Object types of several solids that look much the same from all azimuths, apart from the mug's handle."""

from __future__ import annotations

from modeseek.datasets.scenes.object_type import Decal, ObjectType, SolidPart
from modeseek.datasets.scenes.sdf_primitives import Box, Cone, Cylinder, Sphere, SphereCap, Torus
from modeseek.datasets.scenes.sdf_transforms import Difference, Mirrored, RotatedYToZ, Translated

SYMMETRIC_OBJECTS = (
    ObjectType(
        "mug",
        (
            SolidPart(
                Difference(Translated(Cylinder(0.58, 0.68, 0.04), -0.15), Translated(Cylinder(0.47, 0.68), -0.15, 0.14))
            ),
            SolidPart(
                Difference(Translated(RotatedYToZ(Torus(0.33, 0.1)), 0.46), Translated(Cylinder(0.5, 0.7), -0.15))
            ),
        ),
        decals=(Decal(Translated(Cylinder(0.5, 0.7), -0.15, 0.13), "white"),),
        seat=(-0.15, 0.68, 0.0),
    ),
    ObjectType(
        "mushroom",
        (
            SolidPart(Translated(SphereCap(0.82, 0.1), 0.0, 0.0)),
            SolidPart(Translated(Cone(0.36, 0.26, 0.45), 0.0, -0.3), "cream"),
        ),
        decals=(
            Decal(Translated(Cylinder(0.78, 0.02), 0.0, 0.1), "cream"),
            Decal(Translated(Sphere(0.2), 0.0, 0.6, 0.56), "white"),
            Decal(Translated(Sphere(0.17), 0.62, 0.5, 0.2), "white"),
            Decal(Translated(Sphere(0.15), -0.6, 0.36, 0.42), "white"),
            Decal(Translated(Sphere(0.2), -0.45, 0.6, -0.35), "white"),
            Decal(Translated(Sphere(0.18), 0.38, 0.5, -0.53), "white"),
            Decal(Translated(Sphere(0.15), 0.5, 0.28, 0.59), "white"),
            Decal(Translated(Sphere(0.15), -0.15, 0.32, -0.74), "white"),
        ),
        seat=(0.0, 0.82, 0.0),
    ),
    ObjectType(
        "table",
        (
            SolidPart(Translated(Box(0.92, 0.09, 0.66, 0.02), 0.0, 0.4)),
            SolidPart(Mirrored(Translated(Box(0.09, 0.42, 0.09, 0.01), 0.76, -0.07, 0.5), across_z=True)),
        ),
        seat=(0.0, 0.49, 0.0),
    ),
    ObjectType(
        "tree",
        (
            SolidPart(Translated(Cone(0.6, 0.16, 0.34), 0.0, -0.06)),
            SolidPart(Translated(Cone(0.48, 0.0, 0.42), 0.0, 0.54)),
            SolidPart(Translated(Cylinder(0.17, 0.32), 0.0, -0.66), "brown"),
        ),
    ),
    ObjectType(
        "lamp",
        (
            SolidPart(Translated(Cone(0.62, 0.34, 0.34), 0.0, 0.5)),
            SolidPart(Translated(Cylinder(0.07, 0.5), 0.0, -0.3), "grey"),
            SolidPart(Translated(Cylinder(0.4, 0.07, 0.03), 0.0, -0.8), "grey"),
        ),
        decals=(Decal(Translated(Cone(0.58, 0.3, 0.345), 0.0, 0.498), "lamplight"),),
    ),
)
