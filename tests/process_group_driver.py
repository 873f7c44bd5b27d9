"""Driver of `test_process_group.py`: forks the command line with the environment that `torchrun` sets.

`python process_group_driver.py FOLDER` runs every scenario and writes `results.json`: exit codes and output of each.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.distributed as dist
from distributed_driver import run_forked

from modeseek.cli import main
from modeseek.methods.cfd import CFD

RUN = ["run", "--prior", "ring", "--generator", "latent", "--method", "cfd", "--steps", "24", "--set"]
RUN += ["generator.latent.n=5", "previews=0", "saving.steps=9", "optimizer.adam.lr=0.05"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_command(
    folder: Path, scenario: str, size: int, argv: list[str], before: Callable[[int], None] | None = None
) -> Any:
    """Runs one command in `size` processes; `before` is called in each with its rank."""
    port = free_port()

    def launch(rank: int) -> None:
        variables = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": size,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        os.environ.update({name: str(value) for name, value in variables.items()})
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / f"{scenario}-{rank}.{name}", os.O_WRONLY | os.O_CREAT), stream)
        if before is not None:
            before(rank)
        main(argv)

    codes = run_forked([lambda rank=rank: launch(rank) for rank in range(size)])
    printed = [[(folder / f"{scenario}-{rank}.{name}").read_text() for name in ("out", "err")] for rank in range(size)]
    return {"codes": codes, "printed": printed}


def at_step(number: int, rank: int, act: Callable[[], None]) -> Callable[[int], None]:
    """Calls `act` in one process before a step."""

    def before(own: int) -> None:
        real, calls = CFD.step, [0]

        def step(self: CFD, *args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if own == rank and calls[0] == number:
                act()
            return real(self, *args, **kwargs)

        CFD.step = step  # in this process alone

    return before


def slow_connection(connected: Path) -> Callable[[int], None]:
    """Delays the connection of rank 1, and touches `connected` afterwards."""

    def before(own: int) -> None:
        real = dist.init_process_group

        def slow(*args: Any, **kwargs: Any) -> None:
            real(*args, **kwargs)
            time.sleep(0.5)
            connected.touch()

        if own == 1:
            dist.init_process_group = slow  # in this process alone

    return before


def fail() -> None:
    raise ValueError("the third step is broken")


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def scenarios(folder: Path) -> dict[str, Any]:
    def out(name: str) -> list[str]:
        return ["--out", str(folder / name)]

    main([*RUN, *out("whole")])  # imports everything once, before the forks
    return {
        "two": run_command(folder, "two", 2, [*RUN, *out("two")]),
        "stopped": run_command(folder, "stopped", 2, [*RUN, *out("continued")], at_step(13, 1, terminate)),
        "resumed": run_command(folder, "resumed", 3, ["resume", str(folder / "continued")]),
        "failed": run_command(folder, "failed", 2, [*RUN, *out("failed")], at_step(5, 1, fail)),
        "killed": run_command(folder, "killed", 2, [*RUN, *out("killed")], at_step(5, 1, lambda: os._exit(9))),
        "alone": run_command(folder, "alone", 2, ["toy", *out("toy")], slow_connection(folder / "connected")),
        "shared": run_command(folder, "shared", 6, [*RUN, *out("shared")]),
    }


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    (directory / "results.json").write_text(json.dumps(scenarios(directory)))
