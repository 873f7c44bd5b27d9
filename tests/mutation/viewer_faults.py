"""Planted faults of the live viewer; see `faults_table`."""

from __future__ import annotations

# Name of the fault, file in src/modeseek, text that occurs exactly once, its replacement, tests that must fail.
VIEWER_FAULTS: list[tuple[str, str, str, str, str]] = [
    (
        "the viewer's frames upside down",
        "viewer/viser_camera.py",
        "right, -down, forward",
        "right, down, forward",
        "viewer",
    ),
    (
        "a tall window seen with a wide one's lens",
        "viewer/viser_camera.py",
        "math.tan(self.fov / 2) * max(1.0, self.clamped_aspect)",
        "math.tan(self.fov / 2) * self.clamped_aspect",
        "viewer",
    ),
    (
        "a section seen behind the camera",
        "viewer/density_section.py",
        "hit = (along > 0) & along",
        "hit = along",
        "viewer",
    ),
    (
        "full resolution while a window moves",
        "viewer/render_thread.py",
        "time_now - waiting[0].moved >= _REST_SECONDS",
        "time_now - waiting[0].moved >= 0",
        "viewer",
    ),
    (
        "truncated metrics are kept",
        "rundir/metrics_tail.py",
        "if self._path.stat().st_size < self._end:",
        "if not self._end:",
        "viewer",
    ),
    (
        "a generator viewed in another dtype than its own",
        "viewer/without_prior.py",
        "return next((dtype for dtype in dtypes if dtype.is_floating_point), torch.float32)",
        "return next((torch.float32 for dtype in dtypes), torch.float32)",
        "viewer_runs",
    ),
    (
        "the viewer follows although another step was chosen",
        "viewer/follower.py",
        "preferred = steps if ui.following else",
        "preferred = steps if ui.step >= 0 else",
        "viewer_runs",
    ),
    (
        "a damaged checkpoint is skipped silently",
        "viewer/follower.py",
        "self._errors[step] = self.error = ",
        "self._errors[step] = ",
        "viewer_runs",
    ),
    (
        "a preview not centred in its window",
        "viewer/frame_sources.py",
        "top, left = (height - h) // 2, (width - w) // 2",
        "top, left = 0, 0",
        "viewer_runs",
    ),
    (
        "the viewer listens on every interface",
        "viewer/viser_server.py",
        "LocalServer(host=HOST, port=port",
        'LocalServer(host="0.0.0.0", port=port',
        "viser_server",
    ),
    (
        "any client may publish the viewer's page",
        "viewer/viser_server.py",
        "def request_share_url(",
        "def request_no_url(",
        "viser_server",
    ),
]
