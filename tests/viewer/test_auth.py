"""Authentication of the viewer: the rules alone, and a real port with viser behind it."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import pytest
import viser
from fabricated_runs import fabricate
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from modeseek.viewer import viser_server
from modeseek.viewer.auth import SECRET_HEADER, Authenticator
from modeseek.viewer.server import Viewer, serve_run

TOKEN = "s3cret-t0ken"
LOCAL, WITH_TOKEN = Authenticator("psst", "kept"), Authenticator("psst", "kept", TOKEN)
WEBSOCKET = ("Upgrade: websocket", "Connection: Upgrade")


def head(*fields: str, target: str = "/", host: str = "localhost:8080", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("authenticator", "request_head", "code"),
    [
        (LOCAL, head(), 0),
        (LOCAL, head(host="127.0.0.1:9"), 0),
        (LOCAL, head(host="[::1]:9"), 0),
        (LOCAL, head(host="evil.example:8080"), 403),  # DNS rebinding
        (LOCAL, head(host="localhost.evil.example"), 403),
        (LOCAL, head(*WEBSOCKET, "Origin: http://localhost:8080"), 0),
        (LOCAL, head(*WEBSOCKET), 0),  # no browser
        (LOCAL, head(*WEBSOCKET, "Origin: http://evil.example"), 403),
        (LOCAL, head(*WEBSOCKET, "Origin: http://localhost:9999"), 403),
        (LOCAL, head(*WEBSOCKET, "Origin: null"), 403),
        (LOCAL, head("upgrade: WebSocket", "origin: http://evil.example"), 403),
        (LOCAL, head(method="POST"), 405),
        (LOCAL, b"hello\r\n\r\n", 400),
        (LOCAL, b"GET / HTTP/1.1\r\n\r\n", 400),  # no host
        (LOCAL, head("Host: evil.example"), 400),
        (LOCAL, head(" folded: line"), 400),
        (LOCAL, head("nameless"), 400),
        (LOCAL, head("A: b\nX-Modeseek-Inside: c"), 400),
        (WITH_TOKEN, head(), 403),
        (WITH_TOKEN, head(host="any.name:80"), 403),
        (WITH_TOKEN, head(target="/?token="), 403),
        (WITH_TOKEN, head(target="/?token=wrong"), 403),
        (WITH_TOKEN, head(target=f"/?token={TOKEN}x"), 403),
        (WITH_TOKEN, head(target=f"/?other={TOKEN}"), 403),
        (WITH_TOKEN, head("Cookie: kept=wrong"), 403),
        (WITH_TOKEN, head("Cookie: another=" + TOKEN), 403),
        (WITH_TOKEN, head("Cookie: kept="), 403),
        (WITH_TOKEN, head(*WEBSOCKET), 403),
        (WITH_TOKEN, head(*WEBSOCKET, "Cookie: kept=" + TOKEN, "Origin: http://evil.example"), 403),
        (WITH_TOKEN, head("Cookie: kept=" + TOKEN, "Cookie: kept=wrong"), 400),
        (WITH_TOKEN, head(target=f"/?token={TOKEN}", host="any.name"), 303),
        (WITH_TOKEN, head("Cookie: a=b; kept=" + TOKEN, host="any.name"), 0),
        (WITH_TOKEN, head(*WEBSOCKET, "Cookie: kept=" + TOKEN, "Origin: http://localhost:8080"), 0),
        (WITH_TOKEN, head(*WEBSOCKET, target=f"/?token={TOKEN}"), 0),
        (WITH_TOKEN, head("Cookie: kept=\xe4"), 403),
    ],
)
def test_the_rules(authenticator: Authenticator, request_head: bytes, code: int) -> None:
    decision = authenticator.check(request_head)
    assert (decision.reply is None) == (code == 0) != (decision.forward is None)
    if decision.reply is not None:
        start, _, body = decision.reply.partition(b"\r\n\r\n")
        assert start.startswith(f"HTTP/1.1 {code} ".encode()) and TOKEN.encode() not in body
        assert b"psst" not in decision.reply and f"Content-Length: {len(body)}".encode() in start


def test_the_token_becomes_a_cookie_and_leaves_the_address() -> None:
    reply = (WITH_TOKEN.check(head(target=f"/?token={TOKEN}")).reply or b"").decode()
    assert "\r\nLocation: /\r\n" in reply
    assert f"\r\nSet-Cookie: kept={TOKEN}; HttpOnly; SameSite=Lax; Path=/" in reply


def test_a_forwarded_request_has_our_secret_and_no_other() -> None:
    forward = LOCAL.check(head(f"{SECRET_HEADER.lower()}: guessed", "Accept: */*", target="/a?b=c")).forward
    assert forward == b"\r\n".join(
        [b"GET /a?b=c HTTP/1.1", b"Host: localhost:8080", b"Accept: */*", b"X-Modeseek-Inside: psst", b"", b""]
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    run = fabricate(tmp_path_factory.mktemp("runs") / "run", done=10, n_previews=2, steps=10)
    with serve_run(run, host="127.0.0.1", port=0) as viewer:
        yield viewer


class Response(NamedTuple):
    status: int
    fields: Message
    body: bytes


def get(port: int, target: str = "/", **fields: str) -> Response:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", target, headers=fields)
        with connection.getresponse() as answer:
            return Response(answer.status, answer.headers, answer.read())


def first_message(port: int, **fields: str) -> bytes:
    """The first message of viser to a connection with these headers."""
    protocol = [f"viser-v{viser.__version__}"]
    with connect(f"ws://127.0.0.1:{port}/", subprotocols=protocol, additional_headers=fields) as connection:  # pyright: ignore[reportArgumentType]
        message = connection.recv(timeout=10)
        assert isinstance(message, bytes)
        return message


def test_page_and_websocket_open_to_the_token_only(served: Viewer) -> None:
    token = served.address.partition("?token=")[2]
    assert len(token) >= 20 and served.address == f"http://127.0.0.1:{served.port}/?token={token}"
    for target, fields in (("/", {}), ("/?token=wrong", {}), ("/", {"Cookie": f"modeseek_view_{served.port}=wrong"})):
        response = get(served.port, target, **fields)
        assert response.status == 403 and b"with its token" in response.body
        with pytest.raises(InvalidStatus) as refusal:
            first_message(served.port, **fields)
        assert refusal.value.response.status_code == 403
    redirect = get(served.port, f"/?token={token}")
    assert redirect.status == 303 and redirect.fields["Location"] == "/"
    cookie = redirect.fields["Set-Cookie"].partition(";")[0]
    page = get(served.port, Cookie=cookie)
    assert page.status == 200 and b"<html" in page.body.lower()
    assert len(first_message(served.port, Cookie=cookie)) > 16
    with pytest.raises(InvalidStatus):
        first_message(served.port, Cookie=cookie, Origin="http://evil.example")


def test_a_malformed_connection_is_closed(served: Viewer) -> None:
    for request in (b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + 40_000 * b"a"):
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as answer:
                try:
                    assert answer.read()[:12] in (b"HTTP/1.1 400", b"")
                except ConnectionResetError:  # closed with bytes unread
                    pass


@pytest.fixture(scope="module")
def inner_viser() -> Iterator[viser.ViserServer]:
    server = viser_server.start_viser("psst")
    yield server
    viser_server.stop_viser(server)


def test_viser_accepts_connections_of_the_proxy_only(inner_viser: viser.ViserServer) -> None:
    port = inner_viser.get_port()
    for fields in ({}, {SECRET_HEADER: "guess"}):
        with pytest.raises(ConnectionClosed):
            first_message(port, **fields)
    assert len(first_message(port, **{SECRET_HEADER: "psst"})) > 16


def test_viser_publishes_nothing(inner_viser: viser.ViserServer) -> None:
    inner = inner_viser._websock_server
    from viser import _messages

    assert _messages.ShareUrlRequest not in inner._incoming_handlers
    assert inner._host == "127.0.0.1"
    sent = list(inner.get_message_buffer().message_from_id.values())
    themes = [message for message in sent if isinstance(message, _messages.ThemeConfigurationMessage)]
    assert themes and not themes[-1].show_share_button


def test_a_closed_viewer_leaves_its_port(tmp_path: Path) -> None:
    run = fabricate(tmp_path / "run", done=10, n_previews=2, steps=10)
    with serve_run(run, port=0) as viewer:
        assert get(viewer.port).status == 200
        assert get(viewer.port, Host="evil.example").status == 403
        assert viewer.address == f"http://127.0.0.1:{viewer.port}/"
    with pytest.raises(ConnectionRefusedError):
        get(viewer.port)
    with serve_run(run, port=viewer.port) as again:
        assert get(again.port).status == 200
