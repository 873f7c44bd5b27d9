"""Object types with a front face: every azimuth gives a different image."""

from __future__ import annotations

from modeseek.datasets.scenes.object_type import Decal, ObjectType, SolidPart
from modeseek.datasets.scenes.sdf_primitives import Box, Capsule, Cone, Cylinder, Sphere, TriangularPrism
from modeseek.datasets.scenes.sdf_transforms import Mirrored, RotatedAboutX, RotatedYToX, RotatedYToZ, Translated

OBJECTS_WITH_FRONT = (
    ObjectType(
        "cube with a white face",
        (SolidPart(Box(0.62, 0.62, 0.62, 0.03)),),
        decals=(Decal(Translated(Box(0.47, 0.47, 0.05), 0.0, 0.0, 0.62), "white"),),
        seat=(0.0, 0.62, 0.0),
    ),
    ObjectType(
        "robot head",
        (
            SolidPart(Translated(Box(0.6, 0.54, 0.52, 0.08), 0.0, -0.12)),
            SolidPart(Mirrored(Translated(RotatedYToX(Cylinder(0.18, 0.1, 0.02)), 0.66, -0.1)), "grey"),
            SolidPart(Translated(Cylinder(0.06, 0.16), 0.0, 0.54), "grey"),
            SolidPart(Translated(Sphere(0.14), 0.0, 0.76), "carrot"),
        ),
        decals=(
            Decal(Mirrored(Translated(RotatedYToZ(Cylinder(0.19, 0.1)), 0.27, 0.08, 0.52)), "white"),
            Decal(Mirrored(Translated(RotatedYToZ(Cylinder(0.085, 0.1)), 0.27, 0.08, 0.52)), "ink"),
            Decal(Translated(Box(0.34, 0.075, 0.1), 0.0, -0.38, 0.52), "grey"),
        ),
    ),
    ObjectType(
        "snowman",
        (
            SolidPart(Translated(Sphere(0.48), 0.0, -0.5)),
            SolidPart(Translated(Sphere(0.36), 0.0, 0.13)),
            SolidPart(Translated(Sphere(0.26), 0.0, 0.61)),
            SolidPart(Translated(RotatedYToZ(Cone(0.085, 0.0, 0.17)), 0.0, 0.6, 0.38), "carrot"),
        ),
        decals=(
            Decal(Mirrored(Translated(Sphere(0.065), 0.1, 0.7, 0.23)), "white"),
            Decal(Mirrored(Translated(Sphere(0.04), 0.1, 0.7, 0.24)), "ink"),
            Decal(Translated(Sphere(0.07), 0.0, 0.24, 0.35), "white"),
            Decal(Translated(Sphere(0.07), 0.0, 0.02, 0.35), "white"),
        ),
    ),
    ObjectType(
        "house",
        (
            SolidPart(Translated(Box(0.6, 0.46, 0.52), 0.0, -0.36)),
            SolidPart(Translated(TriangularPrism(0.76, 0.34, 0.62), 0.0, 0.42), "dark"),
        ),
        decals=(
            Decal(Translated(Box(0.15, 0.3, 0.05), 0.0, -0.54, 0.52), "brown"),
            Decal(Mirrored(Translated(Box(0.12, 0.14, 0.05), 0.39, -0.26, 0.52)), "glass"),
            Decal(Mirrored(Translated(Box(0.05, 0.15, 0.2), 0.6, -0.3, 0.0)), "glass"),
        ),
    ),
    ObjectType(
        "chair",
        (
            SolidPart(Translated(Box(0.5, 0.08, 0.48, 0.02), 0.0, -0.12)),
            SolidPart(Translated(Box(0.5, 0.5, 0.08, 0.02), 0.0, 0.4, -0.4)),
            SolidPart(Mirrored(Translated(Box(0.08, 0.36, 0.08, 0.01), 0.4, -0.52, 0.38), across_z=True)),
        ),
        seat=(0.0, -0.04, 0.06),
    ),
    ObjectType(
        "rocket",
        (
            SolidPart(Translated(Cylinder(0.3, 0.45), 0.0, -0.1)),
            SolidPart(Translated(Cone(0.3, 0.0, 0.3), 0.0, 0.65), "grey"),
            SolidPart(Mirrored(Translated(Box(0.15, 0.26, 0.05, 0.02), 0.4, -0.58)), "grey"),
            SolidPart(Translated(Cone(0.24, 0.16, 0.1), 0.0, -0.62), "ink"),
            SolidPart(Mirrored(Translated(Box(0.05, 0.26, 0.15, 0.02), 0.0, -0.58, 0.4), across_z=True), "grey"),
        ),
        decals=(
            Decal(Translated(Sphere(0.2), 0.0, 0.12, 0.3), "white"),
            Decal(Translated(Sphere(0.13), 0.0, 0.12, 0.3), "ink"),
        ),
    ),
    ObjectType(
        "car",
        (
            SolidPart(Translated(Box(0.46, 0.2, 0.92, 0.08), 0.0, -0.14)),
            SolidPart(Translated(Box(0.38, 0.22, 0.42, 0.08), 0.0, 0.2, -0.14)),
            SolidPart(
                Mirrored(Translated(RotatedYToX(Cylinder(0.23, 0.1, 0.03)), 0.42, -0.3, 0.52), across_z=True), "ink"
            ),
        ),
        decals=(
            Decal(Mirrored(Translated(Sphere(0.12), 0.29, -0.08, 0.92)), "lamplight"),
            Decal(Translated(Box(0.3, 0.11, 0.6), 0.0, 0.2, -0.14), "glass"),
            Decal(Translated(Box(0.6, 0.11, 0.32), 0.0, 0.2, -0.14), "glass"),
        ),
        seat=(0.0, 0.42, -0.14),
    ),
    ObjectType(
        "duck",
        (
            SolidPart(Translated(RotatedYToZ(Capsule(0.25, 0.44)), 0.0, -0.36, -0.1)),
            SolidPart(Translated(Sphere(0.34), 0.0, 0.32, 0.32)),
            SolidPart(Translated(RotatedYToZ(Cone(0.17, 0.06, 0.16)), 0.0, 0.26, 0.76), "carrot"),
            SolidPart(Translated(RotatedAboutX(Cone(0.2, 0.03, 0.26), -55.0), 0.0, -0.1, -0.64)),
        ),
        decals=(
            Decal(Mirrored(Translated(Sphere(0.1), 0.22, 0.42, 0.56)), "white"),
            Decal(Mirrored(Translated(Sphere(0.06), 0.23, 0.42, 0.6)), "ink"),
        ),
    ),
    ObjectType(
        "bear head",
        (
            SolidPart(Translated(Sphere(0.74), 0.0, -0.12)),
            SolidPart(Mirrored(Translated(Sphere(0.27), 0.56, 0.55))),
            SolidPart(Translated(Sphere(0.33), 0.0, -0.3, 0.56), "cream"),
        ),
        decals=(
            Decal(Mirrored(Translated(Sphere(0.14), 0.28, 0.12, 0.64)), "white"),
            Decal(Mirrored(Translated(Sphere(0.09), 0.27, 0.12, 0.68)), "ink"),
            Decal(Translated(Sphere(0.13), 0.0, -0.16, 0.87), "ink"),
            Decal(Mirrored(Translated(Sphere(0.15), 0.58, 0.57, 0.25)), "cream"),
        ),
    ),
)
