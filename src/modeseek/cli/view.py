"""`modeseek view`: a run in the browser, live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import tyro

from modeseek.rundir.run_dir import Run
from modeseek.viewer.server import serve_run


@dataclass(frozen=True)
class ViewCommand:
    """RenderStyle at a run in the browser, finished or while it works: turn the thing, go through its checkpoints.

    The folder is only read; the prior is not loaded. The page follows the newest checkpoint until it is told not to,
    and shows colours, depth, normals, opacity, the density across a plane, and the metrics. Of flat things it shows
    the pictures that the run keeps. Ctrl-C ends it; the run goes on.

    Only this machine can open the page. With --host others can, who have the address with its token. What is sent is
    not encrypted: over a network that others read, use an SSH tunnel (ssh -L 8080:localhost:8080 machine) instead.

    Examples:
      modeseek view mug

      modeseek view runs/msd-a-red-mug-20260101T000000Z-ab12 --host 0.0.0.0 --port 9000
    """

    run_folder: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="RUN")]]
    """A run's folder, or its name in runs/."""
    host: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    """Interface to listen on, such as 0.0.0.0; then only who has the token in the address is let in. 127.0.0.1 without
    a token by default."""
    port: int = 8080
    """To listen on; 0 takes one that is free."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """That renders: cpu, cuda, cuda:1 or mps."""

    def run(self, argv: Sequence[str]) -> None:
        """Serves until Ctrl-C."""
        run = Run.load(self.run_folder)
        if run.running:  # it needs the processor too, and threads that wait for each other lose most
            torch.set_num_threads(max(1, torch.get_num_threads() // 2))
        try:
            with serve_run(run, self.host, self.port, self.device) as viewer:
                print(f"Open {viewer.address} (Ctrl-C ends)", flush=True)
                viewer.wait()
        except KeyboardInterrupt:
            print()
