"""Plants one-line faults in a copy of the library and reports whether the tests notice each: `make mutate`.

A fault is a piece of a source file, found there exactly once, and what stands in its place; the test files that should
kill it run until the first failure. Each killer is then run without any fault: one that fails all the same is named,
its faults are tried again without it, and the exit code is 1, as for a surviving fault. Shapes are checked only for
faults that survive without these checks.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults_table import FAULTS, ROOT, Fault

WORKERS = 2
SECONDS = 300  # for the tests of one fault
UNCHECKED = ("-o", "addopts=--import-mode=importlib")  # without checks of annotated shapes, which take half of a start
QUIET = "ignore::pytest.PytestAssertRewriteWarning"  # of plugins that those libraries import
HEAVY = ("torch", "diffusers", "transformers", "matplotlib.pyplot", "scipy.stats", "sklearn.cluster")
TEST_FILES = {path.stem.removeprefix("test_"): path.relative_to(ROOT) for path in ROOT.glob("tests/**/test_*.py")}


@dataclass(frozen=True)
class Outcome:
    """How the tests took a fault."""

    fault: Fault
    verdict: str
    by: str
    seconds: float


@dataclass(frozen=True)
class Session:
    """A pytest session in a process of its own."""

    pid: int
    output: Path
    start: float
    limit: float

    def ended(self) -> int | None:
        """Its exit code, -1 where it ran too long and was ended; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() - self.start <= self.limit:
            return None
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return -1


def begin(home: Path, *arguments: str, limit: float = SECONDS) -> Session:
    """Starts pytest in a copy of the repository, on that copy's sources."""
    output = home.with_suffix(".txt")
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            run_tests(home, output, arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(70)
    return Session(pid, output, time.monotonic(), limit)


def wait(session: Session) -> int:
    """The exit code of a session, once it has ended."""
    while (code := session.ended()) is None:
        time.sleep(0.1)
    return code


def run_tests(home: Path, output: Path, arguments: Sequence[str]) -> None:
    """What the process of a session does: it ends it with pytest's exit code."""
    os.setpgid(0, 0)
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.chdir(home)
    sys.path.insert(0, str(home / "src"))
    os.environ |= {"PYTHONPATH": str(home / "src")}
    import pytest

    code = pytest.main(["-q", "--tb=no", "-p", "no:cacheprovider", "-W", QUIET, *arguments])
    sys.stdout.flush()
    os._exit(int(code))


def failures(output: str) -> list[str]:
    """Ids of the tests that pytest's summary calls failed."""
    return re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, flags=re.MULTILINE)


def copy(origin: Path, home: Path) -> None:
    """A copy of what the tests need, with the code that was compiled there."""
    home.mkdir()
    for name in ("src", "tools", "tests", "docs", "examples", "benchmarks"):
        shutil.copytree(origin / name, home / name)
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copy(origin / name, home)


def check(faults: Sequence[Fault], place: Path, options: Sequence[str]) -> Iterator[Outcome]:
    """Plants each fault in a fresh copy and runs its tests, some at a time."""
    waiting, running = list(enumerate(faults)), {}
    while waiting or running:
        while waiting and len(running) < WORKERS:
            number, fault = waiting.pop(0)
            home = place / f"fault-{number}"
            copy(place / "origin", home)
            text = (home / fault.source).read_text()
            if text.count(fault.old) != 1:
                reason = f"{fault.old!r} stands there {text.count(fault.old)} times, not once"
                yield Outcome(fault, "MISFIT", reason, 0.0)
                continue
            (home / fault.source).write_text(text.replace(fault.old, fault.new))
            tests = [str(TEST_FILES[name]) for name in fault.tests.split()]
            running[fault] = home, begin(home, "-x", *options, *tests)
        time.sleep(0.02)
        for fault, (home, session) in list(running.items()):
            code = session.ended()
            if code is not None:
                del running[fault]
                yield outcome(fault, code, session)
                shutil.rmtree(home)


def outcome(fault: Fault, code: int, session: Session) -> Outcome:
    """What a session's exit code says of a fault: 1 is a failed test."""
    seconds, text = time.monotonic() - session.start, session.output.read_text(errors="replace")
    if code == 0:
        return Outcome(fault, "SURVIVED", "", seconds)
    if code == 1 and failures(text):
        return Outcome(fault, "killed", failures(text)[0], seconds)
    if code == -1:
        return Outcome(fault, "killed", f"still running after {SECONDS} s", seconds)
    return Outcome(fault, "BROKEN", text.strip().splitlines()[-1] if text.strip() else f"code {code}", seconds)


def failing_unharmed(place: Path, tests: Sequence[str]) -> list[str]:
    """Which of these tests fail without any fault, or on sources that are not the copy's."""
    home = place / "unharmed"
    copy(place / "origin", home)
    whose = home / "tests" / "test_whose.py"
    whose.write_text(
        f"import modeseek\n\n\ndef test_whose():\n    assert modeseek.__file__.startswith({str(home)!r})\n"
    )
    session = begin(home, *tests, "tests/test_whose.py", limit=float("inf"))
    code = wait(session)
    shutil.rmtree(home)
    text = session.output.read_text(errors="replace")
    if code not in (0, 1) or any("test_whose" in name for name in failures(text)):
        raise RuntimeError(f"the tests do not run without a fault:\n{text}")
    return failures(text)


def main(wanted: list[str]) -> int:
    """All faults, or those whose name holds one of the given words."""
    faults = [f for f in FAULTS if not wanted or any(word in f.name for word in wanted)]
    start, final, known, left = time.monotonic(), {}, [], faults
    os.environ |= {"OMP_NUM_THREADS": "1"}
    for name in HEAVY:  # sessions are forks of this process; importing neither computes nor starts a thread
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="modeseek-mutation-") as folder:
        place = Path(folder).resolve()
        copy(ROOT, place / "origin")
        wait(begin(place / "origin", "--collect-only", limit=float("inf")))  # compiles all modules once
        options = UNCHECKED
        while left:
            outcomes = []
            for o in check(left, place, [*options, *(f"--deselect={name}" for name in known)]):
                outcomes.append(o)
                print(f"{o.verdict:8} {o.seconds:5.0f} s  {o.fault.path:24} {o.fault.name:44} {o.by}", flush=True)
            final |= {o.fault: o for o in outcomes}
            killers = sorted({o.by for o in outcomes if o.by.startswith("tests/")})
            vain = failing_unharmed(place, killers) if killers else []
            for name in vain:
                print(f"fails without any fault, left out from now on: {name}", flush=True)
            known += vain
            left = [o.fault for o in outcomes if o.by in vain or (options and o.verdict == "SURVIVED")]
            options = ()
    killed = sum(o.verdict == "killed" for o in final.values())
    print(f"{killed} of {len(final)} faults killed in {time.monotonic() - start:.0f} s")
    return 0 if killed == len(final) and not known else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
