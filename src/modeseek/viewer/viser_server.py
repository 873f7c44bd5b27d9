"""viser itself, shut in: it listens on this machine only, hears only who came through the gate, and shares nothing."""

from __future__ import annotations

import contextlib
import hmac
import io
import warnings
from importlib.util import find_spec
from typing import Any

from modeseek.viewer.auth import SECRET_HEADER


def start_viser(secret: str) -> Any:
    """A viser server on a free port of 127.0.0.1, silent, for whoever says the secret in the field `SECRET_HEADER`.

    viser has no such rule, nor a way to switch off its button that publishes the page through a server elsewhere. Both
    are done here, at the two places of its connection object (viser 1.1) where that is possible.

    Raises:
        ValueError: viser is missing.
    """
    if find_spec("viser") is None:
        raise ValueError("the viewer needs the package viser: got none; pip install 'modeseek[viewer]'")
    import viser
    from viser import _messages

    with contextlib.redirect_stdout(io.StringIO()):  # it prints the inner address, which lets nobody in
        server: Any = viser.ViserServer(host="127.0.0.1", port=0, verbose=False)
    # A window may close while its picture is drawn: nothing that anybody need be told.
    warnings.filterwarnings("ignore", "Queued a BackgroundImageMessage on a closed connection")
    inner: Any = server._websock_server

    async def only_through_the_gate(connection: Any) -> None:
        said = inner._live_connections[connection.client_id].request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(said.encode(), secret.encode()):
            raise PermissionError("a connection that did not come through the gate was refused")

    inner._client_connect_cb.insert(0, only_through_the_gate)
    messages: Any = _messages
    for kind in (messages.ShareUrlRequest, messages.ShareUrlDisconnect):
        inner.unregister_handler(kind)
    server.gui.configure_theme(show_logo=False, show_share_button=False)
    server.gui.main_panel.dock_right()
    server.scene.set_up_direction("+y")
    return server


def stop_viser(server: Any) -> None:
    """Ends it, without a word."""
    with contextlib.redirect_stdout(io.StringIO()):
        server.stop()
