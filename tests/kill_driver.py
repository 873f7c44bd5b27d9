"""Driver of `test_killed.py`: kills runs, resumes them, and prints the result as JSON.

`python kill_driver.py SEED FOLDER writes=COUNT moments=COUNT signals=COUNT`, one result for each of these kinds:

"writes": the process dies at its n-th write (a file, a line, a sync, a rename), half of it done, for n over the whole
run in COUNT even strides. "moments": SIGKILL at COUNT random moments of runs and of their resumptions. Afterwards every
run is resumed to its end and compared, bit for bit, with an uninterrupted one. "signals": as "moments", but with
Ctrl-C and SIGTERM, which must end with the code that says resumable. Each run is a fork, so that the
run is killed and not the import of torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from modeseek.cli import main as command
from modeseek.io import atomic as disk
from modeseek.rundir import checkpoint
from modeseek.rundir import run_dir as run

CONFIG = """
verb: run
prior: {problem: {name: ring}}
method: {msd: {bandwidth: {adaptive: {end: 0.1}}, jitter: {fading: {}}}}
generator: {points: {start: {noise: {n: 9}}}}
optimizer: {adam: {lr: 0.05}}
previews: 2
film: none
"""


def fork_command(argv: list[str], out: Path, at: int = 0, count_file: Path | None = None) -> int:
    """Runs the command in a forked child that dies at its at-th write (0: never); returns the child's process id."""
    child = os.fork()
    if child:
        return child
    quiet = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    code = 70
    try:
        patch_writes(at, count_file)
        command(argv)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 71
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def patch_writes(at: int, count_file: Path | None) -> None:
    """Counts writes, in `count_file` if given, and dies at the at-th."""
    real: dict[str, Any] = {name: getattr(disk, name) for name in ("write_synced", "_append", "_sync", "_rename")}
    count = 0

    def due() -> bool:
        nonlocal count
        count += 1
        if count_file is not None:
            count_file.write_text(str(count))
        return count == at

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    def write_synced(path: Path, data: bytes) -> None:
        if due():
            path.write_bytes(data[: len(data) // 2])
            die()
        real["write_synced"](path, data)

    def append(handle: int, data: bytes) -> None:
        if due():
            os.write(handle, data[: len(data) // 2])
            die()
        real["_append"](handle, data)

    def sync(handle: int) -> None:
        if due():
            die()
        real["_sync"](handle)

    def rename(source: Path, target: Path) -> None:
        if due():
            die()
        real["_rename"](source, target)

    for module in (disk, checkpoint, run):
        module.write_synced = write_synced  # pyright: ignore[reportAttributeAccessIssue]
    disk._append, disk._sync, disk._rename = append, sync, rename


def wait_for(child: int) -> int:
    """Exit code of the child, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def stopped(code: int, number: signal.Signals, folder: Path) -> bool:
    """Asserts that the signal ended the process as specified; False if it had finished before."""
    if number == signal.SIGKILL:
        return code == -signal.SIGKILL
    if code == 75:
        status = run.Run(folder).status
        assert status.state == "stopped" and status.checkpoint == status.step, status
        assert status.reason.startswith(number.name), status
        return True
    if code == 0 or (folder / "status.json").exists() and run.Run(folder).status.state == "finished":
        return False
    has_metrics = (folder / "metrics.jsonl").exists()
    assert code in (130, -signal.SIGTERM) and (not has_metrics or run.Run(folder).status.state != "running"), code
    return True


def corrupt(folder: Path) -> list[str]:
    """Errors of checkpoints that have their final name and are damaged."""
    errors = []
    for path in checkpoint.list_checkpoints(folder / "checkpoints"):
        try:
            checkpoint.read_checkpoint(path)
        except ValueError as error:
            errors.append(str(error))
    return errors


def digests(folder: Path) -> dict[str, str]:
    """Digests of everything that must not depend on kills."""
    rows = [{k: v for k, v in row.items() if k not in ("seconds", "memory_mb")} for row in run.Run(folder).metrics]
    found = {"rows": hashlib.sha256(json.dumps(rows).encode()).hexdigest(), "n": str(len(rows))}
    for path in sorted([*(folder / "exports").iterdir(), *(folder / "previews").iterdir()]):
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    last = checkpoint.read_checkpoint(checkpoint.list_checkpoints(folder / "checkpoints")[-1])
    for name, tensor in sorted(last.tensors.items()):
        found[name] = hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
    found["report"] = str((folder / "report.html").stat().st_size > 0)
    return found | {"state": run.Run(folder).status.state, "calls": str(run.Run(folder).status.calls)}


def next_command(first: list[str], folder: Path) -> list[str]:
    """The command that a user would type next."""
    return ["resume", str(folder)] if (folder / "status.json").exists() else first


def main() -> None:
    """Entry point, see the module docstring."""
    seed, root, results = int(sys.argv[1]), Path(sys.argv[2]), {}
    root.mkdir(parents=True, exist_ok=True)
    (root / "config.yaml").write_text(CONFIG)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warm = ["--set", "steps=2", "--out", str(root / "warm")]
        command(["run", str(root / "config.yaml"), *warm])  # imports what a run needs, before the forks
    for argument in sys.argv[3:]:
        kind, count = argument.split("=")
        (root / kind).mkdir()
        results[kind] = kill_runs(kind, seed, int(count), root / kind, root / "config.yaml")
    print(json.dumps(results))


def kill_runs(kind: str, seed: int, count: int, root: Path, config: Path) -> dict[str, Any]:
    """Kills runs in one of the ways of the module docstring and resumes them."""
    out = root.parent / "output.txt"
    steps = ["--steps", "12", "--set", "saving.steps=3"] if kind == "writes" else ["--steps", "240"]
    if kind != "writes":
        steps += ["--set", "saving.steps=8"]

    def run_command(folder: Path) -> list[str]:
        return ["run", str(config), *steps, "--out", str(folder)]

    whole, count_file = root / "whole", root / "writes.txt"
    began = time.perf_counter()
    assert wait_for(fork_command(run_command(whole), out, count_file=count_file)) == 0, out.read_text()
    seconds = time.perf_counter() - began
    expected, writes = digests(whole), int(count_file.read_text())
    result: dict[str, Any] = {"writes": writes, "kills": 0, "corrupt": [], "different": [], "failed": []}

    def finish(folder: Path) -> None:
        code = wait_for(fork_command(next_command(run_command(folder), folder), out))
        if code:
            result["failed"].append(f"{folder.name}: code {code}")
        else:
            found = digests(folder)
            result["different"] += [f"{folder.name}: {k}" for k in expected if expected[k] != found.get(k)]

    if kind == "writes":
        for at in range(1 + seed % max(1, writes // count), writes + 1, max(1, writes // count)):
            folder = root / f"at-{at}"
            if wait_for(fork_command(run_command(folder), out, at)) == -signal.SIGKILL:
                result["kills"] += 1
            result["corrupt"] += corrupt(folder)
            finish(folder)
    else:
        rng, number, folder = random.Random(seed), 0, root / "moment-0"
        while result["kills"] < count:
            child = fork_command(next_command(run_command(folder), folder), out)
            time.sleep(rng.uniform(0, seconds / 3))
            number_of = signal.SIGKILL if kind == "moments" else rng.choice([signal.SIGINT, signal.SIGTERM])
            os.kill(child, number_of)
            if stopped(wait_for(child), number_of, folder):
                result["kills"] += 1
                result["corrupt"] += corrupt(folder)
            else:
                finish(folder)
                number += 1
                folder = root / f"moment-{number}"
        finish(folder)
        result["runs"] = number + 1
    return result


if __name__ == "__main__":
    main()
