"""Generators: differentiable image representations to optimise."""

from __future__ import annotations

from modeseek.generators.background import Background
from modeseek.generators.base import Artifact, BaseGenerator, Generator, Rendering, View
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.ensemble import Ensemble
from modeseek.generators.field import Field
from modeseek.generators.generator3d import Generator3D
from modeseek.generators.image import Image, Latent
from modeseek.generators.mesh.given import GivenMesh, read_given_mesh
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.painted import PaintedMesh
from modeseek.generators.mesh.surface import Surface
from modeseek.generators.mesh.surface_texture import AtlasTexture, FieldTexture, SurfaceTexture
from modeseek.generators.nerf import (
    BlobInit,
    Dense,
    EmptySpaceSkipping,
    Fourier,
    HashGrid,
    NeRF,
    RandomFourier,
    ResolutionStage,
    Triplane,
    Volume,
)
from modeseek.generators.orbit import Orbit
from modeseek.generators.points import Points
from modeseek.generators.rendering3d import RaySamples, Rendering3D
from modeseek.generators.splats import Splats

__all__ = [
    "Artifact",
    "AtlasTexture",
    "Background",
    "BaseGenerator",
    "BlobInit",
    "Cameras",
    "CameraView",
    "Dense",
    "EmptySpaceSkipping",
    "Ensemble",
    "Field",
    "FieldTexture",
    "Fourier",
    "Generator",
    "Generator3D",
    "GivenMesh",
    "HashGrid",
    "Image",
    "Latent",
    "Mesh",
    "NeRF",
    "Orbit",
    "PaintedMesh",
    "Points",
    "RandomFourier",
    "RaySamples",
    "read_given_mesh",
    "Rendering",
    "Rendering3D",
    "ResolutionStage",
    "Splats",
    "Surface",
    "SurfaceTexture",
    "Triplane",
    "View",
    "Volume",
]
