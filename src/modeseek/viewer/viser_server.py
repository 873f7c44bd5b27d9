"""Inner viser server: listens on loopback only, accepts connections of the proxy only, and never publishes the page."""

from __future__ import annotations

import contextlib
import hmac
import io
import warnings
from importlib.util import find_spec
from typing import Any

from modeseek.viewer.auth import SECRET_HEADER


def start_viser(secret: str) -> Any:
    """Starts viser on a free port of 127.0.0.1 for connections that carry the secret in the header `SECRET_HEADER`.

    viser has no such check, and no way to disable its button that publishes the page through an external server. Both
    are done here through private attributes of its connection object (viser 1.1).

    Raises:
        ValueError: viser is missing.
    """
    if find_spec("viser") is None:
        raise ValueError("the viewer needs the package viser: got none; pip install 'modeseek[viewer]'")
    import viser
    from viser import _messages

    with contextlib.redirect_stdout(io.StringIO()):  # it prints the inner address, which refuses browsers
        server: Any = viser.ViserServer(host="127.0.0.1", port=0, verbose=False)
    # A window may close while its frame is rendered, which is harmless.
    warnings.filterwarnings("ignore", "Queued a BackgroundImageMessage on a closed connection")
    inner: Any = server._websock_server

    async def require_secret(connection: Any) -> None:
        header = inner._live_connections[connection.client_id].request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(header.encode(), secret.encode()):
            raise PermissionError("a connection that did not come through the proxy was refused")

    inner._client_connect_cb.insert(0, require_secret)
    messages: Any = _messages
    for message_type in (messages.ShareUrlRequest, messages.ShareUrlDisconnect):
        inner.unregister_handler(message_type)
    server.gui.configure_theme(show_logo=False, show_share_button=False)
    server.gui.main_panel.dock_right()
    server.scene.set_up_direction("+y")
    return server


def stop_viser(server: Any) -> None:
    """Stops the server, without its message on stdout."""
    with contextlib.redirect_stdout(io.StringIO()):
        server.stop()
