"""The viewer's port: only this machine reaches it, it publishes nothing, and it is free again afterwards."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import viser
from fabricated_runs import fabricate
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from modeseek.rundir.run_dir import Run
from modeseek.viewer.server import Viewer, serve_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fabricate(tmp_path_factory.mktemp("runs") / "run", done=10, n_previews=2, steps=10)


@pytest.fixture(scope="module")
def served(run: Run) -> Iterator[Viewer]:
    with serve_run(run, port=0) as viewer:
        yield viewer


def status(port: int) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().status


def client(port: int) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{port}/", subprotocols=[Subprotocol(f"viser-v{viser.__version__}")])


def listening(port: int) -> list[str]:
    """Addresses on which this machine listens on a port, as the kernel writes them (in hexadecimal)."""
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        if (path := Path("/proc/net") / table).exists()
        for line in path.read_text().splitlines()[1:]
    ]
    return [row[1].partition(":")[0] for row in rows if row[3] == "0A" and int(row[1].partition(":")[2], 16) == port]


def test_it_listens_on_the_loopback_address_and_nothing_else(served: Viewer) -> None:
    assert served.address == f"http://127.0.0.1:{served.port}/" and status(served.port) == 200
    if Path("/proc/net/tcp").exists():
        assert listening(served.port) == ["0100007F"]
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)}
    for address in {*addresses, "127.0.0.2", "::1"} - {"127.0.0.1"}:
        with pytest.raises(OSError):
            socket.create_connection((str(address), served.port), timeout=2).close()


def test_no_client_can_publish_the_page(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, disconnected = [], threading.Event()
    monkeypatch.setattr("viser.ViserServer.request_share_url", lambda *args: asked.append(args))
    monkeypatch.setattr("viser.ViserServer.disconnect_share_url", lambda *args: disconnected.set())
    with serve_run(run, port=0) as viewer, client(viewer.port) as connection:
        assert len(connection.recv(timeout=10)) > 16
        connection.send(msgspec.msgpack.encode({"type": "ShareUrlRequest"}))
        connection.send(msgspec.msgpack.encode({"type": "ShareUrlDisconnect"}))  # handled after the request
        assert disconnected.wait(10)
    assert asked == []


def test_a_closed_viewer_leaves_its_port(run: Run) -> None:
    with serve_run(run, port=0) as viewer:
        assert status(viewer.port) == 200
    with pytest.raises(ConnectionRefusedError):
        status(viewer.port)
    with serve_run(run, port=viewer.port) as again:
        assert again.port == viewer.port and status(again.port) == 200
