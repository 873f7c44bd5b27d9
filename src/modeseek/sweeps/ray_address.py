"""Check of the address of a Ray cluster: Ray itself waits for minutes where none listens, and may end the process."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys

from modeseek.io.errors import one_line, reason

CONNECT_SECONDS = 5.0  # for the connection to the host
ANSWER_SECONDS = 17.0  # for the answer of the cluster
_ADDRESS = re.compile(r"(?:ray://)?(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):(?P<port>\d{1,5})")
_PROBE = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='error')"
_HINT = "start one with ray start --head"


def check_address(address: str, answer_seconds: float = ANSWER_SECONDS) -> None:
    """Checks within half a minute that a Ray cluster answers at an address.

    Args:
        address: host:port, ray://host:port, or auto (the cluster of this machine, or that of RAY_ADDRESS).
        answer_seconds: longest time to wait for its answer, seconds.

    Raises:
        ValueError: the address is invalid, nothing listens there, or what listens is no Ray cluster.
    """
    if address != "auto":
        check_listening(address)
    check_answer(address, answer_seconds)


def check_listening(address: str) -> None:
    """Checks that something listens at host:port or ray://host:port.

    Raises:
        ValueError: the address is invalid, or nothing listens there.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 2**16:
        raise ValueError(f"--address must be HOST:PORT, ray://HOST:PORT or auto, got {address!r}; try 192.0.2.7:6379")
    try:
        socket.create_connection((match["host"].strip("[]"), int(match["port"])), CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise ValueError(f"there is no Ray cluster at {address}: {reason(error)}; {_HINT}") from error


def check_answer(address: str, seconds: float = ANSWER_SECONDS) -> None:
    """Checks in a process of its own that a cluster answers.

    Raises:
        ValueError: it does not, or not in time.
    """
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-c", _PROBE, address]
    try:
        probe = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(
            f"there is no Ray cluster at {address}: no answer within {seconds:g} s; {_HINT}, or check its firewall"
        ) from error
    if probe.returncode:
        lines = [line for line in probe.stderr.splitlines() if line.strip()] or [f"exit code {probe.returncode}"]
        said = next((line for line in reversed(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)), lines[-1])
        raise ValueError(
            f"there is no Ray cluster at {address}: {one_line(said.partition(': ')[2] or said, 200)}; {_HINT}"
        )
