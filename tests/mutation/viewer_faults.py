"""Planted faults of the live viewer; see `mutation`."""

from __future__ import annotations

# What is wrong, where in src/modeseek, text found exactly once, what replaces it, the tests that should notice.
VIEWER_FAULTS: list[tuple[str, str, str, str, str]] = [
    (
        "the viewer's pictures upside down",
        "viewer/viser_camera.py",
        "right, -down, forward",
        "right, down, forward",
        "viewer",
    ),
    (
        "a tall window seen with a wide one's lens",
        "viewer/viser_camera.py",
        "math.tan(self.fov / 2) * max(1.0, self.stretch)",
        "math.tan(self.fov / 2) * self.stretch",
        "viewer",
    ),
    (
        "a section seen behind the camera",
        "viewer/section.py",
        "met = (along > 0) & along",
        "met = along",
        "viewer",
    ),
    (
        "fine pictures while a window moves",
        "viewer/render_thread.py",
        "now - waiting[0].moved >= _REST",
        "now - waiting[0].moved >= 0",
        "viewer",
    ),
    (
        "metrics that were cut off are kept",
        "viewer/metrics_tail.py",
        "if self._path.stat().st_size < self._end:",
        "if not self._end:",
        "viewer",
    ),
    (
        "a thing viewed in other numbers than its own",
        "viewer/without_prior.py",
        "return next((kind for kind in kinds if kind.is_floating_point), torch.float32)",
        "return next((torch.float32 for kind in kinds), torch.float32)",
        "viewer_runs",
    ),
    (
        "the viewer follows although another moment was chosen",
        "viewer/follower.py",
        "wanted = steps if wishes.following else",
        "wanted = steps if wishes.step >= 0 else",
        "viewer_runs",
    ),
    (
        "a damaged checkpoint is passed over in silence",
        "viewer/follower.py",
        "self._bad[step] = self.trouble = ",
        "self._bad[step] = ",
        "viewer_runs",
    ),
    (
        "a picture not in the middle of its window",
        "viewer/frame_sources.py",
        "top, left = (height - h) // 2, (width - w) // 2",
        "top, left = 0, 0",
        "viewer_runs",
    ),
    (
        "another page may talk to the viewer",
        "viewer/auth.py",
        "if talks and origin is not None",
        "if not talks and origin is not None",
        "auth",
    ),
    (
        "the viewer answers to any name",
        "viewer/auth.py",
        "if not self.token and host not in LOCAL:",
        "if not self.token and not host:",
        "auth",
    ),
    (
        "a secret that anybody may bring along",
        "viewer/auth.py",
        'kept = [row for row in rows if row.partition(":")[0].lower() != SECRET_HEADER.lower()]',
        "kept = rows",
        "auth",
    ),
    (
        "viser talks to who went around the gate",
        "viewer/viser_server.py",
        "if not hmac.compare_digest(said.encode(), secret.encode()):",
        "if not secret:",
        "auth",
    ),
]
