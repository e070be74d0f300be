"""The account's endpoint: one POST a call, whatever the service; also put before boto3 clients in this process."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from providers.sandbox.doors.time import Clock, catch_up
from providers.sandbox.wire.ec2 import services
from providers.sandbox.wire.ec2.actions import ACTIONS
from providers.sandbox.wire.ec2.protocol import UnknownActionError, read_request, write_answer, write_error
from providers.sandbox.wire.ec2.request import Asked, ServiceError, Told, refused
from providers.sandbox.world.ec2.errors import Ec2Error

if TYPE_CHECKING:
    from providers.aws.clients import Clients
    from providers.sandbox.world.ec2.context import Cloud
    from providers.sandbox.world.world import World

Message = MutableMapping[str, Any]

_SENSELESS = (KeyError, TypeError, AttributeError, ValueError)  # parameters that parse and do not go together
_LOOK_AGAIN = 0.5  # seconds between two looks into the queue while somebody waits


class Ec2Wire:
    """Answers EC2's calls, and those of the services beside it, from one world. Time is the world's."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world, self._clock = world, clock
        self.calls: list[str] = []
        """EC2's operations, in the order in which they were asked for."""

    def answer(self, body: bytes) -> tuple[int, bytes]:
        """Answer the form of one request to EC2: (HTTP status, XML)."""
        request_id = f"request-{len(self.calls)}"
        try:
            action, asked = read_request(body)
            self.calls.append(action)
            does = _would if asked.get("DryRun") else self._does(action)
            return 200, write_answer(action, does(self._cloud, asked), request_id)
        except UnknownActionError as unknown:
            told = f"The action {unknown} is not valid for this web service."
            return 400, write_error("InvalidAction", told, request_id)
        except Ec2Error as error:
            return error.status, write_error(error.code, error.message, request_id)
        except _SENSELESS as wrong:
            told = f"the simulated account makes no sense of this: {wrong!r}"
            return 400, write_error("InvalidParameterCombination", told, request_id)

    def _does(self, action: str) -> Callable[[Cloud, Mapping[str, Any]], dict[str, Any]]:
        if action not in ACTIONS:
            raise UnknownActionError(action)
        return ACTIONS[action]

    def tell(self, asked: Asked) -> Told:
        """Answer any request, at once."""
        match asked.service:
            case "ec2":
                status, xml = self.answer(asked.body)
                return Told(body=xml, status=status)
            case "sts" | "iam":
                return services.about_oneself(self._cloud, asked, f"request-{len(self.calls)}")
            case _:
                try:
                    return services.answer(self._cloud, asked)
                except ServiceError as error:
                    return refused(error)
                except _SENSELESS as wrong:
                    told = f"the simulated account makes no sense of this: {wrong!r}"
                    return refused(ServiceError("ValidationException", told))

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer one request (ASGI 3, http alone); a question to the queue may wait."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        told = await self._waited(Asked(headers=headers, body=body))
        answered = {**told.headers, "Content-Length": str(len(told.body))}
        pairs = [(name.encode(), value.encode()) for name, value in answered.items()]
        await send({"type": "http.response.start", "status": told.status, "headers": pairs})
        await send({"type": "http.response.body", "body": told.body})

    async def _waited(self, asked: Asked) -> Told:
        told, waited = self.tell(asked), 0.0
        while told.status == 200 and told.body == b"{}" and waited < services.waits(asked):
            await self._clock.sleep(_LOOK_AGAIN)
            waited += _LOOK_AGAIN
            told = self.tell(asked)
        return told

    def attach(self, clients: Clients) -> None:
        """Let this answer all that these clients ask, instead of the network; nobody waits at the queue."""
        hook: Callable[..., Any] = self._before_send
        made = (clients.ec2(), clients.ec2(writes=True), clients.ssm(), clients.sqs(), clients.pricing())
        for client in made:
            event = f"before-send.{client.meta.service_model.service_id.hyphenize()}"
            client.meta.events.unregister(event, unique_id="sandbox")
            client.meta.events.register(event, hook, unique_id="sandbox")

    def _before_send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        told = self.tell(Asked(headers=headers, body=body))
        return AWSResponse(request.url, told.status, HTTPHeaders.from_dict(dict(told.headers)), _Raw(told.body))

    @property
    def _cloud(self) -> Cloud:
        return catch_up(self._world, self._clock).cloud


def _would(_: Cloud, __: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a dry run: rights are not simulated, so whoever asks may."""
    raise Ec2Error("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class _Raw(io.BytesIO):
    """A body as urllib3 hands it out."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        """Give all of it."""
        yield self.read()
