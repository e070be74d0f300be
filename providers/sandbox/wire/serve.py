"""An ASGI application on a real TCP port, for foreign clients of the simulated world: curl, Nomad's own CLI, boto3.

HTTP/1.1 by h11; keep-alive, chunked answers for streams. Whoever connects to the port means the load balancer before
all servers: the world's own addresses exist only in the world.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio
import anyio.abc
import h11

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

BALANCER = "nomad.sandbox"
CHUNK = 65536
_GONE = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, h11.RemoteProtocolError)


async def serve(
    app: App,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    task_status: anyio.abc.TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; gives the port once it listens. Raises OSError when the port is taken."""
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    async with listener:
        task_status.started(listener.extra(anyio.abc.SocketAttribute.local_port))  # noqa: S610 - a socket's
        await listener.serve(lambda stream: _connection(app, stream))


async def _connection(app: App, stream: anyio.abc.ByteStream) -> None:
    """Answer the requests of one connection, one after the other."""
    async with stream:
        machine = h11.Connection(h11.SERVER)
        try:
            while True:
                if await _request(app, stream, machine) is None:
                    return
                if machine.our_state is h11.MUST_CLOSE or machine.their_state is h11.MUST_CLOSE:
                    return
                machine.start_next_cycle()
        except _GONE:
            return


async def _event(stream: anyio.abc.ByteStream, machine: h11.Connection) -> Any:
    while (event := machine.next_event()) is h11.NEED_DATA:
        try:
            machine.receive_data(await stream.receive(CHUNK))
        except anyio.EndOfStream:
            machine.receive_data(b"")
    return event


async def _request(app: App, stream: anyio.abc.ByteStream, machine: h11.Connection) -> h11.Request | None:
    """Read a request, have it answered; None when the peer has left."""
    request = await _event(stream, machine)
    if not isinstance(request, h11.Request):
        return None
    body = b""
    while isinstance(event := await _event(stream, machine), h11.Data):
        body += bytes(event.data)
    path, _, query = bytes(request.target).partition(b"?")
    scope: Message = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method.decode(),
        "scheme": "http",
        "path": path.decode(),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name, value) for name, value in request.headers if name != b"host"],
        "server": (BALANCER, 0),
        "client": ("", 0),
    }
    left = anyio.Event()
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if unread:
            return unread.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        await _send(message, stream, machine)

    async def watch(scope_: anyio.CancelScope) -> None:
        """See a client leave in the middle of a long answer; what it says meanwhile is its next request."""
        try:
            while True:
                machine.receive_data(await stream.receive(CHUNK))
        except _GONE:
            left.set()
            scope_.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch, group.cancel_scope)
        try:
            await app(scope, receive, send)
        except ConnectionError:  # the world says: nobody there
            await _refuse(stream, machine)
        group.cancel_scope.cancel()
    return None if left.is_set() else request


async def _send(message: Message, stream: anyio.abc.ByteStream, machine: h11.Connection) -> None:
    if message["type"] == "http.response.start":
        await stream.send(machine.send(h11.Response(status_code=message["status"], headers=message["headers"])) or b"")
        return
    data = machine.send(h11.Data(data=message.get("body", b""))) or b""
    if not message.get("more_body", False):
        data += machine.send(h11.EndOfMessage()) or b""
    await stream.send(data)


async def _refuse(stream: anyio.abc.ByteStream, machine: h11.Connection) -> None:
    if machine.our_state is h11.SEND_RESPONSE:
        start = {"type": "http.response.start", "status": 502, "headers": [(b"content-length", b"0")]}
        await _send(start, stream, machine)
        await _send({"type": "http.response.body", "body": b""}, stream, machine)
