"""Data of the splat viewer: what its script decodes are the splats, and a run's page embeds it."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from splat_clouds import cloud

from modeseek.generators.splats.ply import encode_splats
from modeseek.reports import splat_viewer
from modeseek.reports.mesh_section import scripts
from modeseek.reports.page import render_fragment
from modeseek.reports.splat_viewer import SplatView


def test_the_arrays_are_the_splats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splat_viewer, "_still", lambda splats, reach: b"")
    splats = cloud(40, 2)
    arrays = {name: base64.b64decode(text) for name, text in SplatView.of(splats, "a cloud").arrays.items()}
    low, high = np.frombuffer(arrays["corners"], "<f4").reshape(2, 3).astype(float)
    places = low + (high - low) * np.frombuffer(arrays["places"], "<u2").reshape(-1, 3) / 65535
    assert np.abs(places - splats.means.numpy()).max() < 1e-4
    xx, xy, xz, yy, yz, zz = np.frombuffer(arrays["shapes"], "<f4").reshape(-1, 6).T
    found = np.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], 1).reshape(-1, 3, 3)
    for cov, quat, scale in zip(found, splats.quats.numpy(), splats.scales.numpy(), strict=True):
        rotation = Rotation.from_quat(np.roll(quat, -1)).as_matrix()
        assert cov == pytest.approx(rotation @ np.diag(scale**2) @ rotation.T, rel=1e-4, abs=1e-6)
    painted = np.frombuffer(arrays["colours"], np.uint8).reshape(-1, 4) / 255
    expected = torch.cat([splats.colors, splats.opacities[:, None]], 1).numpy()
    assert np.abs(painted - expected).max() <= 0.5 / 255 + 1e-6
    *middle, reach = np.frombuffer(arrays["frame"], "<f4")
    shown = splats.opacities.numpy() >= 0.1
    far = np.linalg.norm(splats.means.numpy() - middle, axis=1) + splats.scales.numpy().max(1)
    assert reach == pytest.approx(far[shown].max(), rel=1e-5)


def test_a_viewer_can_be_embedded_and_too_many_splats_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    view = SplatView.of(cloud(5, 0), "<b>")
    html = render_fragment("model", "model_view", view)
    assert "data-kind='splats'" in html and "&lt;b&gt;, 5 splats" in html and "Shape only" not in html
    assert view.still.startswith(b"\x89PNG")
    monkeypatch.setattr(splat_viewer, "MOST_SPLATS", 4)
    with pytest.raises(ValueError, match=r"splats of a page must be at most 4, got 5; try a smaller capacity"):
        SplatView.of(cloud(5, 0), "five")


def test_a_page_has_the_scripts_of_what_it_shows(tmp_path) -> None:
    (tmp_path / "exports").mkdir()
    assert "drawers" not in scripts(tmp_path)
    (tmp_path / "exports" / "splats.ply").write_bytes(encode_splats(cloud(5, 0)))
    script = scripts(tmp_path)
    assert script.index("drawers ??= {}).splats") < script.index("querySelectorAll('.model')")
    assert "drawers ??= {}).mesh" not in script
