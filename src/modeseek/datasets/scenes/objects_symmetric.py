"""Things built of several solids that look much the same from all around, the mug's handle aside."""

from __future__ import annotations

from modeseek.datasets.scenes.object_type import Decal, ObjectType, SolidPart
from modeseek.datasets.scenes.sdf_primitives import Ball, Box, Cone, Cylinder, Torus
from modeseek.datasets.scenes.sdf_transforms import AlongZ, At, Cut, Dome, Twin

COMPOSITES = (
    ObjectType(
        "mug",
        (
            SolidPart(Cut(At(Cylinder(0.58, 0.68, 0.04), -0.15), At(Cylinder(0.47, 0.68), -0.15, 0.14))),
            SolidPart(Cut(At(AlongZ(Torus(0.33, 0.1)), 0.46), At(Cylinder(0.5, 0.7), -0.15))),
        ),
        marks=(Decal(At(Cylinder(0.5, 0.7), -0.15, 0.13), "white"),),
        seat=(-0.15, 0.68, 0.0),
    ),
    ObjectType(
        "mushroom",
        (
            SolidPart(At(Dome(0.82, 0.1), 0.0, 0.0)),
            SolidPart(At(Cone(0.36, 0.26, 0.45), 0.0, -0.3), "cream"),
        ),
        marks=(
            Decal(At(Cylinder(0.78, 0.02), 0.0, 0.1), "cream"),
            Decal(At(Ball(0.2), 0.0, 0.6, 0.56), "white"),
            Decal(At(Ball(0.17), 0.62, 0.5, 0.2), "white"),
            Decal(At(Ball(0.15), -0.6, 0.36, 0.42), "white"),
            Decal(At(Ball(0.2), -0.45, 0.6, -0.35), "white"),
            Decal(At(Ball(0.18), 0.38, 0.5, -0.53), "white"),
            Decal(At(Ball(0.15), 0.5, 0.28, 0.59), "white"),
            Decal(At(Ball(0.15), -0.15, 0.32, -0.74), "white"),
        ),
        seat=(0.0, 0.82, 0.0),
    ),
    ObjectType(
        "table",
        (
            SolidPart(At(Box(0.92, 0.09, 0.66, 0.02), 0.0, 0.4)),
            SolidPart(Twin(At(Box(0.09, 0.42, 0.09, 0.01), 0.76, -0.07, 0.5), z=True)),
        ),
        seat=(0.0, 0.49, 0.0),
    ),
    ObjectType(
        "tree",
        (
            SolidPart(At(Cone(0.6, 0.16, 0.34), 0.0, -0.06)),
            SolidPart(At(Cone(0.48, 0.0, 0.42), 0.0, 0.54)),
            SolidPart(At(Cylinder(0.17, 0.32), 0.0, -0.66), "brown"),
        ),
    ),
    ObjectType(
        "lamp",
        (
            SolidPart(At(Cone(0.62, 0.34, 0.34), 0.0, 0.5)),
            SolidPart(At(Cylinder(0.07, 0.5), 0.0, -0.3), "grey"),
            SolidPart(At(Cylinder(0.4, 0.07, 0.03), 0.0, -0.8), "grey"),
        ),
        marks=(Decal(At(Cone(0.58, 0.3, 0.345), 0.0, 0.498), "lamplight"),),
    ),
)
