"""`modeseek export`: mesh, drawings or images of a run, at any resolution and in any format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from modeseek.cli.options import Device, option
from modeseek.config.lookup import look_up
from modeseek.device import AUTO
from modeseek.generators.export_mesh import MESH_FORMATS
from modeseek.rundir.run_dir import Run
from modeseek.runs.export_run import (
    FORMATS,
    ExportFormat,
    choose_resolution,
    export_images,
    export_mesh,
    export_svgs,
)


@dataclass(frozen=True)
class ExportCommand:
    """Export the mesh of a 3D run, the SVG files of drawings, or the images of any run, at another size or format.

    Takes the newest intact checkpoint, or the weights of a finished run, also of a run in progress. A mesh has vertex
    colours; with --texture they are baked into a UV texture, which a GLB holds and an OBJ has beside it (.mtl, .png).
    Images of coordinate networks, drawings and views of 3D shapes are rendered at --size, others are resized.

    Examples:
      modeseek export

      modeseek export mug --format obj --resolution 256 --texture 1024 --out mug.obj

      modeseek export mug --format png --size 1024 --out views

      modeseek export owl owl.svg --bytes 2000
    """

    run_folder: tyro.conf.Positional[
        Annotated[str | None, option("RUN", "Run folder, or its name in runs/. Default: the newest run in runs/.")]
    ] = None
    file: tyro.conf.Positional[Annotated[Path | None, option("[FILE]", "File to write, as by --out.")]] = None
    format: Annotated[
        str | None,
        option(
            "|".join(FORMATS),
            "Format: a mesh (glb, obj, ply, stl), drawings (svg), images (png) or an array (npy). Default: by the "
            "suffix of the file; else glb for 3D shapes, svg for drawings and png for images.",
        ),
    ] = None
    resolution: Annotated[
        int | None,
        option("N", "Number of density samples along each axis of a mesh, 8 to 512. Default: 256; 128 with --texture."),
    ] = None
    level: Annotated[
        float | None,
        option("DENSITY", "Density at the surface of a mesh, per world unit. Default: that of the visible surface."),
    ] = None
    texture: Annotated[
        int | None, option("SIDE", "Side of a texture, pixels, such as 1024; glb and obj. Default: vertex colours.")
    ] = None
    faces: Annotated[
        int | None,
        option("N", "Number of faces to decimate a mesh to; the deviation is printed. Default: all."),
    ] = None
    size: Annotated[
        int | None,
        option("SIDE", "Longest side of images, pixels. Default: that of the run; 512 for views of 3D shapes."),
    ] = None
    bytes: Annotated[int | None, option("N", "Largest size of an SVG file, bytes. Default: that of the run.")] = None
    device: Device = AUTO
    out: Annotated[
        Path | None,
        option("FILE|FOLDER", "File to write, replaced if it exists; for images also a folder. Default: in exports/."),
    ] = None

    def run(self, argv: Sequence[str]) -> None:
        """Writes the files and prints their paths."""
        run = Run.find(self.run_folder)
        if self.file is not None and self.out is not None:
            raise ValueError(f"the file must be named once, got {self.file} and --out {self.out}; remove one of them")
        out = self.out if self.file is None else self.file
        form = self._format(run, out)
        path = run.path / "exports" / self._name(form) if out is None else out
        if self.bytes is not None and form != "svg":
            raise ValueError(f"--bytes is for svg, got --format {form}; remove it")
        if form in MESH_FORMATS:
            if self.size is not None:
                raise ValueError(f"--size is for png and npy, got --format {form}; for a finer mesh: --resolution 512")
            files, summary = export_mesh(run, path, self.resolution, self.level, self.texture, self.faces, self.device)
            print(summary)
        elif form == "svg":
            files = export_svgs(run, path, self.bytes, self.device)
        else:
            files = export_images(run, path, self.size, self.device)
        for file in files:
            print(file)

    def _format(self, run: Run, out: Path | None) -> ExportFormat:
        """Format of the option, else of the suffix of the file, else of the run."""
        suffix = "" if out is None else out.suffix.lower().removeprefix(".")
        forms: dict[str, ExportFormat] = {form: form for form in FORMATS}
        if self.format is not None:
            form = look_up("format", self.format, forms)
            if suffix and suffix != form:
                raise ValueError(f"--out must end in .{form}, the --format, got {out}; remove one of them")
            if out is not None and not suffix and form not in ("png", "svg"):
                raise ValueError(f"--out must end in .{form}, got {out}")
            return form
        if not suffix:
            generator = run.config.generator
            if generator.max_svg_bytes is not None and self.size is None:
                return "svg"
            return "png" if out is not None or generator.as_3d is None else "glb"
        if suffix not in forms:
            raise ValueError(f"--out must end in .{', .'.join(FORMATS)}, got {out}; usdz and fbx: convert the glb")
        return forms[suffix]

    def _name(self, form: ExportFormat) -> str:
        """Name in `exports/` that says the resolution, beside what the run itself wrote."""
        if form in ("png", "svg"):
            return ""
        if form == "npy":
            return f"images{'' if self.size is None else f'-{self.size}'}.npy"
        resolution = choose_resolution(self.resolution, self.texture)
        return f"mesh-{resolution}{'' if self.texture is None else '-textured'}.{form}"
