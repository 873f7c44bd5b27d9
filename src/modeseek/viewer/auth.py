"""Authentication of requests to the viewer by their HTTP head, before any byte reaches viser.

viser accepts every connection to its port. It therefore listens on loopback only, and all connections, of the page and
of the websocket, pass through a proxy that checks them here. A browser that sends the token in the URL once receives it
as a cookie and is redirected to a URL without it, which is harmless on a screen or in a history.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

LOCAL = ("localhost", "127.0.0.1", "::1")
SECRET_HEADER = "X-Modeseek-Inside"  # carries the secret that the inner viser server requires


@dataclass(frozen=True)
class AuthDecision:
    """Decision on a request: a reply, or a head to forward.

    Attributes:
        reply: bytes to send back before closing the connection; None if accepted.
        forward: head to forward to the inner server; None if refused.
    """

    reply: bytes | None = None
    forward: bytes | None = None


@dataclass(frozen=True)
class Authenticator:
    """Rules by which requests are accepted.

    Without a token only this machine can reach the port; a foreign page could still make a local browser connect (DNS
    rebinding), so the host in the request must be a loopback name. A websocket must have the page's own origin in any
    case.

    Attributes:
        secret: secret to add to forwarded requests, required by the inner server.
        cookie: name of the cookie.
        token: token that requests must carry; empty for none.
    """

    secret: str
    cookie: str
    token: str = ""

    def check(self, head: bytes) -> AuthDecision:
        """Decides on a request by its head, including the empty line."""
        try:
            line, fields = _parsed(head)
            method, target, _ = line.split(" ")
            address = urlsplit(target)
            host = urlsplit("//" + fields.get("host", "")).hostname or ""
        except ValueError:
            return AuthDecision(_reply("400 Bad Request", "malformed request"))
        if method != "GET":
            return AuthDecision(_reply("405 Method Not Allowed", "the viewer accepts GET requests only"))
        if not self.token and host not in LOCAL:
            return AuthDecision(
                _reply("403 Forbidden", "without a token the viewer accepts the hosts localhost and 127.0.0.1 only")
            )
        origin = fields.get("origin")
        websocket = fields.get("upgrade", "").lower() == "websocket"
        if websocket and origin is not None and urlsplit(origin).netloc.lower() != fields["host"].lower():
            return AuthDecision(_reply("403 Forbidden", "other pages may not connect to the viewer"))
        if self.token:
            given = (parse_qs(address.query).get("token") or [""])[0]
            if _same(given, self.token) and not websocket:
                cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Lax; Path=/"
                return AuthDecision(_reply("303 See Other", "redirecting", {"Location": "/", "Set-Cookie": cookie}))
            if not _same(given, self.token) and not _same(_cookie(fields, self.cookie), self.token):
                return AuthDecision(
                    _reply("403 Forbidden", "open the address that modeseek view printed, with its token")
                )
        return AuthDecision(forward=_with_secret(line, head, self.secret))


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    """Request line, and header fields by lower-case name.

    Raises:
        ValueError: the head is malformed, or ambiguous between parsers.
    """
    line, *rows = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    fields: dict[str, str] = {}
    for row in rows:
        name, colon, value = row.partition(":")
        if not colon or not name or name != name.strip() or "\n" in row or "\r" in row:
            raise ValueError("a field is a name, a colon and a value")
        key = name.lower()
        if key in fields and key in ("host", "origin", "upgrade", "cookie"):
            raise ValueError(f"{key} is given twice")
        fields[key] = value.strip()
    if "host" not in fields:
        raise ValueError("host is missing")
    return line, fields


def _with_secret(line: str, head: bytes, secret: str) -> bytes:
    rows = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")[1:]
    kept = [row for row in rows if row.partition(":")[0].lower() != SECRET_HEADER.lower()]
    return "\r\n".join([line, *kept, f"{SECRET_HEADER}: {secret}", "", ""]).encode("latin-1")


def _cookie(fields: Mapping[str, str], name: str) -> str:
    try:
        morsel = SimpleCookie(fields.get("cookie", "")).get(name)
    except CookieError:  # a cookie of another site that Python cannot parse: treated as missing
        return ""
    return "" if morsel is None else morsel.value


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _reply(status: str, message: str, extra: Mapping[str, str] | None = None) -> bytes:
    body = f"{message}\n".encode()
    fields = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        **(extra or {}),
    }
    return "\r\n".join([f"HTTP/1.1 {status}", *(f"{k}: {v}" for k, v in fields.items()), "", ""]).encode() + body
