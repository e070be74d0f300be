"""The wire under boto3: botocore's own signing, retries and parsing, with the answers written by a test.

Requests are read as EC2 gets them; an answer is a body, an error code, or an exception of the transport.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import anyio
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from providers.aws.clients import Clients
from providers.ec2.provider import AwsEc2
from support.builders import NOON

REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Says:
    """An answer of EC2: the inside of its XML body."""

    body: str
    status: int = 200


def says_no(code: str, status: int = 400, message: str = "because") -> Says:
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Says(f"<Response><Errors>{error}</Errors><RequestID>r</RequestID></Response>", status)


Answer = Says | Exception


@cache
def _clients() -> Clients:
    """Reading the model of EC2 takes half a second: once for all tests."""
    return Clients(REGION)


@dataclass(slots=True)
class Wire:
    """Answers calls by action: the list in turn, its last for ever."""

    answers: Mapping[str, list[Answer]]
    sent: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    clients: Clients = field(default_factory=_clients)
    now: Callable[[], Any] = lambda: NOON

    def __post_init__(self) -> None:
        for client in (self.clients.ec2(), self.clients.ec2(writes=True)):
            hook: Callable[..., Any] = self._answer
            client.meta.events.unregister("before-send.ec2", unique_id="wire")
            client.meta.events.register("before-send.ec2", hook, unique_id="wire")

    def ec2(self) -> AwsEc2:
        return AwsEc2(self.clients, self.now)

    def actions(self) -> list[str]:
        return [request["Action"] for request in self.sent]

    def _answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
        asked = dict(parse_qsl(body.decode()))
        self.sent.append(asked)
        self.bodies.append(body)
        waiting = self.answers[asked["Action"]]
        answer = waiting[min(self.actions().count(asked["Action"]), len(waiting)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return AWSResponse(
            request.url, answer.status, HTTPHeaders.from_dict({"Content-Type": "text/xml"}), _Raw(answer.body.encode())
        )


class _Raw(io.BytesIO):
    def stream(self, *_: object, **__: object) -> Any:
        yield self.read()


def run(work: Callable[[], Any]) -> Any:
    """Run one piece of async work to its end."""
    return anyio.run(work)
