"""What `test_crew.py` has several processes do: the command line itself, forked with what `torchrun` tells each.

`python process_group_driver.py FOLDER` plays every scene and leaves `told.json`: exit codes and output of each process.
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
from distributed_driver import forked

from modeseek.cli import main
from modeseek.methods.cfd import CFD

RUN = ["run", "--prior", "ring", "--generator", "latent", "--method", "cfd", "--steps", "24", "--set"]
RUN += ["generator.latent.n=5", "previews=0", "saving.steps=9", "optimizer.adam.lr=0.05"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def played(folder: Path, scene: str, size: int, argv: list[str], before: Callable[[int], None] | None = None) -> Any:
    """One command in that many processes; `before` is called in each with its rank."""
    port = free_port()

    def act(rank: int) -> None:
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in told.items()})
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / f"{scene}-{rank}.{name}", os.O_WRONLY | os.O_CREAT), stream)
        if before is not None:
            before(rank)
        main(argv)

    codes = forked([lambda rank=rank: act(rank) for rank in range(size)])
    printed = [[(folder / f"{scene}-{rank}.{name}").read_text() for name in ("out", "err")] for rank in range(size)]
    return {"codes": codes, "printed": printed}


def at_step(number: int, rank: int, act: Callable[[], None]) -> Callable[[int], None]:
    """Something happens in one process before a step."""

    def before(own: int) -> None:
        real, met = CFD.step, [0]

        def step(self: CFD, *given: Any, **named: Any) -> Any:
            met[0] += 1
            if own == rank and met[0] == number:
                act()
            return real(self, *given, **named)

        CFD.step = step  # in this process alone

    return before


def late(met: Path) -> Callable[[int], None]:
    """The second process takes long to meet the others, and says when it has."""

    def before(own: int) -> None:
        real = dist.init_process_group

        def slow(*given: Any, **named: Any) -> None:
            real(*given, **named)
            time.sleep(0.5)
            met.touch()

        if own == 1:
            dist.init_process_group = slow  # in this process alone

    return before


def fail() -> None:
    raise ValueError("the third projector is on fire")


def wish() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def scenes(folder: Path) -> dict[str, Any]:
    def out(name: str) -> list[str]:
        return ["--out", str(folder / name)]

    main([*RUN, *out("whole")])  # here: whatever it imports is loaded once
    return {
        "two": played(folder, "two", 2, [*RUN, *out("two")]),
        "stopped": played(folder, "stopped", 2, [*RUN, *out("moved")], at_step(13, 1, wish)),
        "resumed": played(folder, "resumed", 3, ["resume", str(folder / "moved")]),
        "failed": played(folder, "failed", 2, [*RUN, *out("failed")], at_step(5, 1, fail)),
        "killed": played(folder, "killed", 2, [*RUN, *out("killed")], at_step(5, 1, lambda: os._exit(9))),
        "alone": played(folder, "alone", 2, ["toy", *out("toy")], late(folder / "met")),
        "shared": played(folder, "shared", 6, [*RUN, *out("shared")]),
    }


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "told.json").write_text(json.dumps(scenes(place)))
