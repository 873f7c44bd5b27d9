"""Gaussian splats: projection, compositing, starts, relocation and files."""

from modeseek.generators.splats.relocate import RelocateSplats as RelocateSplats
from modeseek.generators.splats.splats import Splats as Splats
from modeseek.generators.splats.starts import Ball as Ball
from modeseek.generators.splats.starts import FromVolume as FromVolume
from modeseek.generators.splats.starts import MeshSurface as MeshSurface
from modeseek.generators.splats.starts import PointCloud as PointCloud
