"""viser server on a port of 127.0.0.1, which never publishes the page."""

from __future__ import annotations

import contextlib
import errno
import io
import socket
import warnings
from importlib.util import find_spec
from typing import Any

HOST = "127.0.0.1"


def start_viser(port: int) -> Any:
    """Starts viser on a port of 127.0.0.1; 0 takes any free one.

    viser accepts every connection to its port, and any of them may make it publish the page through an external
    server: here that request has no effect.

    Raises:
        ValueError: viser is missing, or the port is taken or not allowed.
    """
    if find_spec("viser") is None:
        raise ValueError("the viewer needs the package viser: got none; pip install 'modeseek[viewer]'")
    import viser

    class LocalServer(viser.ViserServer):
        def request_share_url(self, verbose: bool = True) -> None:
            """Publishes nothing."""

    _check_free(port)
    with contextlib.redirect_stdout(io.StringIO()):  # the command prints the address
        server = LocalServer(host=HOST, port=port, verbose=False)
    # A window may close while its frame is rendered, which is harmless.
    warnings.filterwarnings("ignore", "Queued a BackgroundImageMessage on a closed connection")
    server.gui.configure_theme(show_logo=False, show_share_button=False)
    server.gui.main_panel.dock_right()
    server.scene.set_up_direction("+y")
    return server


def stop_viser(server: Any) -> None:
    """Stops the server, without its message on stdout."""
    with contextlib.redirect_stdout(io.StringIO()):
        server.stop()


def _check_free(port: int) -> None:
    """Raises ValueError unless the port can be listened on; viser itself would take the next one."""
    if not 0 <= port < 2**16:
        raise ValueError(f"a port must be in 0 to 65535, got {port}; try 0 for any free one")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ValueError(
                    f"port {port} is taken: pass another with --port, or --port 0 for any free one"
                ) from error
            reason = (error.strerror or str(error)).lower()
            raise ValueError(f"cannot listen on port {port}: {reason}; choose another --port") from error
