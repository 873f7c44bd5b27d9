"""Authenticating TCP proxy: checks the head of each connection, then relays bytes to and from the viser server."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading

from modeseek.viewer.auth import Authenticator

_MAX_HEAD_BYTES = 32 * 1024
_HEAD_SECONDS = 10.0  # time limit to receive the head
_CHUNK_BYTES = 64 * 1024


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket.

    Args:
        host: name or address of an interface of this machine.
        port: port to listen on, 0 to 65535; 0 takes any free one.

    Raises:
        ValueError: the port is taken or not allowed, or the host is not an interface of this machine.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"a port must be in 0 to 65535, got {port}; try 0 for any free one")
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(64)
        except BaseException:
            listener.close()
            raise
        return listener
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ValueError(f"port {port} is taken: pass another with --port, or --port 0 for any free one") from error
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"cannot listen on {host}:{port}: {reason}; choose another --host or --port") from error


class Proxy:
    """Proxy of one listening socket, served from a thread of its own until stopped.

    Args:
        listener: listening socket.
        inner_port: port of the viser server on 127.0.0.1.
        authenticator: rules by which requests are accepted.
    """

    def __init__(self, listener: socket.socket, inner_port: int, authenticator: Authenticator) -> None:
        self._listener, self._inner_port, self._authenticator = listener, inner_port, authenticator
        self._started = threading.Event()
        self._stopped = False

    def run(self) -> None:
        """Serves until `stop`; then all connections are closed."""
        asyncio.run(self._serve())

    def stop(self) -> None:
        """Closes the port and all connections through it. Has no effect if `run` was not called."""
        if self._started.wait(1.0) and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end.set)

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._handle, sock=self._listener, limit=_MAX_HEAD_BYTES)
        self._started.set()
        await self._end.wait()
        self._stopped = True
        server.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            try:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
            except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                return  # no complete head: closed without a reply
            decision = self._authenticator.check(head)
            if decision.forward is None:
                writer.write(decision.reply or b"")
                await writer.drain()
                return
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._inner_port)
            try:
                inner_writer.write(decision.forward)
                relays = [
                    asyncio.create_task(_relay(reader, inner_writer)),
                    asyncio.create_task(_relay(inner_reader, writer)),
                ]
                try:
                    await asyncio.wait(relays, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for relay in relays:
                        relay.cancel()
                    await asyncio.gather(*relays, return_exceptions=True)
            finally:
                inner_writer.close()
        except ConnectionError:
            return  # the client disconnected
        except asyncio.CancelledError:
            if not self._stopped:
                raise
        finally:
            writer.close()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
