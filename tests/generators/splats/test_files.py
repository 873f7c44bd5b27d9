"""Files of splats, read by a parser of the test's own, and the mesh of fused depths."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import modeseek as ms
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.splats import MeshSurface, Splats
from modeseek.generators.splats.gltf import encode_glb_splats
from modeseek.generators.splats.ply import encode_splats, read_splats

NAMES = "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3".split()


def parse(data: bytes) -> dict[str, np.ndarray]:
    """Columns of a PLY file, float by float."""
    header, body = data.split(b"end_header\n", 1)
    lines = header.decode().split("\n")
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    n = int(lines[2].removeprefix("element vertex "))
    names = [line.removeprefix("property float ") for line in lines[3:] if line]
    assert len(body) == 4 * n * len(names)
    rows = [struct.unpack_from(f"<{len(names)}f", body, 4 * len(names) * i) for i in range(n)]
    return dict(zip(names, np.array(rows).T, strict=True))


def columns_of_glb(data: bytes) -> dict[str, np.ndarray]:
    """Columns of floats of a GLB file by their name without the extension, from chunks that were checked or not."""
    size = struct.unpack_from("<I", data, 12)[0]
    tree, body = json.loads(data[20 : 20 + size]), data[28 + size :]
    columns = {}
    for name, index in tree["meshes"][0]["primitives"][0]["attributes"].items():
        accessor = tree["accessors"][index]
        start = tree["bufferViews"][accessor["bufferView"]].get("byteOffset", 0) + accessor.get("byteOffset", 0)
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        if accessor["componentType"] == 5126:
            values = struct.unpack_from(f"<{accessor['count'] * width}f", body, start)
            columns[name.removeprefix("KHR_gaussian_splatting:")] = np.array(values).reshape(-1, width)
    return columns


def test_a_file_has_the_fields_and_the_units_of_other_programs():
    splats = Splats(50, rng=ms.Streams(0))
    with torch.no_grad():
        splats.quats.copy_(torch.randn(50, 4, generator=torch.Generator().manual_seed(0)))
        splats.logits.copy_(torch.linspace(-6, 6, 50))
    columns = parse(encode_splats(splats.splats))
    assert list(columns) == NAMES
    turn = np.diag([-1.0, -1.0, 1.0])  # these files have y down
    assert np.stack([columns[c] for c in "xyz"], 1) == pytest.approx(splats.means.detach().numpy() @ turn)
    assert columns["opacity"] == pytest.approx(splats.logits.detach().numpy(), rel=1e-4)  # a logit
    assert columns["scale_1"] == pytest.approx(splats.log_scales[:, 1].detach().numpy(), rel=1e-5)  # a logarithm
    color = 0.5 + 0.28209479177387814 * np.stack([columns[f"f_dc_{i}"] for i in range(3)], 1)
    assert color == pytest.approx(splats.colors.detach().sigmoid().numpy(), abs=1e-6)
    quats = np.stack([columns[f"rot_{i}"] for i in range(4)], 1)
    assert np.linalg.norm(quats, axis=1) == pytest.approx(1.0)
    turned, own = (Rotation.from_quat(np.roll(q, -1, 1)).as_matrix() for q in (quats, splats.quats.detach().numpy()))
    assert turned == pytest.approx(turn @ own, abs=1e-5)
    assert all((columns[c] == 0).all() for c in ("nx", "ny", "nz"))


def test_what_was_written_is_read_again(tmp_path):
    splats = Splats(30, rng=ms.Streams(0)).splats
    path = tmp_path / "a.ply"
    path.write_bytes(encode_splats(splats))
    again = read_splats(path)
    for name in ("means", "quats", "scales", "opacities", "colors"):
        assert torch.allclose(getattr(again, name), getattr(splats, name), atol=1e-6), name


def test_another_program_reads_the_file(tmp_path):
    """splat-transform (npm install @playcanvas/splat-transform) writes the GLB file that modeseek writes, too."""
    program = os.environ.get("MODESEEK_SPLAT_TRANSFORM") or shutil.which("splat-transform")
    if program is None:
        pytest.skip("no splat-transform: npm install -g @playcanvas/splat-transform")
    splats = Splats(40, rng=ms.Streams(0))
    with torch.no_grad():
        splats.quats.copy_(torch.randn(40, 4, generator=torch.Generator().manual_seed(0)))
        splats.logits.copy_(torch.linspace(-4, 4, 40))
    (tmp_path / "a.ply").write_bytes(encode_splats(splats.splats))
    subprocess.run([program, "-q", tmp_path / "a.ply", tmp_path / "a.glb"], check=True, timeout=60)
    found, own = map(columns_of_glb, ((tmp_path / "a.glb").read_bytes(), encode_glb_splats(splats.splats)))
    for name in ("POSITION", "SCALE", "OPACITY", "SH_DEGREE_0_COEF_0"):
        assert found[name] == pytest.approx(own[name], abs=1e-5), name
    assert np.abs((found["ROTATION"] * own["ROTATION"]).sum(1)) == pytest.approx(1.0, abs=1e-5)


def test_a_glb_file_has_points_and_the_activated_values_of_the_extension():
    splats = Splats(20, rng=ms.Streams(0)).splats
    data = encode_glb_splats(splats)
    magic, version, length, size, kind = struct.unpack_from("<4sII I4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    tree = json.loads(data[20 : 20 + size])
    body_size, kind = struct.unpack_from("<I4s", data, 20 + size)
    body = data[28 + size :]
    assert kind == b"BIN\0" and len(body) == body_size == tree["buffers"][0]["byteLength"] and length % 4 == 0
    (primitive,) = tree["meshes"][0]["primitives"]
    assert primitive["mode"] == 0 and tree["extensionsUsed"] == ["KHR_gaussian_splatting"]
    assert primitive["extensions"]["KHR_gaussian_splatting"]["colorSpace"] == "srgb_rec709_display"
    for index in primitive["attributes"].values():
        accessor = tree["accessors"][index]
        view = tree["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        assert accessor["componentType"] == 5126 and accessor["count"] == 20 and view["byteLength"] == 80 * width
    columns = columns_of_glb(data)
    assert columns["POSITION"] == pytest.approx(splats.means.numpy())
    assert columns["SCALE"] == pytest.approx(splats.scales.numpy())  # standard deviations
    assert columns["OPACITY"][:, 0] == pytest.approx(splats.opacities.numpy())
    assert columns["ROTATION"][:, 3] == pytest.approx(splats.quats[:, 0].numpy())
    color = 0.5 + 0.28209479 * columns["SH_DEGREE_0_COEF_0"]
    assert color == pytest.approx(splats.colors.numpy(), abs=1e-6)
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    assert columns["COLOR_0"][:, :3] == pytest.approx(linear, abs=1e-5)
    bounds = tree["accessors"][primitive["attributes"]["POSITION"]]
    assert bounds["min"] == pytest.approx(splats.means.amin(0).tolist())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"obj" + data, "must be a binary little-endian PLY file"),
        (lambda data: data.replace(b"binary_little_endian", b"ascii"), "must be a binary little-endian PLY file"),
        (lambda data: data[:-5], "must have 4 splats of 68 bytes, got 267 bytes in all"),
        (lambda data: data.replace(b"property float rot_3", b"property float rest"), "without rot_3"),
        (lambda data: data.replace(b"property float nx", b"property list uchar int nx"), "must be single numbers"),
        (lambda data: data.replace(b"element vertex 4", b"element vertex 0"), "must have at least one, got 0"),
        (lambda data: data.replace(b"element vertex", b"element face"), "must begin with its vertices"),
        (lambda data: data[:-4] + struct.pack("<f", float("nan")), "must be finite, got .* with 1 that are not"),
    ],
)
def test_damaged_files_are_one_clear_line(tmp_path, change, message):
    path = tmp_path / "a.ply"
    path.write_bytes(change(encode_splats(Splats(4, rng=ms.Streams(0)).splats)))
    with pytest.raises(ValueError, match=message) as error:
        read_splats(path)
    assert "\n" not in str(error.value)


def icosahedron(radius: float) -> Mesh:
    """A round mesh, coloured by direction."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=2, radius=radius)
    vertices = torch.tensor(ball.vertices, dtype=torch.float32)
    return Mesh(vertices, torch.tensor(np.asarray(ball.faces)), (vertices / radius * 0.4 + 0.5))


def test_the_mesh_of_fused_depths_is_the_surface():
    splats = Splats(1500, MeshSurface(icosahedron(0.5)), rng=ms.Streams(0))
    mesh, summary = splats.extract_mesh(48)
    radius = mesh.vertices.norm(dim=1)
    assert mesh.closed and "faces" in summary
    assert 0.47 < float(radius.median()) < 0.56 and float((radius - radius.median()).abs().quantile(0.95)) < 0.05
    expected = torch.nn.functional.normalize(mesh.vertices, dim=1) * 0.4 + 0.5
    assert float((mesh.colours - expected).abs().mean()) < 0.06
