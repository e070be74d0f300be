"""A server on a loopback socket that answers with exactly the bytes a test wrote down, and notes what it was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, body: bytes | str = b"", *headers: str, length: int | None = None) -> bytes:
    """Write an HTTP answer; ``length`` lies about the body."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content) if length is None else length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


def listed(body: str = "[]", *headers: str) -> bytes:
    """Write a whole list as Nomad does."""
    meta = ("X-Nomad-Index: 7", "X-Nomad-Knownleader: true", "X-Nomad-Lastcontact: 0")
    return answer(200, body, "Content-Type: application/json", *meta, *headers)


@dataclass(slots=True)
class RawServer:
    """What it will say, one entry a request (the last one for ever), and what it heard."""

    says: Sequence[bytes | Script]
    url: str = ""
    heard: list[str] = field(default_factory=list)  # request line and headers
    bodies: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heard.append(head)
                length = next((int(x[15:]) for x in head.lower().split("\r\n") if x.startswith("content-length:")), 0)
                self.bodies.append(await reader.readexactly(length))
                said = self.says[min(len(self.heard), len(self.says)) - 1]
                if not isinstance(said, bytes):
                    await said(writer)
                    return
                writer.write(said)
                await writer.drain()
                if b"onnection: close" in said or _cut(said):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def _cut(said: bytes) -> bool:
    """The answer promises more than it holds: the connection must end here."""
    head, _, body = said.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return not lengths or lengths[0] > len(body)


@asynccontextmanager
async def raw_server(
    *says: bytes | Script, tls: ssl.SSLContext | None = None, socket: Path | None = None
) -> AsyncIterator[RawServer]:
    """Open it on a free port of 127.0.0.1, or on a unix socket."""
    made = RawServer(says)
    if socket is not None:
        server = await asyncio.start_unix_server(made.serve, str(socket))
        made.url = f"unix://{socket}"
    else:
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
        made.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


async def silence(writer: asyncio.StreamWriter) -> None:
    """Take the request and say nothing."""
    await asyncio.sleep(5)


async def dripping(writer: asyncio.StreamWriter) -> None:
    """Promise a list and send it a byte at a time, never silent for long, never done in time."""
    writer.write(listed("[" + " " * 1000 + "]")[:-1001])
    for _ in range(100):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Take the request and close."""
