"""HTTP/1.1 on a connection of this machine, answered by an ASGI application: keep-alive, chunked answers for streams.

The application hears at which address it was asked, as each simulated agent has one of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from traceback import format_exc
from typing import Any

import anyio
import anyio.abc
import h11

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

LOOPBACK = "127.0.0.1"
BALANCER = "nomad.sandbox"
"""What the application hears for 127.0.0.1: a name stands for a load balancer before all servers."""
CHUNK = 65536
_GONE = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, h11.RemoteProtocolError)


async def serve(
    app: App,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    task_status: anyio.abc.TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve at one address until cancelled; gives the port once it listens. Raises OSError when the port is taken."""
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    name = BALANCER if host == LOOPBACK else host
    async with listener, anyio.create_task_group() as connections:  # which end with the address, not after it
        task_status.started(listener.extra(anyio.abc.SocketAttribute.local_port))  # noqa: S610 - a socket's
        await listener.serve(lambda stream: _connection(app, stream, name), connections)


async def _connection(app: App, stream: anyio.abc.ByteStream, name: str) -> None:
    """Answer the requests of one connection, one after the other."""
    async with stream:
        machine = h11.Connection(h11.SERVER)
        try:
            while await _request(app, stream, machine, name):
                if machine.our_state is h11.MUST_CLOSE or machine.their_state is h11.MUST_CLOSE:
                    return
                machine.start_next_cycle()
        except _GONE:
            return


async def _event(stream: anyio.abc.ByteStream, machine: h11.Connection) -> Any:
    while (event := machine.next_event()) is h11.NEED_DATA:
        if machine.they_are_waiting_for_100_continue:
            await stream.send(machine.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        try:
            machine.receive_data(await stream.receive(CHUNK))
        except anyio.EndOfStream:
            machine.receive_data(b"")
    return event


async def _request(app: App, stream: anyio.abc.ByteStream, machine: h11.Connection, name: str) -> bool:
    """Read a request and have it answered; False when there is nothing more to say to this peer."""
    request = await _event(stream, machine)
    if not isinstance(request, h11.Request):
        return False
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
        "headers": [(key, value) for key, value in request.headers if key != b"host"],
        "server": (name, 0),
        "client": ("", 0),
    }
    left = anyio.Event()
    unread = [{"type": "http.request", "body": body, "more_body": False}]
    answered = True

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
        except ConnectionError as nobody:  # the world says: nobody there
            answered = name == BALANCER  # which is there whoever else is not; an agent's address is dead
            if answered:
                why = f"no server of the simulated cluster answers ({nobody})"
                answered = await _instead(502, why, stream, machine)
        except Exception:  # noqa: BLE001 - one request that we do not understand must not end the world
            sys.stderr.write(f"{request.method.decode()} {path.decode()}: a mistake of the sandbox's\n{format_exc()}")
            answered = await _instead(500, "a mistake of the sandbox's: see what it says", stream, machine)
        group.cancel_scope.cancel()
    return answered and not left.is_set()


async def _send(message: Message, stream: anyio.abc.ByteStream, machine: h11.Connection) -> None:
    if message["type"] == "http.response.start":
        await stream.send(machine.send(h11.Response(status_code=message["status"], headers=message["headers"])) or b"")
        return
    data = machine.send(h11.Data(data=message.get("body", b""))) or b""
    if not message.get("more_body", False):
        data += machine.send(h11.EndOfMessage()) or b""
    await stream.send(data)


async def _instead(status: int, why: str, stream: anyio.abc.ByteStream, machine: h11.Connection) -> bool:
    """Answer in the application's place; False when it had begun to answer, so that nothing can follow."""
    if machine.our_state is not h11.SEND_RESPONSE:
        return False
    text = f"{why}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
    await _send({"type": "http.response.start", "status": status, "headers": headers}, stream, machine)
    await _send({"type": "http.response.body", "body": text}, stream, machine)
    return True
