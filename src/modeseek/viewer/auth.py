"""Who may come in: judged by the head of a request, before a byte of it reaches the viewer.

viser lets in whoever reaches its port. So it listens inside only, and every connection passes here first, the page's
and the websocket's alike. A browser that shows the token in the address once is given it as a cookie, and sent on to
an address without it, which can be read from a screen or a history without harm.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

LOCAL = ("localhost", "127.0.0.1", "::1")
SECRET_HEADER = "X-Modeseek-Inside"  # what the viewer itself wants to hear; nobody outside knows it


@dataclass(frozen=True)
class AuthDecision:
    """What is said at the door.

    Attributes:
        reply: bytes to send back before the connection is closed, or None.
        onward: the head to hand on, or None.
    """

    reply: bytes | None = None
    onward: bytes | None = None


@dataclass(frozen=True)
class Authenticator:
    """The rules.

    Without a token only this machine can reach the port; then a page elsewhere could still make a browser here talk to
    it, so the name that the browser was given must be one of this machine's. A websocket must come from our own page
    in any case.

    Attributes:
        inside: a secret that the viewer wants to hear from us.
        cookie: name of the cookie.
        token: that is asked for, or empty.
    """

    inside: str
    cookie: str
    token: str = ""

    def check(self, head: bytes) -> AuthDecision:
        """Whether a request with that head, its empty line included, may go on."""
        try:
            line, fields = _parsed(head)
            method, target, _ = line.split(" ")
            address = urlsplit(target)
            host = urlsplit("//" + fields.get("host", "")).hostname or ""
        except ValueError:
            return AuthDecision(_reply("400 Bad Request", "this is no request that the viewer knows"))
        if method != "GET":
            return AuthDecision(_reply("405 Method Not Allowed", "the viewer is read with GET"))
        if not self.token and host not in LOCAL:
            return AuthDecision(
                _reply("403 Forbidden", "without a token the viewer answers to localhost and 127.0.0.1 only")
            )
        origin = fields.get("origin")
        talks = fields.get("upgrade", "").lower() == "websocket"
        if talks and origin is not None and urlsplit(origin).netloc.lower() != fields["host"].lower():
            return AuthDecision(_reply("403 Forbidden", "another page may not talk to the viewer"))
        if self.token:
            shown = (parse_qs(address.query).get("token") or [""])[0]
            if _same(shown, self.token) and not talks:
                kept = f"{self.cookie}={self.token}; HttpOnly; SameSite=Lax; Path=/"
                return AuthDecision(_reply("303 See Other", "come in", {"Location": "/", "Set-Cookie": kept}))
            if not _same(shown, self.token) and not _same(_cookie(fields, self.cookie), self.token):
                return AuthDecision(
                    _reply("403 Forbidden", "open the address that modeseek view printed, with its token")
                )
        return AuthDecision(onward=_handed_on(line, head, self.inside))


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    """The request line and the fields, names in small letters.

    Raises:
        ValueError: no well-formed head, or one that two readers could read differently.
    """
    line, *rows = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    fields: dict[str, str] = {}
    for row in rows:
        name, colon, value = row.partition(":")
        if not colon or not name or name != name.strip() or "\n" in row or "\r" in row:
            raise ValueError("a field is a name, a colon and a value")
        key = name.lower()
        if key in fields and key in ("host", "origin", "upgrade", "cookie"):
            raise ValueError(f"{key} stands there twice")
        fields[key] = value.strip()
    if "host" not in fields:
        raise ValueError("host is missing")
    return line, fields


def _handed_on(line: str, head: bytes, inside: str) -> bytes:
    rows = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")[1:]
    kept = [row for row in rows if row.partition(":")[0].lower() != SECRET_HEADER.lower()]
    return "\r\n".join([line, *kept, f"{SECRET_HEADER}: {inside}", "", ""]).encode("latin-1")


def _cookie(fields: Mapping[str, str], name: str) -> str:
    try:
        found = SimpleCookie(fields.get("cookie", "")).get(name)
    except CookieError:  # another site's cookie that Python cannot read: ours is then not there
        return ""
    return "" if found is None else found.value


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _reply(status: str, words: str, more: Mapping[str, str] | None = None) -> bytes:
    body = f"{words}\n".encode()
    fields = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        **(more or {}),
    }
    return "\r\n".join([f"HTTP/1.1 {status}", *(f"{k}: {v}" for k, v in fields.items()), "", ""]).encode() + body
