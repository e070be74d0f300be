"""The account's endpoint: one POST a call; also put before a boto3 client in this process."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from providers.sandbox.doors.time import Clock, catch_up
from providers.sandbox.wire.ec2.actions import ACTIONS
from providers.sandbox.wire.ec2.protocol import UnknownActionError, read_request, write_answer, write_error
from providers.sandbox.world.ec2.errors import Ec2Error

if TYPE_CHECKING:
    from providers.aws.clients import Clients
    from providers.sandbox.world.world import World

_TYPE = "text/xml;charset=UTF-8"


class Ec2Wire:
    """Answers EC2's calls from one world. Time is the world's; requests are counted."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world, self._clock = world, clock
        self.calls: list[str] = []

    def answer(self, body: bytes) -> tuple[int, bytes]:
        """Answer the form of one request: (HTTP status, XML)."""
        request_id = f"request-{len(self.calls)}"
        try:
            action, asked = read_request(body)
            self.calls.append(action)
            return 200, write_answer(action, self._does(action)(asked), request_id)
        except UnknownActionError as unknown:
            told = f"The action {unknown} is not valid for this web service."
            return 400, write_error("InvalidAction", told, request_id)
        except Ec2Error as error:
            return error.status, write_error(error.code, error.message, request_id)

    def _does(self, action: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        if action not in ACTIONS:
            raise UnknownActionError(action)
        return partial(ACTIONS[action], catch_up(self._world, self._clock).cloud)

    def attach(self, clients: Clients) -> None:
        """Let this answer all that these clients ask of EC2, instead of the network."""
        hook: Callable[..., Any] = self._before_send
        for client in (clients.ec2(), clients.ec2(writes=True)):
            client.meta.events.unregister("before-send.ec2", unique_id="sandbox")
            client.meta.events.register("before-send.ec2", hook, unique_id="sandbox")

    def _before_send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
        status, xml = self.answer(body)
        return AWSResponse(request.url, status, HTTPHeaders.from_dict({"Content-Type": _TYPE}), _Raw(xml))


class _Raw(io.BytesIO):
    """A body as urllib3 hands it out."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        """Give all of it."""
        yield self.read()
