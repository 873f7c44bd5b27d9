"""Planted faults that the tests of a run's page must detect; see `faults_table`."""

from __future__ import annotations

# Name of the fault, file in src/modeseek, text that occurs exactly once, its replacement, tests that must fail.
REPORT_FAULTS: list[tuple[str, str, str, str, str]] = [
    (
        "a converged run is said to move",
        "reports/still_moving.py",
        "if constant and late[-1] > tol and",
        "if constant and",
        "still_moving",
    ),
    (
        "a relative shift is read while the bandwidth changes",
        "reports/still_moving.py",
        "constant = max(widths) < _SAME * min(widths)",
        "constant = True",
        "still_moving",
    ),
    (
        "a stopped run is said to move",
        "reports/run_page.py",
        'if config is not None and state == "finished" else ""',
        'if config is not None else ""',
        "run_result",
    ),
    (
        "guidance without conditions in the headline",
        "config/config.py",
        "if self.prompts or self.label is not None else 1.0",
        "if True else 1.0",
        "headline",
    ),
    ("links that are not quoted", "reports/run_files.py", 'f"./{quote(name)}"', 'f"./{name}"', "run_result"),
    (
        "an enlarged image of any size in a page",
        "reports/result_images.py",
        "fitting[-1] if fitting else paths[0]",
        "paths[-1]",
        "run_result",
    ),
    (
        "the recorded prompt of an image ignored",
        "reports/result_images.py",
        "_recorded_prompt(shown) or caption",
        "caption",
        "run_result",
    ),
    ("a remark repeated", "reports/run_page.py", "list(dict.fromkeys(found))", "found", "run_result"),
    ("a damaged film shown", "reports/preview_images.py", 'data[4:8] != b"ftyp"', "not data", "run_result"),
    (
        "positions of a mesh rounded down",
        "reports/mesh_viewer.py",
        'np.round(steps).astype("<u2")',
        'np.floor(steps).astype("<u2")',
        "mesh_viewer",
    ),
    (
        "faces of 16 bits for too many vertices",
        "reports/mesh_viewer.py",
        "if len(mesh.vertices) <= _LEVELS + 1",
        "if len(mesh.vertices) <= 2 * _LEVELS",
        "mesh_viewer",
    ),
    (
        "values of curves in the order of another line",
        "reports/curves.py",
        'f"{x:.10g},{y:.4g}" for x, y in points',
        'f"{x:.10g},{y:.4g}" for x, y in points[::-1]',
        "pages",
    ),
]
