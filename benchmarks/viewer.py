"""How many pictures a second does the live viewer render and encode, by their side, and does its pace keep ten?

A dense grid of 64 points a side that holds an egg, 48 samples a ray, seen by the viewer's first camera in a square
window and in one of 16:9 (whose shorter side counts). Once with all of space open, as in the first half of a run, and
once pruned, as afterwards. A picture is rendered, cut to the window, turned into bytes and encoded as JPEG by viser's
own encoder: all that the server does for it. Then the viewer's pace chooses the side, at most 256 pixels, picture by
picture, while the camera goes around.

Rates are by processor time, which with one thread (the default here) is the clock of a machine with nothing else to
do; the clock's own times are kept beside it. On an idle machine --threads 2 tells what a second core adds.
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
from modeseek.viewer.adaptive_resolution import Pace
from modeseek.viewer.render_frame import Look, picture
from modeseek.viewer.viser_camera import Pose

SIDES = (64, 128, 192, 256, 384)


def egg_nerf(pruned: bool) -> NeRF:
    """A grid with an egg of density about 60 in it."""
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
    """The viewer's camera there, at the distance of a run's own."""
    lens = math.radians(34)
    frame = Cameras(*(torch.tensor([v]) for v in (azimuth, 20.0, 1.2 / math.tan(lens / 2), 34.0))).frame
    position, right, up, forward = (part[0].double().numpy() for part in frame)
    wxyz = SO3.from_matrix(np.stack([right, -up, forward], 1)).wxyz
    return Pose(tuple(wxyz.tolist()), tuple(position.tolist()), lens, aspect)


def render_task(nerf: NeRF, size: int, pose: Pose) -> Callable[[], bytes]:
    """All that the server does for one picture."""
    return lambda: cv2_imencode_with_fallback("jpeg", picture(nerf, pose, size, Look()), 80, "rgb")


def measure_pace(nerf: NeRF, aspect: float, pictures: int) -> dict[str, float]:
    """Sides and rate once the pace has settled, by processor time a thread."""
    pace, sides, seconds = Pace(), [], []
    for k in range(pictures):
        draw = render_task(nerf, size := pace.size(256), camera_pose(360 * k / pictures, aspect))
        began = time.process_time()
        draw()
        seconds.append((time.process_time() - began) / torch.get_num_threads())
        pace.took(size, seconds[-1])
        sides.append(size)
    later = seconds[pictures // 4 :]
    return {
        "pictures_a_second": len(later) / sum(later),
        "side_median": float(np.median(sides[pictures // 4 :])),
        "slowest_ms": 1e3 * max(later),
    }


def main() -> None:
    """Measures, prints, saves."""
    args = parse_args("How many pictures a second does the live viewer render, by their side?", threads=1)
    rounds, turn = (2, 12) if args.quick else (7, 60)
    things = {"pruned": egg_nerf(True), "whole": egg_nerf(False)}
    tasks = {
        (name, ratio, side): render_task(nerf, side, camera_pose(30.0, aspect))
        for name, nerf in things.items()
        for ratio, aspect in (("1:1", 1.0), ("16:9", 16 / 9))
        for side in SIDES
    }
    timings = time_alternately({" ".join(map(str, key)): task for key, task in tasks.items()}, rounds)
    results: dict[str, object] = {"threads": torch.get_num_threads()}
    rate: dict[str, float] = {}
    for name, wall in timings.wall.items():
        told = {k: v if k == "n" else 1e3 * v for k, v in summarise(timings.cpu[name]).items()}
        clock = {k: v if k == "n" else 1e3 * v for k, v in summarise(wall).items()}
        rate[name] = 1e3 * torch.get_num_threads() / told["median"]
        results[name] = {"cpu_ms": told, "wall_ms": clock, "pictures_a_second": rate[name]}
        print(f"{name:18} processor {told['median']:6.1f} ms, clock {clock['median']:6.1f} ms: {rate[name]:5.1f}/s")
    chosen = {name: measure_pace(nerf, 16 / 9, turn) for name, nerf in things.items()}
    results["paced, 16:9, at most 256"] = chosen
    for name, told in chosen.items():
        print(f"paced, {name}: {told['pictures_a_second']:.1f}/s at {told['side_median']:.0f} pixels")
    whole, pruned = (chosen[name]["pictures_a_second"] for name in ("whole", "pruned"))
    targets = {
        "pictures a second while the camera moves, at most 256 pixels, pruned": goal(">= 10", pruned, pruned >= 10),
        "the same, nothing pruned yet": goal(">= 10", whole, whole >= 10),
    }
    save(args, results, targets)


if __name__ == "__main__":
    main()
