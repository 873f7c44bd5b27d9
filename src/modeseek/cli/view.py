"""`modeseek view`: live viewer of a run in the browser."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import tyro

from modeseek.cli import options
from modeseek.device import AUTO, resolve_device
from modeseek.rundir.run_dir import Run
from modeseek.viewer.server import serve_run


@dataclass(frozen=True)
class ViewCommand:
    """View a run in the browser, finished or running: rotate the 3D shape, browse its checkpoints.

    Reads the run folder only and does not load the prior. The page follows the newest checkpoint by default and shows
    colour, depth, normals, opacity, a density cross-section and the metrics; of 2-D generators it shows the saved
    previews. Ctrl-C stops the viewer, not the run.

    Only this machine can open the page. From another one, first open an SSH tunnel there, then the same address:

      ssh -L 8080:127.0.0.1:8080 MACHINE

    Examples:
      modeseek view mug

      modeseek view runs/msd-a-red-mug-20260101T000000Z-ab12 --port 9000
    """

    run_folder: options.RunFolder = None
    port: int = 8080
    """Port of 127.0.0.1 to listen on; 0 picks a free one."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = AUTO
    """Device for rendering: auto (cuda, else mps, else cpu), cpu, cuda, cuda:1 or mps."""

    def run(self, argv: Sequence[str]) -> None:
        """Serves until Ctrl-C."""
        run = Run.find(self.run_folder)
        if run.running:  # shares the CPU with the run; oversubscribed threads are slower
            torch.set_num_threads(max(1, torch.get_num_threads() // 2))
        try:
            with serve_run(run, self.port, str(resolve_device(self.device))) as viewer:
                tunnel = f"ssh -L {viewer.port}:127.0.0.1:{viewer.port} {socket.gethostname()}"
                print(f"Open {viewer.address} (Ctrl-C to quit)", flush=True)
                print(f"From another machine: {tunnel}, then the same address there", flush=True)
                viewer.wait()
        except KeyboardInterrupt:
            print()
