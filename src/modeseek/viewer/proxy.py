"""The port that is open: it asks at the door, then passes bytes to the viewer inside and back."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading

from modeseek.viewer.auth import Authenticator

_HEAD = 32 * 1024  # bytes of a request's head at most
_PATIENCE = 10.0  # seconds for it
_CHUNK = 64 * 1024


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Args:
        host: name or address of an interface of this machine.
        port: 0 takes one that is free.

    Raises:
        ValueError: the port is taken or not allowed, or the host is not this machine's.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"a port is a number from 0 to 65535: got {port}; 0 takes one that is free")
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, number)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen(64)
        except BaseException:
            found.close()
            raise
        return found
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ValueError(f"port {port} is taken: pass another with --port, or --port 0 for any free one") from error
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"nothing can listen on {host}:{port}: {reason}; choose another --host or --port") from error


class Proxy:
    """Serves one socket until it is closed, from a thread of its own.

    Args:
        outside: listens already.
        inner: the port of the viewer on 127.0.0.1.
        door: who may come in.
    """

    def __init__(self, outside: socket.socket, inner: int, door: Authenticator) -> None:
        self._outside, self._inner, self._auth = outside, inner, door
        self._begun = threading.Event()
        self._over = False

    def run(self) -> None:
        """Serves until `stop`; then all connections are closed."""
        asyncio.run(self._serve())

    def stop(self) -> None:
        """Closes the port and all connections through it. A gate that never began is none."""
        if self._begun.wait(1.0) and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end.set)

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._meet, sock=self._outside, limit=_HEAD)
        self._begun.set()
        await self._end.wait()
        self._over = True
        server.close()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            try:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
            except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                return  # whoever says nothing, or too much, hears nothing
            answer = self._auth.check(head)
            if answer.onward is None:
                writer.write(answer.reply or b"")
                await writer.drain()
                return
            there, onward = await asyncio.open_connection("127.0.0.1", self._inner)
            try:
                onward.write(answer.onward)
                ways = [asyncio.create_task(_pass(reader, onward)), asyncio.create_task(_pass(there, writer))]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
            finally:
                onward.close()
        except ConnectionError:
            return  # it left in between
        except asyncio.CancelledError:
            if not self._over:
                raise
        finally:
            writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
