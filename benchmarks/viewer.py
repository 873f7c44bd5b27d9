"""Frame rate of the live viewer by image size, and with adaptive resolution.

A dense grid of 64 points per side with an egg shape, 48 samples per ray, seen by the viewer's initial camera in a
square window and in one of 16:9 (size is the shorter side). Once without pruning, as in the first half of a run, and
once pruned, as afterwards. A frame is rendered, cropped to the window, converted to bytes and encoded as JPEG by
viser's own encoder: all server work per frame. Then the adaptive resolution chooses the size, at most 256 pixels,
frame by frame, while the camera orbits.

Rates are by processor time, which with one thread (the default here) equals wall time on an idle machine; wall times
are reported too. On an idle machine --threads 2 shows the gain of a second core.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from _common import goal, parse_args, save, summarise, time_alternately
from viser._image_encoding import cv2_imencode_with_fallback
from viser.transforms import SO3

from modeseek.generators.camera import Cameras
from modeseek.generators.nerf import Dense, NeRF
from modeseek.viewer.adaptive_resolution import AdaptiveResolution
from modeseek.viewer.render_frame import RenderStyle, render_frame
from modeseek.viewer.viser_camera import Pose

SIDES = (64, 128, 192, 256, 384)


def egg_nerf(pruned: bool) -> NeRF:
    """Returns a dense grid with an egg of density about 60."""
    nerf = NeRF(Dense((64,)))
    z, y, x = torch.meshgrid(*[torch.linspace(-1, 1, 64)] * 3, indexing="ij")
    with torch.no_grad():
        grid = nerf.volume.grid[0]
        grid[0] = 60 * (0.55 - torch.stack([x, y / 1.3, z / 0.8]).norm(dim=0)).clamp(-0.2, 0.05)
        grid[1:] = torch.stack([3 * x, 3 * y, -3 * x])
    if pruned:
        nerf.prune()
    return nerf.requires_grad_(False)


def camera_pose(azimuth: float, aspect: float) -> Pose:
    """Returns a viewer camera at this azimuth, at the default distance of a run."""
    lens = math.radians(34)
    frame = Cameras(*(torch.tensor([v]) for v in (azimuth, 20.0, 1.2 / math.tan(lens / 2), 34.0))).frame
    position, right, up, forward = (part[0].double().numpy() for part in frame)
    wxyz = SO3.from_matrix(np.stack([right, -up, forward], 1)).wxyz
    return Pose(tuple(wxyz.tolist()), tuple(position.tolist()), lens, aspect)


def render_task(nerf: NeRF, size: int, pose: Pose) -> Callable[[], bytes]:
    """Returns a function with all server work of one frame: render, crop, encode."""
    return lambda: cv2_imencode_with_fallback("jpeg", render_frame(nerf, pose, size, RenderStyle()), 80, "rgb")


def measure_pace(nerf: NeRF, aspect: float, frames: int) -> dict[str, float]:
    """Returns frame size and rate after the adaptive resolution has settled, by processor time per thread."""
    resolution, sides, seconds = AdaptiveResolution(), [], []
    for k in range(frames):
        draw = render_task(nerf, size := resolution.size(256), camera_pose(360 * k / frames, aspect))
        cpu_start = time.process_time()
        draw()
        seconds.append((time.process_time() - cpu_start) / torch.get_num_threads())
        resolution.record(size, seconds[-1])
        sides.append(size)
    later = seconds[frames // 4 :]
    return {
        "pictures_a_second": len(later) / sum(later),
        "side_median": float(np.median(sides[frames // 4 :])),
        "slowest_ms": 1e3 * max(later),
    }


def main() -> None:
    """Measures, prints and saves the results."""
    args = parse_args("Frame rate of the live viewer by image size.", threads=1)
    rounds, turn = (2, 12) if args.quick else (7, 60)
    nerfs = {"pruned": egg_nerf(True), "whole": egg_nerf(False)}
    tasks = {
        (name, ratio, side): render_task(nerf, side, camera_pose(30.0, aspect))
        for name, nerf in nerfs.items()
        for ratio, aspect in (("1:1", 1.0), ("16:9", 16 / 9))
        for side in SIDES
    }
    timings = time_alternately({" ".join(map(str, key)): task for key, task in tasks.items()}, rounds)
    results: dict[str, object] = {"threads": torch.get_num_threads()}
    rate: dict[str, float] = {}
    for name, wall in timings.wall.items():
        cpu = {k: v if k == "n" else 1e3 * v for k, v in summarise(timings.cpu[name]).items()}
        wall_ms = {k: v if k == "n" else 1e3 * v for k, v in summarise(wall).items()}
        rate[name] = 1e3 * torch.get_num_threads() / cpu["median"]
        results[name] = {"cpu_ms": cpu, "wall_ms": wall_ms, "pictures_a_second": rate[name]}
        print(f"{name:18} cpu {cpu['median']:6.1f} ms, wall {wall_ms['median']:6.1f} ms: {rate[name]:5.1f}/s")
    chosen = {name: measure_pace(nerf, 16 / 9, turn) for name, nerf in nerfs.items()}
    results["paced, 16:9, at most 256"] = chosen
    for name, row in chosen.items():
        print(f"adaptive, {name}: {row['pictures_a_second']:.1f} frames/s at {row['side_median']:.0f} pixels")
    whole, pruned = (chosen[name]["pictures_a_second"] for name in ("whole", "pruned"))
    targets = {
        "pictures a second while the camera moves, at most 256 pixels, pruned": goal(">= 10", pruned, pruned >= 10),
        "the same, nothing pruned yet": goal(">= 10", whole, whole >= 10),
    }
    save(args, results, targets)


if __name__ == "__main__":
    main()
